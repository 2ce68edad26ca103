#include "web/client/teacher.h"

#include <algorithm>

#include "platform/base/error.h"

namespace web {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using platform::Example;

constexpr const char* kReplacement = "\xEF\xBF\xBD";

std::string name_of(const Example& example) { return example.id.empty() ? "an example" : "example " + example.id; }

// The text of a prompt without slots.
std::string prompt_of(const Example& example) {
  std::string text;
  for (const platform::PromptPart& part : platform::prompt_parts(example)) {
    if (part.kind != platform::PromptPart::Kind::kText)
      throw Error(ErrorCode::kInvalidInput,
                  name_of(example) + " has the slot " + part.text + ", which a teacher of text cannot read", "prompt");
    text += part.text;
  }
  return text;
}

// Text that holds a replaced byte is no token's own.
std::optional<std::string> exact(const std::string& text) {
  return text.find(kReplacement) == std::string::npos ? std::optional(text) : std::nullopt;
}

// OpenAI's chat tells the bytes beside the text; servers that do not leave them out or say null.
std::optional<std::string> bytes_of(const json::object& token) {
  const json::value* bytes = platform::find(token, "bytes");
  if (bytes == nullptr || !bytes->is_array()) return exact(platform::require_string(token, "token", "logprobs"));
  std::string text;
  for (const json::value& byte : bytes->get_array()) text += static_cast<char>(byte.to_number<unsigned char>());
  return text;
}

void add_likely(const std::optional<std::string>& bytes, double logprob, TaughtToken& token) {
  if (!bytes) return;
  const bool known =
      std::any_of(token.likely.begin(), token.likely.end(), [&](const auto& other) { return other.first == *bytes; });
  if (!known) token.likely.emplace_back(*bytes, std::min(0.0, logprob));
}

std::vector<TaughtToken> chat_tokens(const json::value& logprobs) {
  std::vector<TaughtToken> tokens;
  for (const json::value& item :
       platform::as_array(platform::require(logprobs.as_object(), "content", "logprobs"), "logprobs.content")) {
    const json::object& told = platform::as_object(item, "logprobs.content[]");
    TaughtToken token{bytes_of(told), {}};
    add_likely(token.bytes, platform::require_number(told, "logprob", "logprobs"), token);
    if (const json::value* top = platform::find(told, "top_logprobs")) {
      for (const json::value& other : platform::as_array(*top, "top_logprobs"))
        add_likely(bytes_of(platform::as_object(other, "top_logprobs[]")),
                   platform::require_number(other.as_object(), "logprob", "top_logprobs[]"), token);
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

std::vector<TaughtToken> text_tokens(const json::object& logprobs) {
  const json::array& texts = platform::as_array(platform::require(logprobs, "tokens", "logprobs"), "logprobs.tokens");
  const json::array& chosen =
      platform::as_array(platform::require(logprobs, "token_logprobs", "logprobs"), "logprobs.token_logprobs");
  const json::value* top = platform::find(logprobs, "top_logprobs");
  std::vector<TaughtToken> tokens;
  for (std::size_t i = 0; i < std::min(texts.size(), chosen.size()); ++i) {
    TaughtToken token{exact(std::string(texts[i].as_string())), {}};
    if (chosen[i].is_number()) add_likely(token.bytes, chosen[i].to_number<double>(), token);
    if (top != nullptr && top->is_array() && i < top->get_array().size() && top->get_array()[i].is_object()) {
      for (const auto& [text, logprob] : top->get_array()[i].get_object())
        add_likely(exact(std::string(text)), logprob.to_number<double>(), token);
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// What OpenAI's error shape says; "" for anything else.
std::string reason_in(const std::string& body) {
  try {
    const json::value document = platform::parse_json(body, "error");
    return ": " +
           platform::require_string(platform::as_object(platform::require(document.as_object(), "error", ""), "error"),
                                    "message", "");
  } catch (const std::exception&) {
    return {};
  }
}

const json::object& choice_of(const json::object& answer) {
  const json::array& choices = platform::as_array(platform::require(answer, "choices", "answer"), "choices");
  if (choices.empty()) throw Error(ErrorCode::kCorrupt, "the teacher answered with no choice");
  return platform::as_object(choices[0], "choices[0]");
}

std::string only_model(platform::HttpClient& client) {
  std::string names;
  std::size_t count = 0;
  std::string name;
  const json::value listed = client.get("/v1/models").checked().json();
  for (const json::value& item : platform::as_array(platform::require(listed.as_object(), "data", "models"), "data")) {
    name = platform::require_string(item.as_object(), "id", "data[]");
    names += (count++ == 0 ? "" : ", ") + name;
  }
  if (count == 1) return name;
  throw Error(ErrorCode::kInvalidInput,
              "the server at " + client.base_url() + " has " + std::to_string(count) + " models" +
                  (count == 0 ? "" : " (" + names + ")") + "; name one with --model",
              "model");
}

}  // namespace

Teacher::Teacher(TeacherOptions options)
    : options_(std::move(options)),
      client_(options_.url, {.timeout = std::chrono::minutes(10), .token = options_.token, .retries = 2}) {
  if (options_.model.empty()) options_.model = only_model(client_);
}

json::object Teacher::post(const char* path, json::object body) {
  body["model"] = options_.model;
  body["max_tokens"] = options_.max_tokens;
  body["temperature"] = options_.temperature;
  body["seed"] = options_.seed;
  const platform::HttpResponse answer = client_.post(path, json::serialize(body));
  if (answer.status / 100 != 2) {
    // OpenAI's error shape holds the reason; anything else is told by its status.
    std::string reason = "HTTP " + std::to_string(answer.status);
    reason += reason_in(answer.body);
    throw Error(answer.status >= 500 ? ErrorCode::kUnavailable : ErrorCode::kInvalidInput,
                "the teacher refused " + answer.request + ": " + reason);
  }
  return answer.json().as_object();
}

TaughtAnswer Teacher::ask(const Example& example) {
  try {
    if (!example.messages.empty()) return ask_with_messages(example);
    if (!example.prompt.empty()) return ask_with_prompt(example);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {  // a part of the answer that is of another kind than the format says
    throw Error(ErrorCode::kCorrupt, "the answer of " + client_.base_url() + " to " + name_of(example) +
                                         " is not in OpenAI's form: " + error.what());
  }
  throw Error(ErrorCode::kInvalidInput, name_of(example) + " is plain text, which asks a teacher nothing", "text");
}

TaughtAnswer Teacher::ask_with_prompt(const Example& example) {
  json::object body{{"prompt", prompt_of(example)}};
  if (options_.top > 0) body["logprobs"] = options_.top;
  const json::object answer = post("/v1/completions", std::move(body));
  const json::object& choice = choice_of(answer);
  TaughtAnswer taught;
  taught.text = platform::require_string(choice, "text", "choice");
  taught.ended = platform::string_or(choice, "finish_reason", "", "choice") == "stop";
  const json::value* logprobs = platform::find(choice, "logprobs");
  if (logprobs != nullptr && logprobs->is_object()) taught.tokens = text_tokens(logprobs->get_object());
  return taught;
}

TaughtAnswer Teacher::ask_with_messages(const Example& example) {
  json::array messages;
  for (std::size_t i = 0; i < example.messages.size(); ++i) {
    const platform::Message& message = example.messages[i];
    if (i + 1 == example.messages.size() && message.role == "assistant") break;  // the answer that is asked for anew
    messages.push_back(json::object{{"role", message.role}, {"content", message.content}});
  }
  json::object body{{"messages", std::move(messages)}};
  if (options_.top > 0) {
    body["logprobs"] = true;
    body["top_logprobs"] = options_.top;
  }
  const json::object answer = post("/v1/chat/completions", std::move(body));
  const json::object& choice = choice_of(answer);
  TaughtAnswer taught;
  taught.text = platform::require_string(platform::as_object(platform::require(choice, "message", "choice"), "message"),
                                         "content", "message");
  taught.ended = platform::string_or(choice, "finish_reason", "", "choice") == "stop";
  const json::value* logprobs = platform::find(choice, "logprobs");
  if (logprobs != nullptr && logprobs->is_object()) taught.tokens = chat_tokens(*logprobs);
  return taught;
}

}  // namespace web
