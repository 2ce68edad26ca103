#include "platform/registry/model_registry.h"

#include <algorithm>

#include "platform/base/digest.h"

namespace platform {
namespace {

// Why the version may not become `production`; empty if it may.
std::string objection(const ModelVersion& version) {
  if (!version.gate) return "no gate report is recorded on it";
  const json::value* passed = find(*version.gate, "passed");
  if (passed != nullptr && passed->is_bool() && passed->get_bool()) return "";
  return "its gate did not pass";
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() <= 9 && text.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

void require_passing_gate(const ModelVersion& version) {
  const std::string against = objection(version);
  if (against.empty()) return;
  throw Error(ErrorCode::kConflict,
              "production of " + version.model + " cannot move to version " + std::to_string(version.number) + ": " +
                  against +
                  "; run a workflow whose model.gate passes before model.register, and take the version that it makes",
              "version");
}

std::optional<std::int64_t> version_before(const std::vector<AliasChange>& history) {
  std::vector<std::int64_t> live;
  for (const AliasChange& change : history) {
    if (!change.number) {
      live.clear();
      continue;
    }
    const auto again = std::find(live.begin(), live.end(), *change.number);
    if (again != live.end()) {
      live.erase(again + 1, live.end());
    } else {
      live.push_back(*change.number);
    }
  }
  return live.size() < 2 ? std::nullopt : std::optional(live[live.size() - 2]);
}

ModelVersion ModelRegistry::register_version(const ModelVersion& version) {
  check_digest(version.base_digest);
  check_digest(version.adapter_blob);
  check_digest(version.adapter_digest);
  if (version.gate) {
    const std::string judged = string_or(*version.gate, "adapter_digest", version.adapter_digest, "gate");
    if (judged != version.adapter_digest) {
      throw Error(ErrorCode::kInvalidInput,
                  "the gate report judged adapter " + judged + ", not " + version.adapter_digest +
                      "; run the gate on the adapter that is registered",
                  "gate.adapter_digest");
    }
  }
  return models_.add_version(version);
}

void ModelRegistry::set_alias(const std::string& project, const std::string& model, const std::string& alias,
                              std::int64_t number, const std::string& actor, const std::string& reason) {
  if (is_number(alias)) throw Error(ErrorCode::kInvalidInput, "an alias is not a number: '" + alias + "'", "alias");
  const auto version = models_.find_version(project, model, number);
  if (!version)
    throw Error(ErrorCode::kNotFound,
                "there is no version " + model + "/" + std::to_string(number) + "; GET /api/v1/models/" + model +
                    "/versions lists them",
                "version");
  if (alias == "production") require_passing_gate(*version);
  models_.move_alias(project, model, {alias, number, std::nullopt, actor, reason, {}});
}

ModelVersion ModelRegistry::roll_back(const std::string& project, const std::string& model, const std::string& alias,
                                      const std::string& actor, const std::string& reason) {
  const auto before = version_before(models_.history(project, model, alias));
  if (!before)
    throw Error(ErrorCode::kConflict, "alias " + alias + " of " + model + " has no earlier version to go back to");
  set_alias(project, model, alias, *before, actor, reason);
  return models_.find_version(project, model, *before).value();
}

std::optional<ModelVersion> ModelRegistry::resolve(const std::string& project, const std::string& model,
                                                   const std::string& version_or_alias) {
  if (is_number(version_or_alias)) return models_.find_version(project, model, std::stoll(version_or_alias));
  const auto number = models_.alias(project, model, version_or_alias);
  return number ? models_.find_version(project, model, *number) : std::nullopt;
}

std::optional<ModelVersion> ModelRegistry::alias_at(const std::string& project, const std::string& model,
                                                    const std::string& alias, Time time) {
  const auto number = models_.alias_at(project, model, alias, time);
  return number ? models_.find_version(project, model, *number) : std::nullopt;
}

json::object ModelRegistry::lineage(const ModelVersion& version) {
  json::object out{{"version", version.str()},
                   {"created_at", format_time(version.created_at)},
                   {"base", json::object{{"name", version.base}, {"digest", version.base_digest}}},
                   {"adapter", json::object{{"blob", version.adapter_blob}, {"digest", version.adapter_digest}}},
                   {"run", nullptr},
                   {"dataset", nullptr},
                   {"evaluation", version.evaluation},
                   {"gate", version.gate ? json::value(*version.gate) : json::value()}};
  if (!version.run.empty()) out["run"] = json::object{{"id", version.run}, {"step", version.step}};
  if (version.dataset_version.empty()) return out;
  const auto dataset = is_uuid(version.dataset_version)
                           ? datasets_.find_by_id(DatasetVersionId(version.dataset_version))
                           : datasets_.find_by_hash(version.project, version.dataset_version);
  if (!dataset) {
    out["dataset"] = json::object{{"reference", version.dataset_version}};
    return out;
  }
  out["dataset"] = json::object{{"id", dataset->id.str()},     {"name", dataset->dataset},
                                {"number", dataset->number},   {"content_hash", dataset->content_hash},
                                {"blob", dataset->blob},       {"examples", dataset->counts},
                                {"lineage", dataset->lineage}, {"created_at", format_time(dataset->created_at)}};
  return out;
}

}  // namespace platform
