// What is wrong with a base or an adapter, met where a person meets it: by `anneal train` and `anneal generate`. Each
// fault is one error that says what failed, with the value, and what to do next, and leaves nothing behind.
#include <gtest/gtest.h>

#include <functional>

#include "finetune/commands/commands.h"
#include "finetune/formats/safetensors.h"
#include "platform/base/error.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

namespace json = platform::json;
using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;
using Path = std::filesystem::path;
using Tensors = std::map<std::string, Tensor>;

constexpr const char* kQuery = "model.layers.0.self_attn.q_proj.weight";

Tensors read_all(const Path& file) {
  const SafetensorsFile stored(file);
  Tensors tensors;
  for (const std::string& name : stored.names()) tensors[name] = stored.read(name);
  return tensors;
}

void write_all(const Path& file, const Tensors& tensors) {
  std::map<std::string, const Tensor*> pointers;
  for (const auto& [name, tensor] : tensors) pointers[name] = &tensor;
  write_safetensors(file, pointers);
}

void change_weight(const Path& base, const std::string& name, const std::function<Tensor(Tensor)>& change) {
  Tensors tensors = read_all(base / "model.safetensors");
  tensors[name] = change(std::move(tensors.at(name)));
  write_all(base / "model.safetensors", tensors);
}

void set_one_element(const Path& base, float value) {
  change_weight(base, kQuery, [&](Tensor tensor) {
    Tensor wide = tensor.cast_to(kernels::DataType::kFloat32);
    wide.data<float>()[7] = value;
    return wide;
  });
}

// One file as two shards; `change` may then spoil the index.
void split_into_shards(const Path& base, const std::function<void(json::object& map)>& change) {
  Tensors first = read_all(base / "model.safetensors"), second;
  second.insert(first.extract(kQuery));
  json::object map;
  for (const auto& [name, unused] : first) map[name] = "model-00001-of-00002.safetensors";
  for (const auto& [name, unused] : second) map[name] = "model-00002-of-00002.safetensors";
  write_all(base / "model-00001-of-00002.safetensors", first);
  write_all(base / "model-00002-of-00002.safetensors", second);
  std::filesystem::remove(base / "model.safetensors");
  change(map);
  platform::write_json_file(base / "model.safetensors.index.json",
                            json::object{{"metadata", json::object{}}, {"weight_map", map}});
}

void change_json(const Path& file, const std::function<void(json::object&)>& change) {
  json::value document = platform::read_json_file(file);
  change(document.as_object());
  platform::write_json_file(file, document);
}

void set_config(const Path& base, const std::string& key, const json::value& value) {
  change_json(base / "config.json", [&](json::object& config) { config[key] = value; });
}

// The header of a safetensors file, by one of the same length.
void change_header(const Path& file, const std::function<std::string(std::string)>& change) {
  std::string bytes = platform::read_file(file);
  const auto length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[0])) |
                      static_cast<std::size_t>(static_cast<unsigned char>(bytes[1])) << 8;
  const std::string header = change(bytes.substr(8, length));
  ASSERT_EQ(header.size(), length);
  platform::write_file_atomically(file, bytes.substr(0, 8) + header + bytes.substr(8 + length));
}

void cut_to_half(const Path& file) {
  const std::string bytes = platform::read_file(file);
  platform::write_file_atomically(file, bytes.substr(0, bytes.size() / 2));
}

// A tensor begins two bytes before the one before it ends.
std::string with_equal_offsets(std::string header) {
  const json::value document = json::parse(header);
  for (const auto& [name, info] : document.as_object()) {
    if (name == "__metadata__") continue;
    const std::string text = json::serialize(info.at("data_offsets"));
    const std::int64_t begin = info.at("data_offsets").at(0).to_number<std::int64_t>();
    if (begin == 0) continue;
    const std::int64_t end = info.at("data_offsets").at(1).to_number<std::int64_t>();
    const std::string moved = "[" + std::to_string(begin - 2) + "," + std::to_string(end - 2) + "]";
    if (moved.size() != text.size()) continue;
    return header.replace(header.find(text), text.size(), moved);
  }
  return header;
}

void add_tokens(const Path& base, std::initializer_list<int> ids) {
  change_json(base / "tokenizer.json", [&](json::object& document) {
    for (const int id : ids)
      document["added_tokens"].as_array().push_back(json::object{{"id", id},
                                                                 {"content", "<|extra" + std::to_string(id) + "|>"},
                                                                 {"single_word", false},
                                                                 {"lstrip", false},
                                                                 {"rstrip", false},
                                                                 {"normalized", false},
                                                                 {"special", true}});
  });
}

struct Fault {
  const char* name;
  std::function<void(const Path& base)> make;
  ErrorCode code;
  std::vector<std::string> says;
};

const std::vector<Fault>& faults() {
  static const std::vector<Fault> kFaults = {
      {"a shard is missing",
       [](const Path& base) {
         split_into_shards(base, [](json::object&) {});
         std::filesystem::remove(base / "model-00002-of-00002.safetensors");
       },
       ErrorCode::kNotFound,
       {"model-00002-of-00002.safetensors"}},
      {"the index names a tensor that its shard lacks",
       [](const Path& base) {
         split_into_shards(base,
                           [](json::object& map) { map["model.extra.weight"] = "model-00001-of-00002.safetensors"; });
       },
       ErrorCode::kCorrupt,
       {"model.extra.weight", "model-00001-of-00002.safetensors"}},
      {"the index leaves a tensor out",
       [](const Path& base) { split_into_shards(base, [](json::object& map) { map.erase("model.norm.weight"); }); },
       ErrorCode::kCorrupt,
       {"model.norm.weight"}},
      {"a tensor is missing",
       [](const Path& base) {
         Tensors tensors = read_all(base / "model.safetensors");
         tensors.erase(kQuery);
         write_all(base / "model.safetensors", tensors);
       },
       ErrorCode::kCorrupt,
       {kQuery, "missing"}},
      {"a tensor has another shape",
       [](const Path& base) { change_weight(base, kQuery, [](Tensor) {
                                return Tensor::zeros({16, 15});
                              }); },
       ErrorCode::kCorrupt,
       {kQuery, "[16, 15]", "[16, 16]"}},
      {"a tensor is of whole numbers",
       [](const Path& base) {
         change_weight(base, kQuery, [](Tensor) { return Tensor({16, 16}, kernels::DataType::kInt32); });
       },
       ErrorCode::kInvalidInput,
       {kQuery, "I32"}},
      {"a weight is no number",
       [](const Path& base) { set_one_element(base, std::nanf("")); },
       ErrorCode::kCorrupt,
       {kQuery, "NaN", "element 7"}},
      {"a weight is infinite",
       [](const Path& base) { set_one_element(base, INFINITY); },
       ErrorCode::kCorrupt,
       {kQuery, "infinity", "element 7"}},
      {"the weights are cut off",
       [](const Path& base) { cut_to_half(base / "model.safetensors"); },
       ErrorCode::kCorrupt,
       {"model.safetensors", "ends behind the end of the file"}},
      {"the weights overlap",
       [](const Path& base) { change_header(base / "model.safetensors", with_equal_offsets); },
       ErrorCode::kCorrupt,
       {"model.safetensors", "overlaps"}},
      {"the tokenizer has two tokens more than the embedding",
       [](const Path& base) {
         add_tokens(base, {290, 291, 292, 293, 294, 295, 296, 297, 298, 299, 300, 301});
       },
       ErrorCode::kInvalidInput,
       {"302", "300"}},
      {"an added token lies beyond the embedding",
       [](const Path& base) { add_tokens(base, {411}); },
       ErrorCode::kInvalidInput,
       {"412", "300"}},
      {"config.json is of an unknown family",
       [](const Path& base) { set_config(base, "model_type", "mamba9"); },
       ErrorCode::kInvalidInput,
       {"mamba9", "llama"}},
      {"config.json has a switch that is not implemented",
       [](const Path& base) { set_config(base, "num_local_experts", 8); },
       ErrorCode::kInvalidInput,
       {"num_local_experts", "8"}},
      {"config.json has a rotary form that is not implemented",
       [](const Path& base) {
         set_config(base, "rope_scaling", json::object{{"rope_type", "spiral"}, {"factor", 2.0}});
       },
       ErrorCode::kInvalidInput,
       {"spiral"}},
      {"config.json asks for 10^12 layers",
       [](const Path& base) { set_config(base, "num_hidden_layers", 1'000'000'000'000); },
       ErrorCode::kInvalidInput,
       {"num_hidden_layers", "1000000000000"}},
      {"config.json asks for heads without end",
       [](const Path& base) { set_config(base, "num_attention_heads", std::int64_t{1} << 62); },
       ErrorCode::kInvalidInput,
       {"num_attention_heads", "4611686018427387904"}},
      {"config.json asks for fewer layers than none",
       [](const Path& base) { set_config(base, "num_hidden_layers", -1); },
       ErrorCode::kInvalidInput,
       {"num_hidden_layers", "-1"}},
      {"config.json is no JSON",
       [](const Path& base) { platform::write_file_atomically(base / "config.json", "{\"model_type\": "); },
       ErrorCode::kInvalidInput,
       {"config.json"}},
      {"the folder is empty",
       [](const Path& base) {
         std::filesystem::remove_all(base);
         std::filesystem::create_directory(base);
       },
       ErrorCode::kNotFound,
       {"config.json"}},
      {"the folder is a file",
       [](const Path& base) {
         std::filesystem::remove_all(base);
         platform::write_file_atomically(base, "weights");
       },
       ErrorCode::kInvalidInput,
       {"base"}},
      {"the folder is not there",
       [](const Path& base) { std::filesystem::remove_all(base); },
       ErrorCode::kNotFound,
       {"base"}},
      {"the tokenizer is missing",
       [](const Path& base) { std::filesystem::remove(base / "tokenizer.json"); },
       ErrorCode::kNotFound,
       {"tokenizer.json"}},
      {"the weights are missing",
       [](const Path& base) { std::filesystem::remove(base / "model.safetensors"); },
       ErrorCode::kNotFound,
       {"model.safetensors"}},
  };
  return kFaults;
}

class BadBase : public ::testing::Test {
 protected:
  void SetUp() override {
    support::write_tiny_base(path("base"));
    support::write_text_examples(path("data.jsonl"), 12);
    platform::write_file_atomically(path("train.yaml"), "task: lm\nmax_steps: 3\nr: 4\n");
  }
  Path path(const std::string& name) const { return folder_.path() / name; }

  Arguments training(const Path& base, const Arguments& more = {}) const {
    Arguments arguments{"--base",    base, "--data", path("data.jsonl"), "--config", path("train.yaml"),
                        "--threads", "1",  "--out",  path("out")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static Arguments generation(const Path& base, const Arguments& more = {}) {
    Arguments arguments{"--base", base, "--prompt", "spindle", "--max-tokens", "2", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  // The command's one error; what it prints beside is for a terminal.
  void expect_error(int (*command)(const Arguments&), const Arguments& arguments, ErrorCode code,
                    const std::vector<std::string>& says, const std::string& name) const {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    std::string message;
    ErrorCode found = ErrorCode::kInternal;
    try {
      command(arguments);
    } catch (const Error& error) {
      message = error.what();
      found = error.code();
    }
    const std::string printed = testing::internal::GetCapturedStdout();
    testing::internal::GetCapturedStderr();
    ASSERT_FALSE(message.empty()) << name << ": was accepted";
    EXPECT_EQ(platform::to_string(found), platform::to_string(code)) << name << ": " << message;
    EXPECT_EQ(printed, "") << name;
    for (const std::string& part : says) EXPECT_NE(message.find(part), std::string::npos) << name << ": " << message;
    EXPECT_NE(message.find("; "), std::string::npos) << name << " does not say what to do next: " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << name << " is more than one line: " << message;
    for (const char* left : {"out", "out.work", ".out.new"}) EXPECT_FALSE(std::filesystem::exists(path(left))) << name;
    std::printf("%s:\n    %s\n", name.c_str(), message.c_str());
  }
  void expect_both(const Path& base, const Fault& fault) const {
    expect_error(train_command, training(base), fault.code, fault.says, fault.name);
    expect_error(generate_command, generation(base), fault.code, fault.says, fault.name);
  }
  int train_to(const std::string& out, const Path& base) const {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = train_command({"--base", base, "--data", path("data.jsonl"), "--config", path("train.yaml"),
                                    "--threads", "1", "--out", path(out)});
    testing::internal::GetCapturedStdout();
    testing::internal::GetCapturedStderr();
    return code;
  }
  platform::TemporaryFolder folder_;
};

TEST_F(BadBase, EveryFaultIsOneErrorThatSaysWhatToDoAndLeavesNothingBehind) {
  for (const Fault& fault : faults()) {
    std::filesystem::remove_all(path("base"));
    support::write_tiny_base(path("base"));
    fault.make(path("base"));
    expect_both(path("base"), fault);
  }
  std::printf("cases checked: %zu\n", faults().size());
}

TEST_F(BadBase, AGgufFileThatIsNoneOrClaimsTheWorldIsRefused) {
  const auto number = [](std::uint64_t value, int bytes) {
    std::string text;
    for (int byte = 0; byte < bytes; ++byte) text += static_cast<char>(value >> (8 * byte));
    return text;
  };
  const std::uint64_t endless = std::uint64_t{1} << 60;
  const std::vector<std::tuple<const char*, std::string, ErrorCode, const char*>> files = {
      {"wrong magic", "GGML" + number(3, 4) + number(0, 8) + number(0, 8), ErrorCode::kCorrupt, "GGUF"},
      {"another version", "GGUF" + number(77, 4) + number(0, 8) + number(0, 8), ErrorCode::kCorrupt, "77"},
      {"tensors without end", "GGUF" + number(3, 4) + number(endless, 8) + number(0, 8), ErrorCode::kCorrupt,
       "1152921504606846976"},
      {"keys without end", "GGUF" + number(3, 4) + number(0, 8) + number(endless, 8), ErrorCode::kCorrupt,
       "1152921504606846976"},
      {"nothing in it", "", ErrorCode::kCorrupt, "x.gguf"}};
  for (const auto& [name, bytes, code, says] : files) {
    platform::write_file_atomically(path("x.gguf"), bytes);
    expect_both(path("x.gguf"), {name, {}, code, {says}});
  }
}

TEST_F(BadBase, AChatTemplateThatNeverEndsIsStopped) {
  platform::write_file_atomically(path("base") / "chat_template.jinja",
                                  "{% for i in range(100000) %}{% for j in range(100000) %}{% set x = i %}{% endfor %}"
                                  "{% endfor %}{{ messages[0].content }}");
  platform::write_file_atomically(path("data.jsonl"),
                                  R"({"id": "a", "split": "train", "messages": [{"role": "user", "content": "hot?"},)"
                                  R"( {"role": "assistant", "content": "yes"}]})"
                                  "\n");
  expect_error(train_command, training(path("base")), ErrorCode::kTooLarge, {"example a", "line 1"}, "training");
  expect_error(generate_command, generation(path("base"), {"--chat"}), ErrorCode::kTooLarge, {"line 1"}, "answering");
}

TEST_F(BadBase, AnAdapterOfAnotherBaseIsRefused) {
  support::write_tiny_base(path("other"), 8);
  ASSERT_EQ(train_to("adapter", path("other")), 0);
  const std::vector<std::string> says{"another base", "sha256:"};
  expect_error(generate_command, generation(path("base"), {"--adapter", path("adapter")}), ErrorCode::kConflict, says,
               "generate");
  expect_error(train_command, training(path("base"), {"--init-adapter", path("adapter")}), ErrorCode::kConflict, says,
               "train");
}

TEST_F(BadBase, AnAdapterThatWasChangedOrDoesNotFitIsRefused) {
  ASSERT_EQ(train_to("adapter", path("base")), 0);
  const Path file = path("adapter") / "adapter_model.safetensors";
  const std::string name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
  Tensors tensors = read_all(file);
  tensors[name] = Tensor::zeros({4, 12});
  write_all(file, tensors);
  expect_error(generate_command, generation(path("base"), {"--adapter", path("adapter")}), ErrorCode::kCorrupt,
               {"adapter_model.safetensors", "manifest"}, "changed");
  // As a folder of PEFT's own, without a manifest to tell.
  std::filesystem::remove(path("adapter") / "anneal.json");
  const Arguments from_it = training(path("base"), {"--init-adapter", path("adapter")});
  expect_error(train_command, from_it, ErrorCode::kCorrupt, {"layers.0.self_attn.q_proj"}, "another input size");
  tensors[name] = Tensor::zeros({5, 16});
  write_all(file, tensors);
  expect_error(train_command, from_it, ErrorCode::kCorrupt, {"layers.0.self_attn.q_proj", "[5, 16]", "4"},
               "another rank");
  tensors[name] = Tensor::zeros({4, 16});
  write_all(file, tensors);
  change_json(path("adapter") / "adapter_config.json", [](json::object& config) { config["use_qalora"] = true; });
  expect_error(train_command, from_it, ErrorCode::kInvalidInput, {"use_qalora", "true"}, "a setting we do not have");
}

}  // namespace
}  // namespace finetune
