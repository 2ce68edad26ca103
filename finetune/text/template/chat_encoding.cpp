#include "finetune/text/template/chat_encoding.h"

#include <algorithm>
#include <utility>

#include "platform/base/file.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

class FixedDay final : public platform::Clock {
 public:
  explicit FixedDay(platform::Time day) : day_(day) {}
  platform::Time now() const override { return day_; }

 private:
  platform::Time day_;
};

std::string render_part(const ChatTemplate& chat, const json::array& messages, std::size_t count,
                        const ChatSettings& settings, bool prompt) {
  json::object variables = settings.variables;
  variables["add_generation_prompt"] = prompt;
  const auto end = messages.begin() + static_cast<std::ptrdiff_t>(count);
  return chat.render(json::array(messages.begin(), end), settings.tools, variables, FixedDay(settings.today)).text;
}

bool is_assistant(const json::value& message) {
  const json::object* fields = message.if_object();
  const json::value* role = fields ? fields->if_contains("role") : nullptr;
  return role && role->is_string() && role->get_string() == "assistant";
}

// What the turn at `index` adds to the render of those before it. The generation prompt belongs to the question as far
// as the answer begins with it.
ByteSpan turn_span(const ChatTemplate& chat, const json::array& messages, std::size_t index,
                   const ChatSettings& settings, const std::string& text) {
  const std::string asked = render_part(chat, messages, index, settings, false);
  const std::string prompted = render_part(chat, messages, index, settings, true);
  const std::string answered = render_part(chat, messages, index + 1, settings, false);
  if (!text.starts_with(asked) || !text.starts_with(answered) || !prompted.starts_with(asked)) {
    throw Error(ErrorCode::kInvalidInput,
                "the chat template writes assistant message " + std::to_string(index + 1) +
                    " in another way once further messages follow, so that its text cannot be told apart; add "
                    "{% generation %} blocks to the template, or end the conversation there",
                "messages");
  }
  const std::size_t shorter = std::min(prompted.size(), text.size());
  const auto differs =
      std::mismatch(prompted.begin(), prompted.begin() + static_cast<std::ptrdiff_t>(shorter), text.begin()).first;
  const auto begin = static_cast<std::size_t>(differs - prompted.begin());
  return {std::min(begin, answered.size()), answered.size()};
}

void refuse_control_tokens(const Tokenizer& tokenizer, const json::value& value) {
  if (const auto* text = value.if_string()) {
    for (const std::int32_t id : tokenizer.encode(*text, {.parse_special_tokens = true})) {
      if (!tokenizer.is_special(id)) continue;
      throw Error(
          ErrorCode::kInvalidInput,
          "a message spells a control token of this base: " + tokenizer.token_bytes(id) + "; take it out of the text",
          "messages");
    }
  }
  if (const auto* list = value.if_array()) {
    for (const json::value& item : *list) refuse_control_tokens(tokenizer, item);
  }
  if (const auto* fields = value.if_object()) {
    for (const auto& [key, item] : *fields) refuse_control_tokens(tokenizer, item);
  }
}

}  // namespace

json::object template_variables(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "tokenizer_config.json";
  if (!std::filesystem::exists(path)) return {};
  return template_variables(platform::read_json_file(path), path.string());
}

json::object template_variables(const json::value& config, const std::string& file) {
  json::object variables;
  for (const char* name : {"bos_token", "eos_token", "pad_token", "unk_token"}) {
    const json::value* token = platform::find(platform::as_object(config, file), name);
    if (token && token->is_object()) token = platform::find(token->get_object(), "content");
    if (token && token->is_string()) variables[name] = *token;
  }
  return variables;
}

RenderedChat supervised_render(const ChatTemplate& chat, const json::array& messages, const ChatSettings& settings) {
  RenderedChat rendered = chat.render(messages, settings.tools, settings.variables, FixedDay(settings.today));
  if (!rendered.generated.empty()) return rendered;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (is_assistant(messages[i])) {
      rendered.generated.push_back(turn_span(chat, messages, i, settings, rendered.text));
    }
  }
  return rendered;
}

TokenSequence encode_render(const Tokenizer& tokenizer, const RenderedChat& rendered) {
  TokenSpans tokens = tokenizer.encode_spans(rendered.text, {.parse_special_tokens = true});
  TokenSequence sequence;
  sequence.ids = std::move(tokens.ids);
  for (const ByteSpan& token : tokens.spans) {
    const bool supervised =
        std::any_of(rendered.generated.begin(), rendered.generated.end(),
                    [&](const ByteSpan& span) { return span.begin < token.end && token.begin < span.end; });
    sequence.supervised.push_back(supervised ? 1 : 0);
  }
  return sequence;
}

TokenSequence encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat, const json::array& messages,
                          const ChatSettings& settings) {
  refuse_control_tokens(tokenizer, messages);
  return encode_render(tokenizer, supervised_render(chat, messages, settings));
}

std::vector<std::int32_t> encode_chat_text(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                           const json::array& messages, const ChatSettings& settings, bool prompt) {
  refuse_control_tokens(tokenizer, messages);
  const std::string text = render_part(chat, messages, messages.size(), settings, prompt);
  return tokenizer.encode(text, {.parse_special_tokens = true});
}

}  // namespace finetune
