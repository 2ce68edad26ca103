// What one render of a template may use: steps, memory, the length of a string, depth. Everything that a template can
// make larger is counted here before it is made, so that a hostile template ends early with an error that names its
// line and the limit. One render has one budget; a budget belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "platform/base/error.h"

namespace finetune {

/// Defaults are far above what the templates of published models need.
struct TemplateLimits {
  std::size_t template_bytes = std::size_t{512} << 10;
  std::size_t output_bytes = std::size_t{16} << 20;
  std::size_t text_bytes = std::size_t{8} << 20;      // one string
  std::size_t memory_bytes = std::size_t{128} << 20;  // all strings, lists and dictionaries alive at once
  std::uint64_t steps = 5'000'000;                    // a node evaluated, or 64 bytes or 4 items handled
  int nesting = 200;                                  // of the template's own syntax, and of a value in values
  int depth = 600;                                    // of calls and expressions while rendering
  std::int64_t range_items = 100'000;
};

/// Any fault of a template, in reading it or in rendering it. kTooLarge where a limit stopped it, else kInvalidInput.
class TemplateError : public platform::Error {
 public:
  TemplateError(platform::ErrorCode code, int line, const std::string& reason, bool raised = false)
      : Error(code, "chat template line " + std::to_string(line) + ": " + reason),
        line_(line),
        reason_(reason),
        raised_(raised) {}

  /// Counted from 1.
  int line() const { return line_; }
  /// The message without the place.
  const std::string& reason() const { return reason_; }
  /// True if the template itself refused its input, by raise_exception(reason).
  bool raised() const { return raised_; }

 private:
  int line_;
  std::string reason_;
  bool raised_;
};

namespace jinja {

class Budget {
 public:
  explicit Budget(const TemplateLimits& limits) : limits_(limits) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  const TemplateLimits& limits() const { return limits_; }
  /// The line that errors name from here on.
  void at_line(int line) { line_ = line; }
  int line() const { return line_; }

  void step(std::uint64_t count = 1) {
    steps_ += count;
    if (steps_ > limits_.steps) too_many_steps();
  }
  /// For work that grows with the length of a text or a list.
  void step_bytes(std::size_t bytes) { step(bytes / 64); }
  /// The same for work on each character, which takes longer.
  void step_characters(std::size_t bytes) { step(bytes / 8); }
  void step_items(std::size_t items) { step(items / 4); }

  /// Throws kTooLarge if a text of so many bytes may not be made.
  void check_text(std::size_t bytes) const;
  void check_nesting(int nesting) const;
  void take_memory(std::size_t bytes);
  void return_memory(std::size_t bytes) { memory_ -= bytes; }
  void enter();
  void leave() { --depth_; }

  [[noreturn]] void fail(const std::string& reason) const;
  [[noreturn]] void fail_limit(const std::string& reason) const;

 private:
  [[noreturn]] void too_many_steps() const;

  TemplateLimits limits_;
  int line_ = 1;
  int depth_ = 0;
  std::uint64_t steps_ = 0;
  std::size_t memory_ = 0;
};

/// One level of depth while it lives.
class DepthGuard {
 public:
  explicit DepthGuard(Budget& budget) : budget_(budget) { budget_.enter(); }
  ~DepthGuard() { budget_.leave(); }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  Budget& budget_;
};

/// A share of a budget's memory, given back when it dies. The budget must live longer.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Budget& budget, std::size_t bytes) : budget_(&budget) { grow(bytes); }
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();

  /// REQUIRES: made with a budget.
  void grow(std::size_t bytes);

 private:
  Budget* budget_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace jinja
}  // namespace finetune
