#include "finetune/generate/predictor.h"

#include <mutex>

#include "finetune/adapter/loaded_adapter.h"
#include "finetune/adapter/probe.h"
#include "finetune/generate/generator.h"

namespace finetune {
namespace {

constexpr std::int64_t kBatchTokens = 4096;

Prediction to_prediction(const AdapterParts& parts, const Outcome& outcome) {
  Prediction prediction;
  if (parts.task == Task::kRegress) {
    prediction.value = outcome.predicted_value;
    for (std::size_t i = 0; i < outcome.predicted_values.size(); ++i)
      prediction.quantiles.emplace_back(parts.form.quantiles[i], outcome.predicted_values[i]);
    return prediction;
  }
  if (parts.task == Task::kForecast) {
    prediction.values = outcome.predicted_values;
    return prediction;
  }
  if (parts.task == Task::kMultilabel) prediction.labels.emplace();
  for (std::size_t i = 0; prediction.labels && i < parts.labels.size(); ++i) {
    if (outcome.probabilities[i] >= 0.5f) prediction.labels->push_back(parts.labels[i]);
  }
  if (has_one_label(parts.task)) prediction.label = parts.labels[static_cast<std::size_t>(outcome.prediction)];
  for (std::size_t i = 0; i < parts.labels.size(); ++i) {
    prediction.probabilities.emplace_back(parts.labels[i], static_cast<double>(outcome.probabilities[i]));
  }
  return prediction;
}

}  // namespace

struct Predictor::State {
  kernels::Context context;
  LoadedAdapter loaded;
  std::once_flag trie_made;
  std::optional<TokenTrie> trie;  // of the base's vocabulary; made for the first answer that has a form
  FairMutex computing;            // guards context and model; base and parts do not change

  State(kernels::Context ready, LoadedAdapter adapter) : context(std::move(ready)), loaded(std::move(adapter)) {}
  Generation generate(const EncodedExample& prompt, const GenerateOptions& options, const OnPiece& on_piece,
                      const AnswerForm& form = {}) {
    std::unique_ptr<Constraint> constraint;
    if (!form.is_free()) {
      const std::vector<std::int32_t> ends = loaded.base->end_tokens();
      std::call_once(trie_made, [&] { trie.emplace(loaded.base->tokenizer, ends); });
      constraint = constraint_of(form, loaded.base->tokenizer, *trie, ends);
    }
    return finetune::generate(context, *loaded.base, *loaded.model, prompt, options, on_piece, computing,
                              constraint.get());
  }
};

Predictor::Predictor(const std::filesystem::path& base_folder,
                     const std::optional<std::filesystem::path>& adapter_folder, int threads,
                     std::string_view base_dtype) {
  kernels::Context context = kernels::Context::cpu(threads);
  std::optional<WeightPrecision> precision;
  if (!base_dtype.empty()) precision = weight_precision_from(base_dtype);
  LoadedAdapter loaded = load_adapter(context, base_folder, adapter_folder, precision);
  state_ = std::unique_ptr<State>(new State(std::move(context), std::move(loaded)));
}

Predictor::Predictor(Predictor&&) noexcept = default;
Predictor& Predictor::operator=(Predictor&&) noexcept = default;
Predictor::~Predictor() = default;

Prediction Predictor::predict(const platform::Example& example) { return predict_batch({example}).front(); }

std::vector<Prediction> Predictor::predict_batch(const std::vector<platform::Example>& examples) {
  LoadedAdapter& loaded = state_->loaded;
  const GenerateOptions options;
  const bool continues = loaded.parts->task == Task::kLanguageModel;
  const EncodingRules rules = continues ? loaded.prompt_rules(options.max_tokens) : loaded.rules();
  std::vector<EncodedExample> encoded;
  for (const platform::Example& example : examples) encoded.push_back(encode_example(rules, example, false));
  std::vector<Prediction> predictions;
  if (continues) {
    for (std::size_t i = 0; i < encoded.size(); ++i) {
      const std::string own = state_->generate(encoded[i], options, {}).text;
      predictions.emplace_back();
      predictions.back().text = loaded.parts->memory.answer(examples[i], own);
    }
    return predictions;
  }
  const std::lock_guard lock(state_->computing);
  const auto outputs = outputs_of(state_->context, *loaded.model, encoded, kBatchTokens);
  for (const Outcome& outcome : outcomes_of(*loaded.parts, encoded, outputs)) {
    predictions.push_back(to_prediction(*loaded.parts, outcome));
  }
  return predictions;
}

Generation Predictor::chat(const std::vector<platform::Message>& messages, const GenerateOptions& options,
                           const OnPiece& on_piece, const AnswerForm& form) {
  const Base& base = *state_->loaded.base;
  EncodedExample prompt;
  prompt.ids = base.chat.asked(base.tokenizer, messages);
  if (prompt.ids.empty())
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          "the chat template of the base writes nothing for these messages; check chat_template.jinja",
                          "messages");
  return state_->generate(prompt, options, on_piece, form);
}

Generation Predictor::complete(std::string_view prompt, const GenerateOptions& options, const OnPiece& on_piece,
                               const AnswerForm& form) {
  const Tokenizer& tokenizer = state_->loaded.base->tokenizer;
  EncodedExample encoded;
  encoded.ids = tokenizer.encode(prompt);
  encoded.ids.insert(encoded.ids.begin(), tokenizer.opening().begin(), tokenizer.opening().end());
  if (encoded.ids.empty()) throw platform::Error(platform::ErrorCode::kInvalidInput, "the prompt is empty", "prompt");
  return state_->generate(encoded, options, on_piece, form);
}

void Predictor::check_probe() {
  LoadedAdapter& loaded = state_->loaded;
  if (loaded.adapter_digest.empty()) return;
  const std::lock_guard lock(state_->computing);
  verify_probe(state_->context, *loaded.model, loaded.rules(), loaded.manifest.probe, kProbeTolerance32);
}

std::string Predictor::task() const { return std::string(to_string(state_->loaded.parts->task)); }
const std::vector<std::string>& Predictor::labels() const { return state_->loaded.parts->labels; }
std::int64_t Predictor::horizon() const { return state_->loaded.parts->form.horizon; }
const std::string& Predictor::adapter_digest() const { return state_->loaded.adapter_digest; }
const std::string& Predictor::base_digest() const { return state_->loaded.base->digest; }
const platform::json::value& Predictor::profile() const { return state_->loaded.manifest.profile; }

}  // namespace finetune
