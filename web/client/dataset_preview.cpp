#include "web/client/dataset_preview.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "finetune/model/base.h"
#include "finetune/train/example_preview.h"
#include "web/client/dataset_examples.h"
#include "web/client/table.h"

namespace web {
namespace {

namespace json = platform::json;
using platform::CommandLine;
using platform::Error;
using platform::ErrorCode;
using Examples = std::vector<platform::Example>;

bool colour_wanted() { return ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr; }

std::int64_t positive(const CommandLine& line, const char* name) {
  const std::int64_t value = line.integer(name);
  if (value >= 1) return value;
  throw Error(ErrorCode::kInvalidInput, "--" + std::string(name) + " is " + std::to_string(value) + "; it is 1 or more",
              name);
}

// The first ones of the part that was asked for.
std::vector<const platform::Example*> chosen_of(const Examples& examples, const CommandLine& line) {
  const auto count = static_cast<std::size_t>(positive(line, "count"));
  std::vector<const platform::Example*> chosen;
  for (const platform::Example& example : examples) {
    if (line.has("split") && example.split != platform::split_from(line.text("split"))) continue;
    if (line.has("id") && example.id != line.text("id")) continue;
    if (chosen.size() < count) chosen.push_back(&example);
  }
  if (!chosen.empty()) return chosen;
  throw Error(ErrorCode::kNotFound,
              "none of " + std::to_string(examples.size()) + " examples is what --split and --id ask for");
}

void print(const std::vector<finetune::ExamplePreview>& previews, bool as_json) {
  if (as_json) {
    json::array items;
    for (const finetune::ExamplePreview& preview : previews) items.push_back(finetune::to_json(preview));
    std::printf("%s\n", json::serialize(json::object{{"items", std::move(items)}}).c_str());
    return;
  }
  const bool colour = colour_wanted();
  for (const finetune::ExamplePreview& preview : previews)
    std::printf("%s\n", finetune::to_text(preview, colour).c_str());
  std::puts(
      colour ? "What stands on green is what the model learns to write; {x} is the place of a sensor value."
             : "Between \u27E6 and \u27E7 stands what the model learns to write; {x} is the place of a sensor value.");
}

int preview(const Examples& examples, const CommandLine& line) {
  const auto chosen = chosen_of(examples, line);
  std::vector<const platform::Example*> all;
  for (const platform::Example& example : examples) all.push_back(&example);
  const std::filesystem::path base = base_of(line);
  const finetune::Tokenizer tokenizer = finetune::load_base_tokenizer(base);
  const finetune::ChatEncoder chat = finetune::load_base_chat(base);
  const finetune::SensorSchema schema = finetune::learn_sensor_schema(all, finetune::TrainConfig{}.patch_size);
  const std::vector<std::string> labels;
  std::vector<finetune::ExamplePreview> previews;
  for (const platform::Example* example : chosen) {
    const finetune::HeadForm form{.horizon = static_cast<std::int64_t>(example->values.size())};
    const finetune::EncodingRules rules{
        .tokenizer = &tokenizer,
        .chat = &chat,
        .schema = &schema,
        .task = line.has("task") ? finetune::task_from(line.text("task")) : finetune::task_of(*example),
        .labels = &labels,
        .form = &form,
        .max_tokens = positive(line, "max-tokens")};
    previews.push_back(finetune::preview_example(rules, *example));
  }
  print(previews, line.has("json"));
  return 0;
}

}  // namespace

void declare_preview(CommandLine& line) {
  line.argument("NAME", "name of the dataset; none with --data", false);
  line.option("version", "N", "number of the version, or latest", {.fallback = "latest"});
  line.option("data", "FILE", "JSON lines of examples, instead of a dataset of the server");
  line.option("base", "NAME", "base that will read them: a name, or a folder with a tokenizer",
              {.fallback = "anneal-nano"});
  line.option("task", "NAME",
              "lm, classify, ordinal, multilabel, regress or forecast; default what the example has a target for");
  line.option("split", "NAME", "examples of train, validation or test only");
  line.option("id", "ID", "this example only");
  line.option("count", "N", "how many examples", {.fallback = "3"});
  line.option("max-tokens", "N", "longer examples lose their beginning, as in training", {.fallback = "1024"});
}

std::optional<int> preview_file(const CommandLine& line) {
  const auto examples = examples_of_file(line);
  return examples ? std::optional(preview(*examples, line)) : std::nullopt;
}

int preview_version(ServerConnection& server, const CommandLine& line) {
  return preview(examples_of_version(server, line), line);
}

}  // namespace web
