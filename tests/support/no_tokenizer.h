// The tokenizer of models whose documents are token ids; nothing asks it. For tests only.
#pragma once

#include "finetune/text/tokenizer.h"

namespace support {

inline finetune::Tokenizer no_tokenizer() {
  return finetune::Tokenizer::from_json(R"({"version": "1.0", "added_tokens": [], "normalizer": null,
      "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
      "post_processor": null,
      "decoder": {"type": "ByteLevel"},
      "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})");
}

}  // namespace support
