#include "finetune/text/token_model.h"

#include "platform/base/error.h"

namespace finetune {

std::int32_t UnknownToken::require_id(std::string_view word) const {
  if (id) return *id;
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        "tokenizer.json: '" + std::string(word.substr(0, 80)) +
                            "' is not covered by the vocabulary, which has no unknown token" +
                            (name.empty() ? "" : " '" + name + "'") + "; take it out of the text or name one in model");
}

}  // namespace finetune
