#include "finetune/text/normalizer.h"

#include <map>

#include "platform/base/error.h"

namespace finetune {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

Normalizer::Normalizer(const json::value& value) { add(value); }

void Normalizer::add(const json::value& value) {
  if (value.is_null()) return;
  const json::object& object = platform::as_object(value, "normalizer");
  const std::string type = platform::require_string(object, "type", "normalizer");
  if (type == "Sequence") {
    for (const json::value& inner :
         platform::as_array(platform::require(object, "normalizers", "normalizer"), "normalizer.normalizers"))
      add(inner);
    return;
  }
  static const std::map<std::string_view, Step> kSteps = {{"Lowercase", Lowercase{}},
                                                          {"NFC", NormalForm::kNfc},
                                                          {"NFD", NormalForm::kNfd},
                                                          {"NFKC", NormalForm::kNfkc},
                                                          {"NFKD", NormalForm::kNfkd}};
  const auto found = kSteps.find(type);
  if (found == kSteps.end()) {
    throw Error(ErrorCode::kInvalidInput,
                "tokenizer.json: normalizer '" + type +
                    "' is not supported; supported are Lowercase, NFC, NFD, NFKC, NFKD, Sequence",
                "normalizer.type");
  }
  steps_.push_back(found->second);
}

std::string Normalizer::apply(std::string_view text) const {
  std::string result(text);
  for (const Step& step : steps_) {
    const NormalForm* form = std::get_if<NormalForm>(&step);
    result = form ? normalized(result, *form) : lowercased(result);
  }
  return result;
}

}  // namespace finetune
