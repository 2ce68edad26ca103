#include "workflows/run_files.h"

#include <functional>

#include "platform/base/error.h"
#include "platform/engine/expression.h"

namespace workflows {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

// Texts anywhere in `value`.
void each_text(const json::value& value, const std::function<void(const std::string&)>& take) {
  if (value.is_string()) take(std::string(value.get_string()));
  if (value.is_array())
    for (const json::value& item : value.get_array()) each_text(item, take);
  if (value.is_object())
    for (const auto& pair : value.get_object()) each_text(pair.value(), take);
}

// What `value` will be when the step runs; only the inputs are known now.
json::value known_now(const json::value& value, const platform::Run& run, const std::string& field) {
  each_text(value, [&](const std::string& text) {
    for (const platform::Reference& reference : platform::find_references(text)) {
      if (reference.kind == platform::Reference::Kind::kStepOutput)
        throw Error(
            ErrorCode::kForbidden,
            "the path of a file cannot be the output of a step: " + text + "; name the file, or an input that does",
            field);
    }
  });
  return platform::resolve(value, run);
}

}  // namespace

void check_files(const platform::Run& run, const connectors::FileAccess& access) {
  for (const platform::RunStep& step : run.steps) {
    if (step.definition.kind != "dataset.snapshot") continue;
    const json::object& with = step.definition.with;
    const std::string where = "steps." + step.definition.name + ".with.";
    if (const json::value* files = platform::find(with, "files"))
      each_text(known_now(*files, run, where + "files"),
                [&](const std::string& path) { access.check(path, where + "files"); });
    const json::value* profile = platform::find(with, "profile");
    if (profile == nullptr || !profile->is_string()) continue;
    const json::value named = known_now(*profile, run, where + "profile");
    if (named.is_string()) access.check_profile(std::string(named.get_string()), where + "profile");
  }
}

}  // namespace workflows
