#include "finetune/text/template/chat_encoder.h"

#include <tuple>

namespace finetune {
namespace {

namespace json = platform::json;

json::array to_json(const std::vector<platform::Message>& messages) {
  json::array all;
  for (const platform::Message& message : messages)
    all.push_back(json::object{{"role", message.role}, {"content", message.content}});
  return all;
}

}  // namespace

ChatEncoder::ChatEncoder()
    : refusal_(
          "this base has no chat template, so it takes no messages; put the template of its publisher in its folder "
          "as chat_template.jinja, or use prompt and completion") {}

ChatEncoder ChatEncoder::load(const std::filesystem::path& base_folder) {
  return made_by([&] { return Parts(ChatTemplate::load(base_folder), template_variables(base_folder)); });
}

ChatEncoder ChatEncoder::of_config(const json::value& config, const std::string& file) {
  return made_by([&] { return Parts(ChatTemplate::of_config(config, file), template_variables(config, file)); });
}

ChatEncoder ChatEncoder::made_by(const std::function<Parts()>& read) {
  ChatEncoder encoder;
  try {
    std::tie(encoder.template_, encoder.settings_.variables) = read();
  } catch (const platform::Error& error) {
    encoder.template_.reset();
    encoder.refusal_ =
        "this base takes no messages, because its chat template cannot be read: " + std::string(error.what()) +
        "; use prompt and completion with it";
  }
  return encoder;
}

const ChatTemplate& ChatEncoder::require_template() const {
  if (template_) return *template_;
  throw platform::Error(platform::ErrorCode::kInvalidInput, refusal_, "messages");
}

TokenSequence ChatEncoder::taught(const Tokenizer& tokenizer, const std::vector<platform::Message>& messages) const {
  return encode_chat(tokenizer, require_template(), to_json(messages), settings_);
}

std::vector<std::int32_t> ChatEncoder::read(const Tokenizer& tokenizer,
                                            const std::vector<platform::Message>& messages) const {
  return encode_chat_text(tokenizer, require_template(), to_json(messages), settings_, false);
}

std::vector<std::int32_t> ChatEncoder::asked(const Tokenizer& tokenizer,
                                             const std::vector<platform::Message>& messages) const {
  return encode_chat_text(tokenizer, require_template(), to_json(messages), settings_, true);
}

}  // namespace finetune
