// config.json of a base, in both styles.
#include "finetune/model/model_config.h"
#include "platform/base/error.h"
#include "tests/fuzz/planted_bug.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view document(reinterpret_cast<const char*>(bytes), size);
  try {
    const finetune::ModelConfig config =
        finetune::model_config_from_json(platform::parse_json(document, "config.json"));
    fuzz::planted_bug(config.max_positions != 64);
    for (const finetune::RotaryConfig& rotary : config.rotaries)
      finetune::inverse_frequencies(rotary, config.head_dim, 100);
    finetune::to_json(config);
  } catch (const platform::Error&) {
  }
  return 0;
}
