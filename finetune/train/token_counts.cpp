#include "finetune/train/token_counts.h"

#include <algorithm>
#include <limits>
#include <set>

#include "finetune/adapter/sensor_schema.h"
#include "finetune/train/example_encoding.h"

namespace finetune {
namespace {

namespace json = platform::json;

json::object spread(const std::vector<std::int64_t>& counts) {
  double sum = 0;
  for (const std::int64_t count : counts) sum += static_cast<double>(count);
  return {{"minimum", *std::min_element(counts.begin(), counts.end())},
          {"mean", sum / static_cast<double>(counts.size())},
          {"maximum", *std::max_element(counts.begin(), counts.end())}};
}

}  // namespace

json::object token_counts(const Tokenizer& tokenizer, const ChatEncoder& chat, Task task,
                          const std::vector<platform::Example>& examples) {
  if (examples.empty()) return {};
  std::vector<const platform::Example*> all;
  std::set<std::string> found;
  for (const platform::Example& example : examples) {
    all.push_back(&example);
    if (example.label) found.insert(*example.label);
  }
  const std::vector<std::string> labels(found.begin(), found.end());
  const SensorSchema schema = learn_sensor_schema(all, TrainConfig{}.patch_size);
  const HeadForm form{.horizon = static_cast<std::int64_t>(examples.front().values.size())};
  const EncodingRules rules{.tokenizer = &tokenizer,
                            .chat = &chat,
                            .schema = &schema,
                            .task = task,
                            .labels = &labels,
                            .form = &form,
                            .max_tokens = std::numeric_limits<std::int32_t>::max()};
  std::vector<std::int64_t> tokens, supervised;
  for (const platform::Example* example : all) {
    const EncodedExample encoded = encode_example(rules, *example, true);
    tokens.push_back(encoded.tokens());
    supervised.push_back(task == Task::kLanguageModel ? encoded.supervised() : 1);
    for (const EncodedExample& rejected : encoded.rejected) supervised.back() += rejected.supervised();
  }
  return {{"tokens", spread(tokens)}, {"supervised_tokens", spread(supervised)}};
}

}  // namespace finetune
