#include "platform/engine/expression.h"

#include <cctype>

#include "platform/base/error.h"

namespace platform {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

bool is_path(std::string_view text) {
  if (text.empty() || text.front() == '.' || text.back() == '.' || text.find("..") != std::string_view::npos)
    return false;
  for (char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && c != '-' && c != '.') return false;
  }
  return true;
}

Reference bad(std::string trouble) {
  Reference reference;
  reference.trouble = std::move(trouble);
  return reference;
}

Reference read_reference(std::string_view inside) {
  const std::string_view body = trimmed(inside);
  if (body.empty())
    return bad("the expression is empty; write ${{ inputs.NAME }}, ${{ steps.STEP.OUTPUT }} or ${{ run.id }}");
  const std::string shown = "'" + std::string(body) + "'";
  if (!is_path(body))
    return bad(shown + " is no expression; only names joined by dots are, such as inputs.NAME or steps.STEP.OUTPUT");
  Reference reference;
  const std::size_t dot = body.find('.');
  const std::string_view root = body.substr(0, dot);
  const std::string_view rest = dot == std::string_view::npos ? std::string_view() : body.substr(dot + 1);
  if (root == "inputs" && !rest.empty() && rest.find('.') == std::string_view::npos) {
    reference.kind = Reference::Kind::kInput;
    reference.name = rest;
  } else if (root == "steps" && rest.find('.') != std::string_view::npos) {
    reference.kind = Reference::Kind::kStepOutput;
    reference.name = rest.substr(0, rest.find('.'));
    reference.output = rest.substr(rest.find('.') + 1);
  } else if (body == "run.id") {
    reference.kind = Reference::Kind::kRunId;
  } else {
    return bad(shown + " names nothing; write inputs.NAME, steps.STEP.OUTPUT or run.id");
  }
  return reference;
}

const json::value* walk(const json::object& from, std::string_view path) {
  const json::object* object = &from;
  while (true) {
    const std::size_t dot = path.find('.');
    const json::value* found = object->if_contains(path.substr(0, dot));
    if (found == nullptr || dot == std::string_view::npos) return found;
    if (!found->is_object()) return nullptr;
    object = &found->get_object();
    path = path.substr(dot + 1);
  }
}

json::value value_of(const Reference& reference, const Run& run) {
  const json::value* found = nullptr;
  if (reference.kind == Reference::Kind::kRunId) return json::value(run.id.str());
  if (reference.kind == Reference::Kind::kBad) throw Error(ErrorCode::kInvalidInput, reference.trouble);
  if (reference.kind == Reference::Kind::kInput) {
    found = run.inputs.if_contains(reference.name);
    if (found == nullptr) throw Error(ErrorCode::kInvalidInput, "the run has no input '" + reference.name + "'");
  } else {
    const RunStep* step = run.step(reference.name);
    if (step != nullptr) found = walk(step->outputs, reference.output);
    if (found == nullptr)
      throw Error(ErrorCode::kInvalidInput, "step '" + reference.name + "' gave no output '" + reference.output + "'");
  }
  return *found;
}

std::string as_text(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : canonical_json(value);
}

json::value resolve_text(const std::string& text, const Run& run) {
  const std::vector<Reference> references = find_references(text);
  if (references.empty()) return json::value(text);
  if (references.size() == 1 && references[0].begin == 0 && references[0].end == text.size())
    return value_of(references[0], run);
  std::string out;
  std::size_t at = 0;
  for (const Reference& reference : references) {
    out += text.substr(at, reference.begin - at) + as_text(value_of(reference, run));
    at = reference.end;
  }
  return json::value(out + text.substr(at));
}

}  // namespace

std::vector<Reference> find_references(std::string_view text) {
  std::vector<Reference> found;
  std::size_t at = 0;
  while ((at = text.find("${{", at)) != std::string_view::npos) {
    const std::size_t close = text.find("}}", at);
    Reference reference = close == std::string_view::npos ? bad("the expression is not closed; write }} at its end")
                                                          : read_reference(text.substr(at + 3, close - at - 3));
    reference.begin = at;
    reference.end = close == std::string_view::npos ? text.size() : close + 2;
    at = reference.end;
    found.push_back(std::move(reference));
  }
  return found;
}

json::value resolve(const json::value& value, const Run& run) {
  if (value.is_string()) return resolve_text(std::string(value.get_string()), run);
  if (value.is_array()) {
    json::array out;
    for (const json::value& each : value.get_array()) out.push_back(resolve(each, run));
    return out;
  }
  if (value.is_object()) {
    json::object out;
    for (const auto& [key, each] : value.get_object()) out[key] = resolve(each, run);
    return out;
  }
  return value;
}

std::string condition_trouble(std::string_view condition) {
  const std::string_view text = trimmed(condition);
  if (text.empty() || text == "true" || text == "false") return {};
  const std::vector<Reference> references = find_references(text);
  if (references.size() == 1 && references[0].begin == 0 && references[0].end == text.size())
    return references[0].trouble;
  return "a condition is one expression such as ${{ inputs.NAME }} and nothing else, or true or false, not '" +
         std::string(text) + "'";
}

bool holds(std::string_view condition, const Run& run) {
  const std::string_view text = trimmed(condition);
  if (const std::string trouble = condition_trouble(text); !trouble.empty())
    throw Error(ErrorCode::kInvalidInput, trouble, "if");
  if (text.empty()) return true;
  const json::value value = resolve(json::value(std::string(text)), run);
  if (value.is_null()) return false;
  if (value.is_bool()) return value.get_bool();
  if (value.is_number()) return value.to_number<double>() != 0;
  if (value.is_string())
    return !value.get_string().empty() && value.get_string() != "false" && value.get_string() != "no";
  return true;
}

}  // namespace platform
