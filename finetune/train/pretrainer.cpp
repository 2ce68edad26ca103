#include "finetune/train/pretrainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "finetune/bases/corpus.h"
#include "finetune/model/transformer.h"
#include "finetune/text/chat_format.h"
#include "finetune/text/tokenizer.h"
#include "finetune/train/checkpoint.h"
#include "finetune/train/optimizer.h"
#include "finetune/train/schedule.h"
#include "kernels/ops/cross_entropy.h"
#include "platform/base/digest.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;
using Clock = std::chrono::steady_clock;

// The token stream of the corpus, cut into sequences; a sequence may hold several documents and is packed accordingly.
class TokenStream {
 public:
  TokenStream(const PretrainRequest& request, const Tokenizer& tokenizer)
      : length_(static_cast<std::size_t>(request.sequence_tokens)),
        seed_(request.seed),
        per_step_(static_cast<std::size_t>(request.batch_sequences)) {
    for (const std::string& document : read_corpus(request.corpus)) {
      starts_.push_back(ids_.size());
      const std::vector<std::int32_t> tokens = format_text(tokenizer, document).ids;
      ids_.insert(ids_.end(), tokens.begin(), tokens.end());
    }
    starts_.push_back(ids_.size());
    if (ids_.size() < length_ * per_step_ + 1) {
      throw Error(ErrorCode::kInvalidInput, "the corpus is shorter than one batch; make a longer one");
    }
  }

  // Documents of one step and, beside each token, the token that follows it in the same document.
  void batch(std::int64_t step, PackedBatch& packed, Tensor& targets, std::int64_t& supervised) const {
    std::vector<std::span<const std::int32_t>> documents;
    std::vector<std::int32_t> next;
    for (std::size_t i = 0; i < per_step_; ++i) {
      const std::size_t begin = chunk(static_cast<std::size_t>(step) * per_step_ + i) * length_;
      append_documents(begin, begin + length_, documents);
    }
    for (const auto document : documents) {
      next.insert(next.end(), document.begin() + 1, document.end());
      next.push_back(kernels::kIgnoredTarget);
    }
    supervised = static_cast<std::int64_t>(next.size() - documents.size());
    packed = pack_documents(documents);
    targets = Tensor::from(next);
  }

 private:
  void append_documents(std::size_t begin, std::size_t end,
                        std::vector<std::span<const std::int32_t>>& documents) const {
    auto border = std::upper_bound(starts_.begin(), starts_.end(), begin);
    for (std::size_t at = begin; at < end; ++border) {
      const std::size_t stop = std::min(end, *border);
      documents.emplace_back(ids_.data() + at, stop - at);
      at = stop;
    }
  }

  // Each pass over the corpus has its own order.
  std::size_t chunk(std::size_t index) const {
    const std::size_t chunks = ids_.size() / length_;
    const std::size_t pass = index / chunks;
    if (pass != pass_ || order_.empty()) {
      order_.resize(chunks);
      std::iota(order_.begin(), order_.end(), std::size_t{0});
      kernels::Random random(kernels::random_bits(seed_, pass));
      for (std::size_t i = chunks; i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
      pass_ = pass;
    }
    return order_[index % chunks];
  }

  std::size_t length_;
  std::uint64_t seed_;
  std::size_t per_step_;
  std::vector<std::int32_t> ids_;
  std::vector<std::size_t> starts_;
  mutable std::vector<std::size_t> order_;
  mutable std::size_t pass_ = 0;
};

std::string request_key(const PretrainRequest& request) {
  namespace json = platform::json;
  return platform::sha256_hex(platform::canonical_json(
      json::object{{"model", to_json(request.model)},
                   {"corpus", platform::sha256_file_hex(request.corpus)},
                   {"tokenizer", platform::sha256_file_hex(request.tokenizer_folder / "tokenizer.json")},
                   {"steps", request.steps},
                   {"sequence", request.sequence_tokens},
                   {"batch", request.batch_sequences},
                   {"rate", request.learning_rate},
                   {"warmup", request.warmup_fraction},
                   {"decay", request.weight_decay},
                   {"seed", request.seed}}));
}

std::int32_t end_token(const Tokenizer& tokenizer) {
  if (const auto end = tokenizer.eos_id()) return *end;
  throw Error(ErrorCode::kInvalidInput,
              "the tokenizer names no end of text; set eos_token in its tokenizer_config.json", "tokenizer");
}

// A base that is done has no checkpoint beside it, or one that a repeated call goes on from.
void check_output(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "model.safetensors") || std::filesystem::exists(folder / kCheckpointName))
    return;
  throw Error(ErrorCode::kConflict,
              "the output holds a model that no checkpoint belongs to: " + folder.string() + "; give a new folder",
              "out");
}

std::vector<TrainedWeight> all_weights(ModelWeights& weights) {
  std::vector<TrainedWeight> trained;
  weights.for_each([&](Weight& weight) { trained.push_back({&weight, weight.value.rank() == 2, 1.0f}); });
  return trained;
}

class Pretrainer {
 public:
  Pretrainer(const PretrainRequest& request, TrainObserver& observer)
      : request_(request),
        observer_(observer),
        context_(kernels::Context::cpu(request.threads)),
        tokenizer_(Tokenizer::load(request.tokenizer_folder)),
        stream_(request, tokenizer_),
        random_(request.seed) {
    request_.model.vocab_size = tokenizer_.vocabulary_size();
    request_.model.end_tokens = {end_token(tokenizer_)};
    request_.model.validate();
    check_output(request_.output_folder);
    key_ = request_key(request_);
    weights_ = random_weights(request_.model, random_);
    weights_.make_trainable();
    transformer_.emplace(request_.model, weights_, nullptr);
    optimizer_.emplace(all_weights(weights_),
                       OptimizerOptions{.weight_decay = static_cast<float>(request_.weight_decay), .beta2 = 0.95f});
    std::filesystem::create_directories(request_.output_folder);
    resume();
  }

  void run() {
    const auto begin = Clock::now();
    const std::int64_t first = step_;
    while (step_ < request_.steps) {
      if (observer_.should_stop()) {
        save();
        throw Error(ErrorCode::kCancelled,
                    "pretraining stopped at step " + std::to_string(step_) + "; the same command goes on from there");
      }
      TrainProgress progress = one_step();
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      const auto done = static_cast<double>(step_ - first);
      progress.tokens_per_second =
          done * static_cast<double>(request_.sequence_tokens * request_.batch_sequences) / seconds;
      progress.seconds_left = seconds / done * static_cast<double>(request_.steps - step_);
      record(progress);
      observer_.on_step(progress);
      if (step_ % request_.checkpoint_steps == 0) save();
    }
    save();
  }

 private:
  TrainProgress one_step() {
    PackedBatch batch;
    Tensor targets, dhidden;
    std::int64_t supervised = 0;
    stream_.batch(step_, batch, targets, supervised);
    optimizer_->zero_gradients();
    const Tensor& hidden = transformer_->forward(context_, batch, nullptr, ActivationMode::kKeep);
    dhidden.resize(hidden.shape());
    LinearWeight& head = weights_.output_head();
    const auto options = request_.model.head_options(supervised > 0 ? 1.0f / static_cast<float>(supervised) : 0.0f);
    const kernels::LossSum loss = kernels::linear_cross_entropy(context_, hidden, head.packed, targets, nullptr,
                                                                options, &dhidden, &head.gradient);
    transformer_->backward(context_, batch, dhidden, nullptr);
    const auto warmup = static_cast<std::int64_t>(request_.warmup_fraction * static_cast<double>(request_.steps));
    TrainProgress progress;
    progress.learning_rate =
        request_.learning_rate * (0.05 + 0.95 * step_factor("cosine", step_, warmup, request_.steps));
    progress.gradient_norm = optimizer_->step(context_, progress.learning_rate);
    weights_.refresh();
    progress.step = ++step_;
    progress.total_steps = request_.steps;
    progress.loss = supervised > 0 ? loss.loss / static_cast<double>(supervised) : 0;
    return progress;
  }

  void record(const TrainProgress& progress) {
    if (progress.step % 10 != 0 && progress.step != 1) return;
    const auto loss = std::isfinite(progress.loss) ? platform::json::value(progress.loss) : nullptr;
    curve_.push_back(
        platform::json::object{{"step", progress.step}, {"loss", loss}, {"learning_rate", progress.learning_rate}});
  }

  void save() {
    platform::json::object state{{"request", key_},
                                 {"step", step_},
                                 {"updates", optimizer_->steps()},
                                 {"skipped", optimizer_->skipped()},
                                 {"curve", curve_}};
    save_checkpoint(request_.output_folder / kCheckpointName, optimizer_->tensors(), state);
    save_model(request_.output_folder, request_.model, weights_, kernels::DataType::kBFloat16);
    for (const char* name : {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}) {
      if (!std::filesystem::exists(request_.tokenizer_folder / name)) continue;
      platform::write_file_atomically(request_.output_folder / name,
                                      platform::read_file(request_.tokenizer_folder / name));
    }
    std::string lines;
    for (const auto& entry : curve_) lines += platform::canonical_json(entry) + "\n";
    platform::write_file_atomically(request_.output_folder / "loss.jsonl", lines);
  }

  void resume() {
    auto checkpoint = load_checkpoint(request_.output_folder / kCheckpointName, key_);
    if (!checkpoint) return;
    step_ = platform::require_int(checkpoint->state, "step", "checkpoint");
    curve_ = platform::as_array(platform::require(checkpoint->state, "curve", "checkpoint"), "curve");
    optimizer_->restore(checkpoint->tensors, platform::require_int(checkpoint->state, "updates", "checkpoint"),
                        platform::require_int(checkpoint->state, "skipped", "checkpoint"));
    weights_.refresh();
  }

  PretrainRequest request_;
  TrainObserver& observer_;
  kernels::Context context_;
  Tokenizer tokenizer_;
  TokenStream stream_;
  kernels::Random random_;
  std::string key_;
  ModelWeights weights_;
  std::optional<Transformer> transformer_;
  std::optional<Optimizer> optimizer_;
  std::int64_t step_ = 0;
  platform::json::array curve_;
};

}  // namespace

void PretrainRequest::validate() const {
  const auto check = [](bool good, const char* name, const std::string& rule) {
    if (!good) throw Error(ErrorCode::kInvalidInput, std::string(name) + " must be " + rule, name);
  };
  check(steps >= 1, "steps", "at least 1");
  check(sequence_tokens >= 2 && sequence_tokens <= model.max_positions, "sequence",
        "between 2 and the model's " + std::to_string(model.max_positions) + " positions");
  check(batch_sequences >= 1 && batch_sequences <= 65'536, "batch", "between 1 and 65536");
  check(learning_rate > 0 && learning_rate <= 1, "rate", "above 0 and at most 1");
  check(warmup_fraction >= 0 && warmup_fraction < 1, "warmup", "at least 0 and below 1");
  check(weight_decay >= 0 && std::isfinite(weight_decay), "decay", "0 or more");
  check(checkpoint_steps >= 1, "checkpoint-steps", "at least 1");
}

void pretrain(const PretrainRequest& request, TrainObserver& observer) {
  request.validate();
  Pretrainer(request, observer).run();
}

}  // namespace finetune
