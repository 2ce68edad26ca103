#include "deploy/serving/answer_forms.h"

#include <optional>
#include <string>
#include <utility>

#include "platform/base/error.h"

namespace deploy {
namespace {

namespace json = platform::json;
using finetune::AnswerForm;
using platform::Error;
using platform::ErrorCode;

[[noreturn]] void refuse(const std::string& what, const std::string& key) {
  throw Error(ErrorCode::kInvalidInput, what, key);
}

// Some clients send the schema as a text.
AnswerForm of_schema(const json::value& schema, const std::string& key) {
  if (schema.is_string()) return AnswerForm::json(platform::parse_json(schema.get_string(), key));
  return AnswerForm::json(schema);
}

AnswerForm of_choices(const json::value& choices, const std::string& key) {
  std::vector<std::string> texts = platform::strings_from(choices, key);
  if (texts.empty()) refuse(key + " is empty; name the answers", key);
  return AnswerForm::one_of(std::move(texts));
}

AnswerForm of_response_format(const json::value& value) {
  const json::object& format = platform::as_object(value, "response_format");
  const std::string type = platform::require_string(format, "type", "response_format");
  if (type == "text") return {};
  if (type == "json_object") return AnswerForm::any_json_object();
  if (type != "json_schema")
    refuse("response_format.type \"" + type + "\" is not known here; use text, json_object or json_schema",
           "response_format");
  const json::object& named =
      platform::as_object(platform::require(format, "json_schema", "response_format"), "response_format.json_schema");
  return of_schema(platform::require(named, "schema", "response_format.json_schema"), "response_format");
}

AnswerForm of_structured_outputs(const json::value& value) {
  const json::object& outputs = platform::as_object(value, "structured_outputs");
  std::optional<AnswerForm> form;
  for (const auto& [key, wanted] : outputs) {
    if (wanted.is_null() || wanted == json::value(false)) continue;
    if (form) refuse("structured_outputs asks for two forms at once; give one", "structured_outputs");
    if (key == "choice")
      form = of_choices(wanted, "structured_outputs.choice");
    else if (key == "json")
      form = of_schema(wanted, "structured_outputs.json");
    else if (key == "json_object")
      form = AnswerForm::any_json_object();
    else
      refuse("structured_outputs." + std::string(key) + " is not known here; use choice, json or json_object",
             "structured_outputs");
  }
  return form.value_or(AnswerForm{});
}

}  // namespace

AnswerForm answer_form_of(const json::object& body) {
  using Read = AnswerForm (*)(const json::value&);
  static constexpr std::pair<const char*, Read> kForms[] = {
      {"response_format", of_response_format},
      {"structured_outputs", of_structured_outputs},
      {"guided_choice", [](const json::value& value) { return of_choices(value, "guided_choice"); }},
      {"guided_json", [](const json::value& value) { return of_schema(value, "guided_json"); }}};
  for (const char* key : {"guided_regex", "guided_grammar"}) {
    const json::value* given = platform::find(body, key);
    if (given != nullptr && !given->is_null())
      refuse(std::string(key) + " is not known here; use guided_choice, guided_json or response_format", key);
  }
  AnswerForm form;
  for (const auto& [key, read] : kForms) {
    const json::value* given = platform::find(body, key);
    if (given == nullptr || given->is_null()) continue;
    AnswerForm asked = read(*given);
    if (asked.is_free()) continue;
    if (!form.is_free()) refuse(std::string(key) + " stands beside another form of the answer; give one", key);
    form = std::move(asked);
  }
  return form;
}

}  // namespace deploy
