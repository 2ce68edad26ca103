#include "finetune/text/token_id.h"

#include "platform/base/error.h"

namespace finetune {
namespace {

constexpr std::int64_t kMaxId = 16'000'000;
constexpr std::size_t kMaxTokenBytes = 4096;

}  // namespace

void corrupt_tokenizer(const std::string& what) {
  throw platform::Error(platform::ErrorCode::kCorrupt, "tokenizer.json: " + what + "; fetch it again");
}

void check_token_length(std::string_view token) {
  if (token.size() > kMaxTokenBytes)
    corrupt_tokenizer("a token is " + std::to_string(token.size()) + " bytes long, more than " +
                      std::to_string(kMaxTokenBytes) + ": '" + std::string(token.substr(0, 80)) + "'");
}

std::int32_t checked_token_id(const platform::json::value& id, std::string_view token) {
  const std::string shown(token.substr(0, 80));
  if (!id.is_int64()) corrupt_tokenizer("token '" + shown + "' has no whole number as its id");
  if (id.get_int64() < 0 || id.get_int64() > kMaxId)
    corrupt_tokenizer("token '" + shown + "' has the id " + std::to_string(id.get_int64()));
  return static_cast<std::int32_t>(id.get_int64());
}

}  // namespace finetune
