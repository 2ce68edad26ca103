// safetensors files: header, checks, and every tensor that can be read.
#include "finetune/formats/safetensors.h"
#include "platform/base/error.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/planted_bug.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const fuzz::MemoryFile input(bytes, size);
  try {
    const finetune::SafetensorsFile file(input.path());
    for (const std::string& name : file.names()) {
      try {
        fuzz::planted_bug(fuzz::holds_something(file.read_finite(name, kernels::DataType::kFloat32)));
      } catch (const platform::Error&) {
      }
    }
  } catch (const platform::Error&) {
  }
  return 0;
}
