// Conversations of a base that brings a chat template, as tokens with the targets of the loss. The whole render is
// encoded at once, control tokens included, as every other tool does; so a text that spells a control token in a
// message is refused here, because it would become one. Pure functions; any thread.
#pragma once

#include "finetune/text/chat_format.h"
#include "finetune/text/template/chat_template.h"

namespace finetune {

/// 26 July 2024, which templates that print today's date fall back to. A conversation does not change with the day on
/// which it is encoded: what was learned is asked again, and an adapter's probe reproduces.
constexpr platform::Time kConversationDay = std::chrono::sys_days(std::chrono::year(2024) / 7 / 26);

/// What a template is rendered with, besides the messages.
struct ChatSettings {
  platform::json::value tools = nullptr;
  platform::json::object variables;         // bos_token, eos_token, enable_thinking, ...
  platform::Time today = kConversationDay;  // what strftime_now reads
};

/// bos_token, eos_token, pad_token and unk_token of a model folder's tokenizer_config.json, as texts.
platform::json::object template_variables(const std::filesystem::path& folder);
/// The same of its content; `file` names it in an error.
platform::json::object template_variables(const platform::json::value& config, const std::string& file);

/// Bytes of the render that the model learns to write: the template's generation blocks, or, where it has none, what
/// each assistant turn adds to the render of the messages before it. Throws kInvalidInput where such a turn is written
/// in another way once further messages follow.
RenderedChat supervised_render(const ChatTemplate& chat, const platform::json::array& messages,
                               const ChatSettings& settings);

/// The render as tokens; supervised is every token that stands for a byte of a generated span.
TokenSequence encode_render(const Tokenizer& tokenizer, const RenderedChat& rendered);
/// supervised_render() and encode_render(). Throws kInvalidInput where a message spells a control token.
TokenSequence encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat, const platform::json::array& messages,
                          const ChatSettings& settings);
/// The tokens alone; with `prompt` the template's generation prompt behind them, where the model goes on.
std::vector<std::int32_t> encode_chat_text(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                           const platform::json::array& messages, const ChatSettings& settings,
                                           bool prompt);

}  // namespace finetune
