// A headless Chromium that a test types into, over the DevTools protocol on a pair of pipes: no port, no driver. Ends
// with the object. One thread.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/base/json.h"
#include "platform/base/process.h"

namespace tests {

class Browser {
 public:
  /// Its program; nullopt if this machine has none.
  static std::optional<std::string> program() {
    for (const char* path : {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"}) {
      if (::access(path, X_OK) == 0) return path;
    }
    return std::nullopt;
  }

  /// `language`: what its user reads, such as "ko-KR".
  explicit Browser(const std::string& language) {
    const std::string to = folder_.path() / "to", from = folder_.path() / "from";
    if (::mkfifo(to.c_str(), 0600) != 0 || ::mkfifo(from.c_str(), 0600) != 0)
      platform::throw_errno("making pipes for the browser", errno);
    to_ = platform::FileDescriptor(
        ::open(to.c_str(), O_RDWR | O_CLOEXEC));  // both ends, so that no open waits for the other side
    from_ = platform::FileDescriptor(::open(from.c_str(), O_RDWR | O_CLOEXEC));
    platform::ProcessOptions options;
    options.log_file = folder_.path() / "log";
    options.environment = {{"HOME", folder_.path().string()}};
    process_.emplace(
        std::vector<std::string>{"/bin/bash", "-c", "exec \"$@\" 3<\"$0/to\" 4>\"$0/from\"", folder_.path().string(),
                                 program().value(), "--headless", "--no-sandbox", "--disable-gpu",
                                 "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe",
                                 "--window-size=1280,1000", "--accept-lang=" + language, "--lang=" + language,
                                 "--user-data-dir=" + (folder_.path() / "profile").string(), "about:blank"},
        options);
    const auto target = call("Target.createTarget", {{"url", "about:blank"}}).at("targetId");
    session_ = std::string(
        call("Target.attachToTarget", {{"targetId", target}, {"flatten", true}}).at("sessionId").as_string());
    for (const char* domain : {"Page.enable", "Runtime.enable", "Network.enable"}) call(domain);
  }

  void open(const std::string& url) { call("Page.navigate", {{"url", url}}); }
  /// The value of a JavaScript expression.
  platform::json::value evaluate(const std::string& expression) {
    const auto answer = call("Runtime.evaluate", {{"expression", expression}, {"returnByValue", true}});
    if (answer.contains("exceptionDetails"))
      throw platform::Error(platform::ErrorCode::kInternal,
                            expression + ": " + platform::json::serialize(answer.at("exceptionDetails")));
    const platform::json::object& result = answer.at("result").as_object();
    return result.contains("value") ? result.at("value") : platform::json::value();
  }
  std::string text(const std::string& expression) {
    const auto value = evaluate(expression);
    return value.is_string() ? std::string(value.as_string()) : platform::json::serialize(value);
  }
  /// Asks until it is true; false when the limit has passed.
  bool becomes(const std::string& expression, std::chrono::seconds limit = std::chrono::seconds(30)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < deadline) {
      if (evaluate(expression) == platform::json::value(true)) return true;
      ::poll(nullptr, 0, 50);
    }
    return false;
  }
  /// As a keyboard would, into what has the focus; then the Enter key.
  void type_and_enter(const std::string& text) {
    call("Input.insertText", {{"text", text}});
    for (const char* kind : {"keyDown", "keyUp"})
      call("Input.dispatchKeyEvent",
           {{"type", kind}, {"key", "Enter"}, {"code", "Enter"}, {"windowsVirtualKeyCode", 13}, {"text", "\r"}});
  }
  /// What the page told over the network so far: each request (its address, method, headers and body), and each
  /// exception.
  const std::vector<platform::json::object>& requests() const { return requests_; }
  const std::vector<std::string>& exceptions() const { return exceptions_; }

  platform::json::object call(const std::string& method, platform::json::object params = {}) {
    platform::json::object message{{"id", ++last_id_}, {"method", method}, {"params", std::move(params)}};
    if (!session_.empty()) message["sessionId"] = session_;
    std::string line = platform::json::serialize(message);
    line.push_back('\0');
    if (::write(to_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      platform::throw_errno("writing to the browser", errno);
    for (;;) {
      const platform::json::object answer = next_message();
      const platform::json::value* id = answer.if_contains("id");
      if (id == nullptr) note(answer);
      if (id == nullptr || *id != platform::json::value(last_id_)) continue;
      if (answer.contains("error"))
        throw platform::Error(platform::ErrorCode::kInternal,
                              method + ": " + platform::json::serialize(answer.at("error")));
      return answer.at("result").as_object();
    }
  }

 private:
  void note(const platform::json::object& event) {
    const platform::json::value& what = event.at("method");
    if (what == "Network.requestWillBeSent") requests_.push_back(event.at("params").at("request").as_object());
    if (what == "Network.requestWillBeSentExtraInfo")
      requests_.push_back({{"url", ""}, {"headers", event.at("params").at("headers")}});
    if (what == "Runtime.exceptionThrown") exceptions_.push_back(platform::json::serialize(event.at("params")));
  }

  platform::json::object next_message() {
    for (;;) {
      const std::size_t end = read_.find('\0');
      if (end != std::string::npos) {
        const platform::json::object message = platform::json::parse(read_.substr(0, end)).as_object();
        read_.erase(0, end + 1);
        return message;
      }
      pollfd waiting{from_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, 60'000) <= 0)
        throw platform::Error(platform::ErrorCode::kUnavailable,
                              "the browser says nothing; its log: " + platform::read_file(folder_.path() / "log"));
      std::array<char, 65536> piece{};
      const ssize_t got = ::read(from_.get(), piece.data(), piece.size());
      if (got <= 0) throw platform::Error(platform::ErrorCode::kUnavailable, "the browser has ended");
      read_.append(piece.data(), static_cast<std::size_t>(got));
    }
  }

  platform::TemporaryFolder folder_;
  platform::FileDescriptor to_, from_;
  std::string session_, read_;
  std::int64_t last_id_ = 0;
  std::vector<platform::json::object> requests_;
  std::vector<std::string> exceptions_;
  std::optional<platform::Process> process_;  // first to go
};

}  // namespace tests
