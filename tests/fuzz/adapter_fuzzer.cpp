// Adapter folders as PEFT writes them: the input is adapter_config.json, a zero byte, and adapter_model.safetensors.
#include <fcntl.h>

#include <algorithm>

#include "finetune/formats/peft.h"
#include "platform/base/error.h"
#include "platform/base/file.h"
#include "tests/fuzz/planted_bug.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const platform::TemporaryFolder kFolder("/dev/shm");
  const std::uint8_t* border = std::find(bytes, bytes + size, std::uint8_t{0});
  const auto text = [](const std::uint8_t* begin, const std::uint8_t* end) {
    return std::string(reinterpret_cast<const char*>(begin), static_cast<std::size_t>(end - begin));
  };
  const auto put = [&](const char* name, const std::string& content) {
    const platform::FileDescriptor file(
        ::open((kFolder.path() / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    platform::write_all(file.get(), content, name);
  };
  put("adapter_config.json", text(bytes, border));
  put("adapter_model.safetensors", border == bytes + size ? "" : text(border + 1, bytes + size));
  try {
    const finetune::PeftAdapter adapter = finetune::read_peft_adapter(kFolder.path());
    for (const auto& [module, weights] : adapter.modules) fuzz::planted_bug(fuzz::holds_something(weights.b));
    finetune::to_json(adapter.config);
  } catch (const platform::Error&) {
  }
  return 0;
}
