// The cleaning that BERT vocabularies expect before their text is cut into words. Immutable; any thread.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace finetune {

class BertNormalizer {
 public:
  explicit BertNormalizer(const platform::json::object& object);
  /// Controls removed and white space made blank, spaces round Chinese characters, accents removed, lower case: in this
  /// order, each where the file wants it. `text` must be well-formed UTF-8.
  std::string apply(std::string_view text) const;

 private:
  bool clean_text_;
  bool space_chinese_;
  bool lowercase_;
  bool strip_accents_;
};

}  // namespace finetune
