// The digests that bind an adapter to its base and tokenizer: over the SHA-256 of exactly the files that are read, so
// that a note or a picture beside them changes nothing. Functions are pure; any thread.
#pragma once

#include <filesystem>
#include <string>

namespace finetune {

/// "sha256:..." over config.json and the weight files: model.safetensors, or the index with the shards it names; of a
/// GGUF file over its bytes. Throws as WeightFolder does.
std::string base_folder_digest(const std::filesystem::path& base_folder);
/// "sha256:..." over what turns a conversation into tokens: tokenizer.json or tokenizer.model, tokenizer_config.json
/// and chat_template.jinja; and generation_config.json, which says where an answer ends. As far as they are there;
/// or what a GGUF file holds of them.
std::string tokenizer_digest(const std::filesystem::path& base_folder);

}  // namespace finetune
