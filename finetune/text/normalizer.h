// The "normalizer" of a tokenizer.json: Unicode normal forms and lower-casing, alone or in sequence.
// Immutable; any thread.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "finetune/text/unicode.h"
#include "platform/base/json.h"

namespace finetune {

class Normalizer {
 public:
  /// `value` may be null. Throws kInvalidInput naming a kind that is not supported.
  explicit Normalizer(const platform::json::value& value);
  /// `text` must be well-formed UTF-8.
  std::string apply(std::string_view text) const;
  /// True if apply() never changes anything.
  bool is_identity() const { return steps_.empty(); }

 private:
  struct Lowercase {};
  using Step = std::variant<NormalForm, Lowercase>;
  void add(const platform::json::value& value);
  std::vector<Step> steps_;
};

}  // namespace finetune
