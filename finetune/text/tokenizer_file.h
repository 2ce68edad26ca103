// The content of tokenizer.json (and tokenizer_config.json) as checked plain data; what Tokenizer is built from.
// Values; any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/added_tokens.h"
#include "finetune/text/bpe.h"
#include "platform/base/json.h"

namespace finetune {

struct TokenizerFile {
  platform::json::value normalizer;
  platform::json::value pre_tokenizer;
  /// Token as spelled in the file -> id, without the added tokens that are not in the model's vocabulary.
  std::map<std::string, std::int32_t, std::less<>> vocabulary;
  std::vector<BpeMerge> merges;
  bool ignore_merges = false;
  std::optional<std::int32_t> unknown_id;
  bool fuse_unknown = false;
  /// A deque, because finders point into it.
  std::deque<AddedToken> added_tokens;
  /// What the template puts before and behind one text.
  std::vector<std::int32_t> prefix_ids;
  std::vector<std::int32_t> suffix_ids;
  std::string bos_token;
  std::string eos_token;
};

/// Throws kInvalidInput naming the part that is not supported, or kCorrupt where the parts contradict each other.
TokenizerFile read_tokenizer_file(std::string_view tokenizer_json, std::string_view config_json);

}  // namespace finetune
