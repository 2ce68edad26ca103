// A tokenizer of the 256 bytes and nothing else, for bases that are judged by token ids. For tests only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>

#include "finetune/text/byte_level.h"
#include "platform/base/file.h"
#include "platform/base/json.h"

namespace support {

/// Writes tokenizer.json and tokenizer_config.json: token i is byte i, of the first `count`.
inline void write_byte_tokenizer(const std::filesystem::path& folder, std::int64_t count = 256) {
  platform::json::object vocabulary;
  for (int byte = 0; byte < std::min<std::int64_t>(count, 256); ++byte)
    vocabulary[finetune::to_byte_alphabet(std::string(1, static_cast<char>(byte)))] = byte;
  const platform::json::object bytes{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  const platform::json::object document{
      {"version", "1.0"},
      {"added_tokens", platform::json::array{}},
      {"normalizer", nullptr},
      {"pre_tokenizer", bytes},
      {"post_processor", nullptr},
      {"decoder", platform::json::object{{"type", "ByteLevel"}}},
      {"model",
       platform::json::object{{"type", "BPE"}, {"vocab", std::move(vocabulary)}, {"merges", platform::json::array{}}}}};
  platform::write_file_atomically(folder / "tokenizer.json", platform::json::serialize(document));
  platform::write_file_atomically(folder / "tokenizer_config.json", "{}");
}

}  // namespace support
