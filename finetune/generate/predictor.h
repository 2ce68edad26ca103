// Predictor: a base and, optionally, one adapter, loaded, verified and ready to answer. Construction checks every hash
// of the manifest and runs the probe recorded at training; a wrong base, tokenizer or adapter is an error, never a
// silent base-model answer. Calls may come from several threads: batches and single tokens are computed one at a time,
// in the order asked for, and nothing is held while a piece of text is handed over.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "finetune/generate/answer_form.h"
#include "finetune/generate/generate_options.h"
#include "platform/dataset/example.h"

namespace finetune {

struct Prediction {
  std::optional<std::string> label;                           // classify, ordinal
  std::optional<std::vector<std::string>> labels;             // multilabel: those that are more probable than not
  std::vector<std::pair<std::string, double>> probabilities;  // of every label, in the adapter's order
  std::optional<double> value;                                // regress; of quantiles the middle one
  std::vector<std::pair<double, double>> quantiles;           // regress: quantile and value, where they were asked for
  std::vector<double> values;                                 // forecast, step by step
  std::optional<std::string> text;                            // lm
};

/// A token and the logarithm of the probability that the model itself gives it, before any option acts.
struct TokenLogprob {
  std::int32_t token = 0;
  std::string bytes;  // what the token adds to a text; may be a part of a character
  double logprob = 0;
};

struct GeneratedToken {
  TokenLogprob chosen;
  std::vector<TokenLogprob> alternatives;  // the most probable ones, in falling order; the chosen one may be among them
};

struct Generation {
  std::string text;
  std::string finish_reason;  // "stop" or "length"
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::vector<GeneratedToken> tokens;  // where GenerateOptions::logprobs asks for them
};

/// Called with each piece of text as it is made (whole characters); false stops the generation.
using OnPiece = std::function<bool(std::string_view piece)>;

class Predictor {
 public:
  /// `adapter_folder` empty: the bare base (generation only). `base_dtype`: how the base is held, by its name in
  /// model/weights.h; empty: as in the adapter's training, a bare base in float32. Throws kCorrupt when a file differs
  /// from the manifest, kConflict when the adapter belongs to another base or tokenizer or its probe does not
  /// reproduce.
  Predictor(const std::filesystem::path& base_folder, const std::optional<std::filesystem::path>& adapter_folder,
            int threads = 0, std::string_view base_dtype = {});
  Predictor(Predictor&&) noexcept;
  Predictor& operator=(Predictor&&) noexcept;
  ~Predictor();

  /// Answers one example by the adapter's task; labels and completions in it are not read.
  Prediction predict(const platform::Example& example);
  /// The same for many, computed in packed batches.
  std::vector<Prediction> predict_batch(const std::vector<platform::Example>& examples);

  // All that write an answer throw kInvalidInput where an option is out of its range, and as generate() does where an
  // answer of the form cannot be written with these options. An answer that has a form is finished within them.

  /// Answers a conversation, written as the base's own chat template writes it. Throws kInvalidInput where the base has
  /// none or refuses the messages.
  Generation chat(const std::vector<platform::Message>& messages, const GenerateOptions& options,
                  const OnPiece& on_piece = {}, const AnswerForm& form = {});
  /// Continues a text.
  Generation complete(std::string_view prompt, const GenerateOptions& options, const OnPiece& on_piece = {},
                      const AnswerForm& form = {});

  /// Runs the probe once more, on the model as it stands in memory. Throws kConflict if it does not reproduce; a bare
  /// base has none.
  void check_probe();

  /// A name of task_names(); "lm" for a bare base.
  std::string task() const;
  /// Of the tasks that have them, in the adapter's order.
  const std::vector<std::string>& labels() const;
  /// Steps of a forecast; 1 for other tasks.
  std::int64_t horizon() const;
  /// "sha256:..." of anneal.json; empty for a bare base.
  const std::string& adapter_digest() const;
  const std::string& base_digest() const;
  /// The profile that the adapter carries; null for a bare base.
  const platform::json::value& profile() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace finetune
