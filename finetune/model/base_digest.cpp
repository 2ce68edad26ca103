#include "finetune/model/base_digest.h"

#include <algorithm>
#include <vector>

#include "finetune/formats/gguf_tokenizer.h"
#include "finetune/formats/weight_folder.h"
#include "finetune/model/gguf_weights.h"
#include "platform/base/digest.h"

namespace finetune {
namespace {

std::string digest_of_files(const std::filesystem::path& folder, std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  std::string lines;
  for (const std::string& name : names) lines += platform::sha256_file_hex(folder / name) + "  " + name + "\n";
  return platform::digest_of(lines);
}

}  // namespace

std::string base_folder_digest(const std::filesystem::path& base_folder) {
  if (const auto gguf = gguf_of_base(base_folder)) return platform::digest_of_file(*gguf);
  std::vector<std::string> names = WeightFolder(base_folder).files();
  names.emplace_back("config.json");
  return digest_of_files(base_folder, std::move(names));
}

std::string tokenizer_digest(const std::filesystem::path& base_folder) {
  if (const auto gguf = gguf_of_base(base_folder)) {
    const TokenizerDocuments documents = tokenizer_documents(GgufFile(*gguf));
    return platform::digest_of(documents.tokenizer_json + "\n" + documents.config_json);
  }
  const auto is_there = [&](const char* name) { return std::filesystem::exists(base_folder / name); };
  std::vector<std::string> names;
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"}) {
    if (is_there(name)) names.emplace_back(name);
  }
  // Read only where there is no tokenizer.json.
  if (!is_there("tokenizer.json") && is_there("tokenizer.model")) names.emplace_back("tokenizer.model");
  return digest_of_files(base_folder, std::move(names));
}

}  // namespace finetune
