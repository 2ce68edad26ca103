// Manifest (`anneal.json`): what binds an adapter folder to its base. It holds the SHA-256 of every file, the digests
// of base and tokenizer, the task with its labels, the slots with their statistics, the profile, and the probe; no
// times, no host names, so that equal trainings give equal bytes. The adapter's digest is the SHA-256 of the file. Any
// thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "finetune/adapter/adapted_model.h"
#include "finetune/train/train_config.h"
#include "platform/base/json.h"

namespace finetune {

struct Manifest {
  Task task = Task::kLanguageModel;
  std::vector<std::string> labels;  // classify, multilabel; ordinal: from low to high
  double target_mean = 0;           // regress: value = mean + deviation * output
  double target_deviation = 1;
  HeadForm form;                       // see head_form.h
  SideSize side_size;                  // of the network beside the base; no members: none
  std::int64_t max_tokens = 0;         // of an example: longer prompts lose their beginning, as in training
  std::string base_digest;             // Base::digest()
  std::string base_dtype = "float32";  // how the base was held in training; it is held so again
  std::string tokenizer_digest;
  std::map<std::string, std::string> files;  // name in the folder -> "sha256:..."
  platform::json::value sensors;             // SensorSchema, see sensor_schema.h; null without slots
  platform::json::value profile;             // opaque
  platform::json::value training;            // configuration, seed, steps, validation score
  platform::json::value probe;               // see probe.h
};

platform::json::value to_json(const Manifest& manifest);
/// Throws kInvalidInput for another format or a missing field, kCorrupt for what a training cannot have written.
Manifest manifest_from_json(const platform::json::value& value);

/// Reads `anneal.json` and verifies the hash of every file that it names, and that it names every file that the adapter
/// is read from. Throws kNotFound, or kCorrupt naming the file.
Manifest read_manifest(const std::filesystem::path& adapter_folder);
/// "sha256:..." of the folder's anneal.json: the adapter's digest.
std::string adapter_digest(const std::filesystem::path& adapter_folder);

}  // namespace finetune
