#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "deploy/serving/answer_forms.h"
#include "deploy/serving/routes.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"
#include "platform/dataset/storable.h"

namespace deploy {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using platform::Request;
using platform::Response;

constexpr std::size_t kBodyLimitBytes = std::size_t{4} << 20;
constexpr std::int64_t kMostTokens = 8192;

struct Ask {
  bool chat = true;
  std::string id;
  std::string prediction;  // the id without OpenAI's prefix
  std::int64_t created = 0;
  std::string model;
  std::vector<platform::Message> messages;  // chat
  std::string prompt;                       // completions
  finetune::GenerateOptions options;
  finetune::AnswerForm form;
  bool stream = false;
  bool include_usage = false;
};

json::object error_body(const Error& error) {
  const char* type = platform::http_status(error.code()) >= 500 ? "server_error" : "invalid_request_error";
  json::object body{{"message", error.what()}, {"type", type}, {"code", platform::to_string(error.code())}};
  body["param"] = error.path().empty() ? json::value() : json::value(error.path());
  return {{"error", std::move(body)}};
}

// OpenAI's clients expect their own error shape, not a problem document.
std::function<Response(const Request&)> with_openai_errors(std::function<Response(const Request&)> handler) {
  return [handler = std::move(handler)](const Request& request) {
    try {
      return handler(request);
    } catch (const Error& error) {
      return platform::json_response(error_body(error), platform::http_status(error.code()));
    }
  };
}

std::string content_of(const json::value& content) {
  if (content.is_string()) return std::string(content.as_string());
  std::string text;
  for (const json::value& part : platform::as_array(content, "messages.content")) {
    const json::object& piece = platform::as_object(part, "messages.content");
    if (platform::require_string(piece, "type", "messages.content") != "text")
      throw Error(ErrorCode::kInvalidInput, "only text parts are understood", "messages.content");
    text += platform::require_string(piece, "text", "messages.content");
  }
  return text;
}

std::vector<platform::Message> messages_of(const json::object& body) {
  std::vector<platform::Message> messages;
  for (const json::value& entry : platform::as_array(platform::require(body, "messages", "body"), "messages")) {
    const json::object& message = platform::as_object(entry, "messages");
    std::string role = platform::require_string(message, "role", "messages");
    if (role == "developer") role = "system";
    messages.push_back({std::move(role), content_of(platform::require(message, "content", "messages"))});
  }
  if (messages.empty()) throw Error(ErrorCode::kInvalidInput, "messages is empty", "messages");
  return messages;
}

std::int32_t count_in(const json::object& body, const char* name) {
  const std::int64_t value = platform::int_or(body, name, 0, "body");
  if (value < -1 || value > 1'000'000)
    throw Error(ErrorCode::kInvalidInput, std::string(name) + " lies between 0 and 1000000", name);
  return static_cast<std::int32_t>(value);
}

// A chat says whether, and beside it how many alternatives; a completion says how many.
std::optional<std::int32_t> logprobs_in(const json::object& body, bool chat) {
  const json::value* asked = platform::find(body, "logprobs");
  if (asked == nullptr || asked->is_null()) return std::nullopt;
  if (chat && !platform::bool_or(body, "logprobs", false, "body")) return std::nullopt;
  if (platform::bool_or(body, "stream", false, "body"))
    throw Error(ErrorCode::kInvalidInput, "logprobs come with a whole answer only; leave out stream", "logprobs");
  return count_in(body, chat ? "top_logprobs" : "logprobs");
}

finetune::GenerateOptions options_of(const json::object& body, bool chat) {
  finetune::GenerateOptions options;
  options.max_tokens = platform::int_or(body, "max_completion_tokens",
                                        platform::int_or(body, "max_tokens", options.max_tokens, "body"), "body");
  if (options.max_tokens < 1 || options.max_tokens > kMostTokens)
    throw Error(ErrorCode::kInvalidInput, "max_tokens lies between 1 and 8192", "max_tokens");
  const auto number = [&](const char* name, float fallback) {
    return static_cast<float>(platform::number_or(body, name, static_cast<double>(fallback), "body"));
  };
  options.temperature = number("temperature", options.temperature);
  options.top_k = std::max(count_in(body, "top_k"), 0);  // vLLM's clients write -1 for all
  options.top_p = number("top_p", options.top_p);
  options.min_p = number("min_p", options.min_p);
  options.typical_p = number("typical_p", options.typical_p);
  options.repetition_penalty = number("repetition_penalty", options.repetition_penalty);
  options.no_repeat_ngram_size = count_in(body, "no_repeat_ngram_size");
  options.seed = static_cast<std::uint64_t>(platform::int_or(body, "seed", 1, "body"));
  if (const json::value* stop = platform::find(body, "stop"))
    options.stop = stop->is_string() ? std::vector<std::string>{std::string(stop->as_string())}
                                     : platform::strings_from(*stop, "stop");
  if (platform::int_or(body, "n", 1, "body") != 1)
    throw Error(ErrorCode::kInvalidInput, "n is 1; ask again for more answers", "n");
  for (const char* name : {"frequency_penalty", "presence_penalty"}) {
    if (number(name, 0.0f) != 0.0f)
      throw Error(ErrorCode::kInvalidInput, std::string(name) + " is not known here; use repetition_penalty", name);
  }
  options.logprobs = logprobs_in(body, chat);
  options.validate();
  return options;
}

Ask ask_from(const Request& request, const ServedModel& served, Serving& serving, bool chat) {
  const json::object body = request.json_object();
  platform::require_storable(body, "body");
  Ask ask;
  ask.chat = chat;
  ask.model = platform::string_or(body, "model", served.targets().model, "body");
  if (ask.model != served.targets().model)
    throw Error(ErrorCode::kNotFound,
                "model \"" + ask.model + "\" is not served here; this agent serves \"" + served.targets().model + "\"",
                "model");
  if (chat)
    ask.messages = messages_of(body);
  else
    ask.prompt = platform::require_string(body, "prompt", "body");
  ask.options = options_of(body, chat);
  ask.form = answer_form_of(body);
  ask.stream = platform::bool_or(body, "stream", false, "body");
  if (const json::value* stream_options = platform::find(body, "stream_options"))
    ask.include_usage = platform::bool_or(platform::as_object(*stream_options, "stream_options"), "include_usage",
                                          false, "stream_options");
  ask.prediction = serving.ids().make();
  ask.id = (chat ? "chatcmpl-" : "cmpl-") + ask.prediction;
  ask.created = std::chrono::duration_cast<std::chrono::seconds>(serving.clock().now().time_since_epoch()).count();
  return ask;
}

// What was asked, as it is kept for the server.
json::object asked_of(const Ask& ask) {
  if (!ask.chat) return {{"prompt", ask.prompt}};
  json::array messages;
  for (const platform::Message& message : ask.messages)
    messages.push_back(json::object{{"role", message.role}, {"content", message.content}});
  return {{"messages", std::move(messages)}};
}

finetune::Generation generate(Serving& serving, ServedModel& served, const Ask& ask,
                              const finetune::OnPiece& on_piece = {}) {
  auto generation = judged(served, [&] {
    return ask.chat ? served.predictor.chat(ask.messages, ask.options, on_piece, ask.form)
                    : served.predictor.complete(ask.prompt, ask.options, on_piece, ask.form);
  });
  serving.known().remember(ask.prediction, true);
  serving.keep_answer(served, ask.prediction, asked_of(ask),
                      {{"text", generation.text}, {"finish_reason", generation.finish_reason}});
  return generation;
}

json::object usage_of(const finetune::Generation& generation) {
  return {{"prompt_tokens", generation.prompt_tokens},
          {"completion_tokens", generation.completion_tokens},
          {"total_tokens", generation.prompt_tokens + generation.completion_tokens}};
}

// `adapter_digest` and `model_version` are ours: every answer names what gave it.
json::object frame(const Ask& ask, const ServedModel& served, json::array choices, bool chunk) {
  const char* object = ask.chat ? (chunk ? "chat.completion.chunk" : "chat.completion") : "text_completion";
  return {{"id", ask.id},
          {"object", object},
          {"created", ask.created},
          {"model", ask.model},
          {"model_version", served.targets().model_version},
          {"adapter_digest", served.targets().adapter_digest},
          {"choices", std::move(choices)}};
}

// A token's own text; bytes that are a part of a character are shown as U+FFFD, and stand in `bytes` as they are.
std::string shown_text(const finetune::TokenLogprob& token) { return finetune::repair_utf8(token.bytes); }

json::object chat_logprob(const finetune::TokenLogprob& token) {
  json::array bytes;
  for (const char byte : token.bytes) bytes.emplace_back(static_cast<unsigned char>(byte));
  return {{"token", shown_text(token)}, {"logprob", token.logprob}, {"bytes", std::move(bytes)}};
}

json::object chat_logprobs(const finetune::Generation& generation) {
  json::array content;
  for (const finetune::GeneratedToken& token : generation.tokens) {
    json::object entry = chat_logprob(token.chosen);
    json::array top;
    for (const finetune::TokenLogprob& other : token.alternatives) top.push_back(chat_logprob(other));
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}};
}

json::object text_logprobs(const finetune::Generation& generation) {
  json::array tokens, logprobs, top;
  for (const finetune::GeneratedToken& token : generation.tokens) {
    tokens.emplace_back(shown_text(token.chosen));
    logprobs.emplace_back(token.chosen.logprob);
    json::object others;
    for (const finetune::TokenLogprob& other : token.alternatives) others[shown_text(other)] = other.logprob;
    top.push_back(std::move(others));
  }
  return {{"tokens", std::move(tokens)}, {"token_logprobs", std::move(logprobs)}, {"top_logprobs", std::move(top)}};
}

json::array whole_choice(const Ask& ask, const finetune::Generation& generation) {
  json::object choice{{"index", 0}, {"finish_reason", generation.finish_reason}, {"logprobs", nullptr}};
  if (ask.options.logprobs) choice["logprobs"] = ask.chat ? chat_logprobs(generation) : text_logprobs(generation);
  if (ask.chat)
    choice["message"] = json::object{{"role", "assistant"}, {"content", generation.text}};
  else
    choice["text"] = generation.text;
  return {std::move(choice)};
}

json::array piece_choice(const Ask& ask, json::object delta, json::value finish_reason) {
  json::object choice{{"index", 0}, {"finish_reason", std::move(finish_reason)}};
  if (ask.chat) {
    choice["delta"] = std::move(delta);
  } else {
    const json::value* text = delta.if_contains("content");
    choice["text"] = text == nullptr ? json::value("") : *text;
  }
  return {std::move(choice)};
}

void stream(Serving& serving, ServedModel& served, const Ask& ask, platform::EventSink& sink) {
  const auto send = [&](json::array choices) {
    return sink.send("", json::serialize(frame(ask, served, std::move(choices), true)));
  };
  try {
    if (ask.chat && !send(piece_choice(ask, {{"role", "assistant"}, {"content", ""}}, nullptr))) return;
    const auto generation = generate(serving, served, ask, [&](std::string_view piece) {
      return send(piece_choice(ask, {{"content", piece}}, nullptr));
    });
    send(piece_choice(ask, {}, json::value(generation.finish_reason)));
    if (ask.include_usage) {
      json::object last = frame(ask, served, {}, true);
      last["usage"] = usage_of(generation);
      sink.send("", json::serialize(last));
    }
  } catch (const Error& error) {
    sink.send("", json::serialize(error_body(error)));  // the status line is long gone
  }
  sink.send("", "[DONE]");
}

Response complete(Serving& serving, const Request& request, bool chat) {
  const auto served = serving.model();
  const Ask ask = ask_from(request, *served, serving, chat);
  serving.metrics().count("anneal_agent_completions_total", "Generations asked for");
  if (ask.stream)
    return platform::event_response(
        [&serving, served, ask](platform::EventSink& sink) { stream(serving, *served, ask, sink); });
  const auto generation = generate(serving, *served, ask);
  json::object body = frame(ask, *served, whole_choice(ask, generation), false);
  body["usage"] = usage_of(generation);
  return platform::json_response(body);
}

Response models(Serving& serving) {
  json::array list;
  if (const auto served = serving.model_or_null())
    list.push_back(json::object{{"id", served->targets().model},
                                {"object", "model"},
                                {"created", 0},
                                {"owned_by", "anneal"},
                                {"root", served->targets().adapter_digest},
                                {"parent", served->targets().base_digest},
                                {"model_version", served->targets().model_version}});
  return platform::json_response(json::object{{"object", "list"}, {"data", std::move(list)}});
}

}  // namespace

void add_openai_routes(platform::RouteTable& table, Serving& serving) {
  using platform::Method;
  table.add({Method::kGet, "/v1/models", "Lists the model that answers", "",
             [&serving](const Request&) { return models(serving); }});
  table.add(
      {Method::kPost, "/v1/chat/completions", "Answers a conversation (OpenAI's format)", "",
       for_json(with_openai_errors([&serving](const Request& request) { return complete(serving, request, true); })),
       kBodyLimitBytes});
  table.add(
      {Method::kPost, "/v1/completions", "Continues a text (OpenAI's format)", "",
       for_json(with_openai_errors([&serving](const Request& request) { return complete(serving, request, false); })),
       kBodyLimitBytes});
}

}  // namespace deploy
