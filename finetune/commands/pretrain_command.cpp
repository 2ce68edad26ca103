#include <cstdio>

#include "finetune/bases/corpus.h"
#include "finetune/commands/commands.h"
#include "finetune/commands/progress_line.h"
#include "finetune/text/bpe_trainer.h"
#include "finetune/text/chat_format.h"
#include "finetune/train/pretrainer.h"
#include "platform/base/command_line.h"

namespace finetune {

int corpus_command(const Arguments& arguments) {
  platform::CommandLine line("anneal corpus", "Writes the text that anneal-nano learns from.",
                             {"anneal corpus --out corpus.txt --bytes 40000000 --seed 1"});
  line.option("out", "FILE", "text file to write", {.required = true});
  line.option("bytes", "N", "stop after this many bytes", {.fallback = "40000000"});
  line.option("seed", "S", "the same seed gives the same text", {.fallback = "1"});
  if (!line.read(arguments)) return 0;
  write_corpus(line.text("out"), static_cast<std::uint64_t>(line.integer("bytes")),
               static_cast<std::uint64_t>(line.integer("seed")));
  std::printf("wrote %s\n", line.text("out").c_str());
  return 0;
}

int tokenizer_command(const Arguments& arguments) {
  platform::CommandLine line("anneal tokenizer", "Trains a byte-level BPE vocabulary.",
                             {"anneal tokenizer train --data corpus.txt --vocabulary 4096 --out tokenizer"});
  line.argument("action", "train");
  line.option("data", "FILE", "text to learn from", {.required = true, .repeated = true});
  line.option("vocabulary", "N", "tokens, control tokens included", {.fallback = "4096"});
  line.option("out", "DIR", "folder for tokenizer.json and its chat template", {.required = true});
  if (!line.read(arguments)) return 0;
  if (line.text("action") != "train") {
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          "unknown action: " + line.text("action") + "; use `anneal tokenizer train`");
  }
  BpeTrainerOptions options;
  options.vocabulary_size = static_cast<std::int32_t>(line.integer("vocabulary"));
  options.special_tokens = nano_control_tokens();
  options.pad_token = options.special_tokens.at(0);
  options.bos_token = options.special_tokens.at(1);
  options.eos_token = options.special_tokens.at(2);
  options.chat_template = nano_chat_template();
  std::vector<std::filesystem::path> files;
  for (const std::string& file : line.all("data")) files.emplace_back(file);
  const BpeVocabulary vocabulary = train_bpe(files, options);
  std::filesystem::create_directories(line.text("out"));
  write_tokenizer(line.text("out"), vocabulary, options);
  std::printf("wrote %zu tokens to %s\n", vocabulary.tokens.size(), line.text("out").c_str());
  return 0;
}

int pretrain_command(const Arguments& arguments) {
  platform::CommandLine line(
      "anneal pretrain", "Trains a base model from random weights; the same command resumes.",
      {"anneal pretrain --config config.json --data corpus.txt --tokenizer tokenizer --out base --steps 3000"});
  line.option("config", "FILE", "config.json with the model's shape", {.required = true});
  line.option("data", "FILE", "corpus from `anneal corpus`", {.required = true});
  line.option("tokenizer", "DIR", "folder with tokenizer.json", {.required = true});
  line.option("out", "DIR", "base folder; also holds checkpoint and loss curve", {.required = true});
  line.option("steps", "N", "optimizer steps", {.fallback = "2000"});
  line.option("sequence", "N", "tokens in a sequence", {.fallback = "512"});
  line.option("batch", "N", "sequences in a step", {.fallback = "8"});
  line.option("rate", "X", "highest learning rate", {.fallback = "0.002"});
  line.option("checkpoint-steps", "N", "steps between checkpoints", {.fallback = "100"});
  line.option("seed", "S", "random seed", {.fallback = "1"});
  line.option("threads", "N", "compute threads, 0 = one per core", {.fallback = "0"});
  if (!line.read(arguments)) return 0;
  PretrainRequest request;
  request.model = model_config_from_json(platform::read_json_file(line.text("config")));
  request.corpus = line.text("data");
  request.tokenizer_folder = line.text("tokenizer");
  request.output_folder = line.text("out");
  request.steps = line.integer("steps");
  request.sequence_tokens = line.integer("sequence");
  request.batch_sequences = line.integer("batch");
  request.learning_rate = line.number("rate");
  request.checkpoint_steps = line.integer("checkpoint-steps");
  request.seed = static_cast<std::uint64_t>(line.integer("seed"));
  request.threads = line.threads();
  ProgressLine progress;
  pretrain(request, progress);
  return 0;
}

}  // namespace finetune
