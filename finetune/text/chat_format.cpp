#include "finetune/text/chat_format.h"

#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
using platform::Message;

std::int32_t control_token(const Tokenizer& tokenizer, std::string_view token) {
  const auto id = tokenizer.token_id(token);
  if (id && tokenizer.is_special(*id)) return *id;
  throw Error(ErrorCode::kInvalidInput,
              "this base has no control token " + std::string(token) +
                  "; conversations need anneal-nano's tokens, use prompt and completion with other bases");
}

void append(TokenSequence& sequence, std::int32_t id, bool supervised) {
  sequence.ids.push_back(id);
  sequence.supervised.push_back(supervised ? 1 : 0);
}

void append_text(TokenSequence& sequence, const Tokenizer& tokenizer, std::string_view text, bool supervised) {
  const std::vector<std::int32_t> ids = tokenizer.encode(text);
  sequence.ids.insert(sequence.ids.end(), ids.begin(), ids.end());
  sequence.supervised.resize(sequence.ids.size(), supervised ? 1 : 0);
}

TokenSequence begun(const Tokenizer& tokenizer) {
  TokenSequence sequence;
  if (const auto bos = tokenizer.bos_id()) append(sequence, *bos, false);
  return sequence;
}

std::int32_t role_token(const Tokenizer& tokenizer, const std::string& role) {
  if (role == "system" || role == "user" || role == "assistant") return control_token(tokenizer, "<|" + role + "|>");
  throw Error(ErrorCode::kInvalidInput, "message role must be system, user or assistant, not '" + role + "'",
              "messages.role");
}

}  // namespace

const std::vector<std::string>& nano_control_tokens() {
  static const std::vector<std::string> kTokens = {"<|pad|>",  "<|begin|>",     "<|end|>", "<|system|>",
                                                   "<|user|>", "<|assistant|>", "<|slot|>"};
  return kTokens;
}

TokenSequence format_messages(const Tokenizer& tokenizer, const std::vector<Message>& messages) {
  TokenSequence sequence = begun(tokenizer);
  const std::int32_t end = control_token(tokenizer, "<|end|>");
  for (const Message& message : messages) {
    const bool assistant = message.role == "assistant";
    append(sequence, role_token(tokenizer, message.role), false);
    append_text(sequence, tokenizer, message.content, assistant);
    append(sequence, end, assistant);
  }
  return sequence;
}

std::vector<std::int32_t> format_generation_prompt(const Tokenizer& tokenizer, const std::vector<Message>& messages) {
  TokenSequence sequence = format_messages(tokenizer, messages);
  sequence.ids.push_back(control_token(tokenizer, "<|assistant|>"));
  return std::move(sequence.ids);
}

TokenSequence format_text(const Tokenizer& tokenizer, std::string_view text) {
  TokenSequence sequence = begun(tokenizer);
  append_text(sequence, tokenizer, text, true);
  if (const auto end = tokenizer.eos_id()) append(sequence, *end, true);
  return sequence;
}

}  // namespace finetune
