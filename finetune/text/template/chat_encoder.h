// How one base writes conversations: the chat template of its folder, and what the template is rendered with. Training
// examples, predictions and the agent's chat all go through it, so that a model is asked in the words it was taught in.
// Immutable; any thread.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "finetune/text/template/chat_encoding.h"
#include "platform/dataset/example.h"

namespace finetune {

class ChatEncoder {
 public:
  /// Of a base without a template: it refuses every conversation.
  ChatEncoder();
  /// Reads chat_template.jinja or tokenizer_config.json's chat_template, and the tokens that a template may name. One
  /// that cannot be read does not spoil the base, which may be for other work: conversations are then refused with the
  /// template's fault.
  static ChatEncoder load(const std::filesystem::path& base_folder);
  /// The same of the content of a tokenizer_config.json; `file` is where it stands.
  static ChatEncoder of_config(const platform::json::value& config, const std::string& file);
  bool has_template() const { return template_.has_value(); }

  /// The whole conversation, with what the assistant said as targets. Throws kInvalidInput where the base has no
  /// template or none that can be read, where the template refuses the messages, and as encode_chat() does. `tokenizer`
  /// is the base's own.
  TokenSequence taught(const Tokenizer& tokenizer, const std::vector<platform::Message>& messages) const;
  /// The same tokens without targets, for a model that only reads.
  std::vector<std::int32_t> read(const Tokenizer& tokenizer, const std::vector<platform::Message>& messages) const;
  /// Up to where the assistant goes on.
  std::vector<std::int32_t> asked(const Tokenizer& tokenizer, const std::vector<platform::Message>& messages) const;

 private:
  using Parts = std::pair<std::optional<ChatTemplate>, platform::json::object>;  // and the template's variables
  static ChatEncoder made_by(const std::function<Parts()>& read);
  const ChatTemplate& require_template() const;

  std::optional<ChatTemplate> template_;
  std::string refusal_;  // why there is none
  ChatSettings settings_;
};

}  // namespace finetune
