// Teacher: a larger model behind an OpenAI-compatible server, asked for the answer to an example and for what it found
// probable at each token of it. Belongs to one thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "platform/dataset/example.h"
#include "platform/http/client.h"

namespace web {

struct TeacherOptions {
  std::string url;    // of the server, without /v1
  std::string model;  // empty: the only one that it lists
  std::string token;  // empty = none
  std::int64_t max_tokens = 256;
  std::int64_t top = 20;  // alternatives of a token; 0 = answers alone
  double temperature = 0;
  std::int64_t seed = 1;
};

/// One token of an answer as the server tells it.
struct TaughtToken {
  std::optional<std::string> bytes;                    // nullopt: the server shows a part of a character as U+FFFD
  std::vector<std::pair<std::string, double>> likely;  // bytes and log probability; the token itself is among them
};

struct TaughtAnswer {
  std::string text;
  bool ended = false;               // false: cut off at max_tokens
  std::vector<TaughtToken> tokens;  // empty where the server tells none
};

class Teacher {
 public:
  /// Throws kInvalidInput where no model is named and the server does not list exactly one.
  explicit Teacher(TeacherOptions options);
  const std::string& model() const { return options_.model; }
  /// A prompt goes to /v1/completions, a conversation without the assistant's last turn to /v1/chat/completions. Throws
  /// kInvalidInput for an example that asks nothing (text) or has slots, which no text model can read, what the server
  /// answers, and kCorrupt naming the request for an answer of another form.
  TaughtAnswer ask(const platform::Example& example);

 private:
  TaughtAnswer ask_with_prompt(const platform::Example& example);
  TaughtAnswer ask_with_messages(const platform::Example& example);
  platform::json::object post(const char* path, platform::json::object body);

  TeacherOptions options_;
  platform::HttpClient client_;
};

}  // namespace web
