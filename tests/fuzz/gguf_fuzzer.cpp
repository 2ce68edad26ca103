// GGUF files: keys, tensors, restored blocks, and the tokenizer that the keys describe.
#include "finetune/formats/gguf.h"

#include "finetune/formats/gguf_tokenizer.h"
#include "finetune/text/tokenizer.h"
#include "platform/base/error.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/planted_bug.h"

namespace {

void read_tokenizer(const finetune::GgufFile& file) {
  try {
    const finetune::TokenizerDocuments documents = finetune::tokenizer_documents(file);
    finetune::Tokenizer::from_json(documents.tokenizer_json, documents.config_json).encode("ab 12");
  } catch (const platform::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const fuzz::MemoryFile input(bytes, size);
  try {
    const finetune::GgufFile file(input.path());
    for (const finetune::GgufTensorInfo& tensor : file.tensors()) {
      try {
        fuzz::planted_bug(fuzz::holds_something(file.read(tensor.name)));
      } catch (const platform::Error&) {
      }
    }
    read_tokenizer(file);
  } catch (const platform::Error&) {
  }
  return 0;
}
