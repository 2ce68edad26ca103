// The "pre_tokenizer" of a tokenizer.json: cuts text into the words that byte-pair merging never crosses.
// Supported: ByteLevel, Digits, Split, Sequence. Immutable; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/pattern.h"
#include "platform/base/json.h"

namespace finetune {

class PreTokenizer {
 public:
  using Sink = std::function<void(std::string_view)>;

  /// Throws kInvalidInput naming a kind that is not supported. `value` may be null: the text stays whole.
  explicit PreTokenizer(const platform::json::value& value);

  /// Calls `sink` with each non-empty piece from left to right; views live for the call only. `text` is UTF-8.
  void split(std::string_view text, const Sink& sink) const { apply(0, text, sink); }
  /// True if a ByteLevel step is there, so that pieces mean bytes.
  bool byte_level() const { return byte_level_; }

 private:
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  struct Step {
    bool prefix_space = false;
    std::optional<Pattern> pattern;  // absent: the step does not cut
    Behavior behavior = Behavior::kIsolated;
    bool invert = false;
  };
  struct Part {
    std::size_t begin;
    std::size_t end;
    bool match;
  };

  void add(const platform::json::value& value);
  void add_byte_level(const platform::json::object& object);
  void add_split(const platform::json::object& object);
  void apply(std::size_t step, std::string_view text, const Sink& sink) const;
  void isolate(std::size_t step, std::string_view text, const Sink& sink) const;
  static std::vector<Part> merge(std::vector<Part> parts, Behavior behavior);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

/// The expression of a ByteLevel step with use_regex.
extern const char* const kGpt2Expression;

}  // namespace finetune
