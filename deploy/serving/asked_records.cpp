#include "deploy/serving/asked_records.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"
#include "platform/base/shortened.h"

namespace deploy {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using platform::Profile;

constexpr std::size_t kMostRecords = 4096;
constexpr std::size_t kMostUnknown = 20;      // told of one record
constexpr std::size_t kLongestName = 64;      // of an unknown field, as it is told
constexpr std::size_t kFieldsInMessage = 40;  // of the expected ones

// The names that every record may carry, whatever the profile says.
constexpr std::array<std::string_view, 3> kOfEveryRecord{"source", "key", "event_time"};

// What holds the fields of a record: itself, or what it wraps in `fields` and `signals`.
struct Held {
  const json::object* fields = nullptr;
  const json::object* signals = nullptr;

  const json::value* find(std::string_view name) const {
    const json::value* found = fields->if_contains(name);
    return found == nullptr && signals != nullptr ? signals->if_contains(name) : found;
  }
};

Held held_by(const json::value& record, const std::string& path) {
  const json::value* row = &record;
  if (record.is_array()) {
    if (record.get_array().empty())
      throw Error(ErrorCode::kInvalidInput, "a window has no row; give at least one record", path);
    row = &record.get_array().back();
  }
  const json::object& object = platform::as_object(*row, path);
  const json::value* fields = object.if_contains("fields");
  if (fields == nullptr || !fields->is_object()) return {&object, nullptr};
  const json::value* signals = object.if_contains("signals");
  return {&fields->get_object(), signals != nullptr && signals->is_object() ? &signals->get_object() : nullptr};
}

std::vector<std::string> names_of(const Profile& profile, const std::string& name) {
  std::vector<std::string> names{name};
  if (const platform::Field* field = profile.field(name))
    names.insert(names.end(), field->from.begin(), field->from.end());
  return names;
}

bool has_value(const Profile& profile, const Held& held, const std::string& name) {
  platform::Field plain;
  const platform::Field* field = profile.field(name);
  for (const std::string& column : names_of(profile, name))
    if (!platform::is_missing(field == nullptr ? plain : *field, held.find(column))) return true;
  return false;
}

// Every name that a record may use without being told: fields, the columns they come from, the target, what group,
// order and key are made of.
std::set<std::string, std::less<>> known_names(const Profile& profile, const std::vector<std::string>& expected) {
  std::set<std::string, std::less<>> known(kOfEveryRecord.begin(), kOfEveryRecord.end());
  known.insert(expected.begin(), expected.end());
  for (const platform::Field& field : profile.fields) {
    known.insert(field.name);
    known.insert(field.from.begin(), field.from.end());
  }
  known.insert({profile.target.field, profile.order, profile.group});
  for (const std::string* text : {&profile.group, &profile.key, &profile.completion})
    for (const platform::PromptPart& part : platform::parse_prompt(*text))
      if (part.kind == platform::PromptPart::Kind::kField) known.insert(part.text);
  return known;
}

// "torque" of " (did you mean 'torque'?)".
std::string nearest(const std::string& name, const std::vector<std::string>& names) {
  const std::string hint = platform::did_you_mean(name, names);
  const std::size_t begin = hint.find('\'');
  return begin == std::string::npos ? std::string() : hint.substr(begin + 1, hint.rfind('\'') - begin - 1);
}

void add_unknown(const Profile& profile, const Held& held, const std::vector<std::string>& expected,
                 std::vector<platform::FieldProblem>& problems) {
  const auto known = known_names(profile, expected);
  std::size_t told = 0;
  for (const auto& field : *held.fields) {
    const std::string_view name = field.key();
    if (known.contains(name) || (held.signals != nullptr && name == "text") || name.starts_with("anneal.")) continue;
    if (++told > kMostUnknown) return;
    const std::string shown = platform::shortened(name, kLongestName);
    problems.push_back({"unknown_field", shown, nearest(shown, expected)});
  }
}

std::string listed(const std::vector<std::string>& names) {
  std::string list;
  for (std::size_t i = 0; i < names.size() && i < kFieldsInMessage; ++i) list += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kFieldsInMessage ? list + ", ..." : list;
}

[[noreturn]] void refuse_unusable(const Profile& profile, const std::vector<std::string>& expected,
                                  const std::string& misspelt, const std::string& path) {
  throw Error(ErrorCode::kInvalidInput,
              "all values are missing or unreadable: " + listed(expected) + misspelt + "; send a value that profile " +
                  profile.name + " can read for at least one of them",
              path);
}

// Whether the record has a place for one of the expected values, filled or not.
bool names_any(const Profile& profile, const Held& held, const std::vector<std::string>& expected) {
  return std::any_of(expected.begin(), expected.end(), [&](const std::string& name) {
    const std::vector<std::string> names = names_of(profile, name);
    return std::any_of(names.begin(), names.end(), [&](const auto& column) { return held.find(column) != nullptr; });
  });
}

// "; sped is unknown (did you mean 'speed'?)": the value may stand there.
std::string misspelt(const Profile& profile, const Held& held, const std::vector<std::string>& expected) {
  std::vector<platform::FieldProblem> unknown;
  add_unknown(profile, held, expected, unknown);
  std::string text;
  for (const platform::FieldProblem& one : unknown)
    if (!one.value.empty()) text += "; " + one.field + " is unknown (did you mean '" + one.value + "'?)";
  return text;
}

bool is_usable(const platform::Example& example, const std::vector<platform::FieldProblem>& problems,
               const std::string& name) {
  if (const auto number = example.numbers.find(name); number != example.numbers.end())
    return number->second.has_value();
  if (const auto signal = example.signals.find(name); signal != example.signals.end())
    return std::any_of(signal->second.values.begin(), signal->second.values.end(),
                       [](float sample) { return !std::isnan(sample); });
  return std::none_of(problems.begin(), problems.end(), [&](const platform::FieldProblem& one) {
    return one.field == name && (one.code == "missing" || one.code == "unknown_value");
  });
}

[[noreturn]] void refuse_stranger(const Profile& profile, const Held& held, const std::vector<std::string>& expected,
                                  const std::string& path) {
  std::string found = held.fields->empty() ? "is empty" : "has";
  std::size_t shown = 0;
  for (const auto& field : *held.fields) {
    if (++shown > 5) break;
    std::vector<std::string> candidates = expected;
    candidates.insert(candidates.end(), {"record", "records"});
    found += (shown == 1 ? " only " : ", ") + platform::shortened(field.key(), kLongestName) +
             platform::did_you_mean(field.key(), candidates);
  }
  throw Error(ErrorCode::kInvalidInput,
              "no value for any field of profile " + profile.name + ": " + path + " " + found +
                  "; send {\"record\": {...}} or {\"records\": [{...}, ...]} with " + listed(expected),
              path);
}

}  // namespace

AskedRecords asked_records(const json::value& body) {
  if (!body.is_object())
    throw Error(ErrorCode::kInvalidInput, "body is no JSON object; send {\"record\": {...}} or {\"records\": [...]}");
  const json::object& object = body.as_object();
  const bool one = object.contains("record"), many = object.contains("records");
  if (!one && !many) return {{body}, true};
  platform::refuse_unknown_keys(object, {"record", "records"}, "body");
  if (one && many)
    throw Error(ErrorCode::kInvalidInput, "both record and records are given; send one of them", "record");
  if (one) return {{object.at("record")}, true};
  const json::array& list = platform::as_array(object.at("records"), "records");
  if (list.size() > kMostRecords)
    throw Error(ErrorCode::kTooLarge, "more than 4096 records in one request; send several", "records");
  return {list, false};
}

std::vector<std::string> fields_asked_for(const Profile& profile) {
  std::vector<std::string> names;
  for (const platform::PromptPart& part :
       platform::parse_prompt(profile.text.empty() ? platform::settle_prompt(profile) : profile.text)) {
    const bool own = profile.field(part.text) != nullptr ||
                     std::find(kOfEveryRecord.begin(), kOfEveryRecord.end(), part.text) == kOfEveryRecord.end();
    if (part.kind != platform::PromptPart::Kind::kText && own &&
        std::find(names.begin(), names.end(), part.text) == names.end())
      names.push_back(part.text);
  }
  return names;
}

void judge_record(const Profile& profile, const json::value& record, const std::string& path,
                  std::vector<platform::FieldProblem>& problems) {
  const Held held = held_by(record, path);
  const std::vector<std::string> expected = fields_asked_for(profile);
  std::size_t given = 0;
  for (const std::string& name : expected) {
    if (has_value(profile, held, name))
      ++given;
    else
      problems.push_back({"missing", name, {}});
  }
  if (given == 0 && names_any(profile, held, expected))
    refuse_unusable(profile, expected, misspelt(profile, held, expected), path);
  if (given == 0 && !expected.empty()) refuse_stranger(profile, held, expected, path);
  add_unknown(profile, held, expected, problems);
}

void require_a_usable_value(const Profile& profile, const platform::Example& example,
                            const std::vector<platform::FieldProblem>& problems, const std::string& path) {
  const std::vector<std::string> expected = fields_asked_for(profile);
  const bool usable = std::any_of(expected.begin(), expected.end(),
                                  [&](const std::string& name) { return is_usable(example, problems, name); });
  if (!usable && !expected.empty()) refuse_unusable(profile, expected, "", path);
}

}  // namespace deploy
