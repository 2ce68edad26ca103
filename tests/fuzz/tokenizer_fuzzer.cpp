// tokenizer.json: what is read must encode, and decode its own ids.
#include "finetune/text/tokenizer.h"
#include "platform/base/error.h"
#include "tests/fuzz/planted_bug.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view document(reinterpret_cast<const char*>(bytes), size);
  try {
    const finetune::Tokenizer tokenizer = finetune::Tokenizer::from_json(document);
    const std::vector<std::int32_t> ids = tokenizer.encode("ab 12\n 한글 <s>", {.add_special_tokens = true});
    fuzz::planted_bug(tokenizer.vocabulary_size() > 4);
    tokenizer.decode(ids);
    tokenizer.decode(std::vector<std::int32_t>{0, -1, 1, 2, 1 << 30});
  } catch (const platform::Error&) {
  }
  return 0;
}
