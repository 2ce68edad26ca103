#include "finetune/generate/generator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

#include "finetune/text/decode_stream.h"
#include "kernels/ops/sample.h"

namespace finetune {
namespace {

using kernels::Tensor;

// Log-probabilities of one position, for those who ask.
class Logprobs {
 public:
  Logprobs(const Tokenizer& tokenizer, std::span<const float> logits) : tokenizer_(tokenizer), logits_(logits) {
    const double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
    whole_ = largest + std::log(sum);
  }
  GeneratedToken of(std::int32_t chosen, std::int32_t alternatives) const {
    std::vector<std::int32_t> order(logits_.size());
    std::iota(order.begin(), order.end(), 0);
    const auto count = std::min(order.size(), static_cast<std::size_t>(alternatives));
    std::partial_sort(
        order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
        [this](std::int32_t a, std::int32_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
    GeneratedToken token{one(chosen), {}};
    for (std::size_t i = 0; i < count; ++i) token.alternatives.push_back(one(order[i]));
    return token;
  }

 private:
  float logit(std::int32_t token) const { return logits_[static_cast<std::size_t>(token)]; }
  TokenLogprob one(std::int32_t token) const {
    return {token, tokenizer_.token_bytes(token), static_cast<double>(logit(token)) - whole_};
  }

  const Tokenizer& tokenizer_;
  std::span<const float> logits_;
  double whole_ = 0;
};

kernels::SampleOptions sampling_of(const GenerateOptions& options) {
  return {.repetition_penalty = options.repetition_penalty,
          .no_repeat_ngram = options.no_repeat_ngram_size,
          .temperature = options.temperature,
          .top_k = options.top_k,
          .top_p = options.top_p,
          .min_p = options.min_p,
          .typical_p = options.typical_p};
}

// Tokens that prompt and answer may have together.
std::int64_t room_of(const Base& base, std::int64_t prompt_tokens, std::int64_t answer_tokens) {
  const std::int64_t left = base.config.max_positions - prompt_tokens;
  if (left > 0) return prompt_tokens + std::clamp<std::int64_t>(answer_tokens, 0, left);
  throw platform::Error(platform::ErrorCode::kTooLarge, "the prompt has " + std::to_string(prompt_tokens) +
                                                            " tokens, the model takes " +
                                                            std::to_string(base.config.max_positions) + "; shorten it");
}

// Final hidden states of the tokens that come next; the prompt's own slots only with the prompt.
const Tensor& continued(kernels::Context& context, AdaptedModel& model, const EncodedExample& prompt,
                        const std::vector<std::int32_t>& ids, KeyValueCache& cache) {
  const std::span<const std::int32_t> document(ids);
  const EncodedExample* batch[] = {&prompt};
  const Tensor* slots = cache.length == 0 ? model.slot_embeddings(context, batch) : nullptr;
  return model.transformer().forward_cached(context, pack_documents({&document, 1}), slots, cache);
}

// Holds text back while its end could still become a stop text; cuts at the first stop text.
class StopFilter {
 public:
  explicit StopFilter(const std::vector<std::string>& stops) : stops_(stops) {}
  bool stopped() const { return stopped_; }

  std::string push(const std::string& piece) {
    held_ += piece;
    std::size_t cut = std::string::npos;
    for (const std::string& stop : stops_) {
      if (!stop.empty()) cut = std::min(cut, held_.find(stop));
    }
    if (cut != std::string::npos) {
      stopped_ = true;
      held_.resize(cut);
      return finish();
    }
    const std::size_t keep = longest_partial();
    std::string out = held_.substr(0, held_.size() - keep);
    held_.erase(0, out.size());
    return out;
  }
  std::string finish() { return std::exchange(held_, {}); }

 private:
  std::size_t longest_partial() const {
    std::size_t longest = 0;
    for (const std::string& stop : stops_) {
      for (std::size_t n = std::min(stop.size(), held_.size()); n > longest; --n) {
        if (held_.ends_with(std::string_view(stop).substr(0, n))) longest = n;
      }
    }
    return longest;
  }

  const std::vector<std::string>& stops_;
  std::string held_;
  bool stopped_ = false;
};

void check_options_of(Constraint& constraint, const GenerateOptions& options, std::int64_t room) {
  const auto refuse = [](const std::string& what, const char* option) {
    throw platform::Error(platform::ErrorCode::kInvalidInput, what, option);
  };
  if (!options.stop.empty()) refuse("a stop text would cut an answer that has a form; leave stop out", "stop");
  if (options.no_repeat_ngram_size > 0)
    refuse("no_repeat_ngram_size could forbid all that the form of the answer allows; leave it out",
           "no_repeat_ngram_size");
  const std::int64_t least = constraint.tokens_to_finish();
  if (least == kNeverFinished)
    refuse("the tokens of this model cannot write an answer of this form", "response_format");
  if (least > room)
    refuse("the shortest answer of this form has " + std::to_string(least) + " tokens, and " + std::to_string(room) +
               " may be written; raise max_tokens or shorten the prompt",
           "max_tokens");
}

// The logits with what must not come next at -infinity.
Tensor constrained(const Tensor& logits, std::span<const std::uint64_t> allowed) {
  Tensor kept = logits.clone();
  const std::span<float> values = kept.values<float>();
  for (std::size_t token = 0; token < values.size(); ++token) {
    if (token / 64 >= allowed.size() || !holds(allowed, token)) values[token] = -std::numeric_limits<float>::infinity();
  }
  return kept;
}

}  // namespace

Generation generate(kernels::Context& context, Base& base, AdaptedModel& model, const EncodedExample& prompt,
                    const GenerateOptions& options, const OnPiece& on_piece, FairMutex& computing,
                    Constraint* constraint) {
  options.validate();
  Generation result{.finish_reason = "length", .prompt_tokens = static_cast<std::int64_t>(prompt.ids.size())};
  const std::int64_t room = room_of(base, result.prompt_tokens, options.max_tokens);
  // The last token needs no position: nothing is computed from it.
  const std::int64_t longest = std::min(options.max_tokens, base.config.max_positions - result.prompt_tokens + 1);
  if (constraint != nullptr) check_options_of(*constraint, options, longest);
  KeyValueCache cache(base.config, room);
  kernels::Random random(options.seed);
  const kernels::SampleOptions sampling = sampling_of(options);
  const std::vector<std::int32_t> ends = base.end_tokens();
  DecodeStream decoder(base.tokenizer);
  StopFilter filter(options.stop);
  std::vector<std::int32_t> before = prompt.ids;  // prompt and answer so far
  std::vector<std::int32_t> ids = prompt.ids;     // what the cache has not seen
  Tensor logits({1, base.config.vocab_size});
  const auto emit = [&](const std::string& piece) {
    result.text += piece;
    return piece.empty() || !on_piece || on_piece(piece);
  };
  while (result.completion_tokens < longest) {
    std::span<const std::uint64_t> allowed;
    if (constraint != nullptr) allowed = constraint->allowed(longest - result.completion_tokens);
    std::int32_t token = 0;
    {
      const std::lock_guard lock(computing);
      const Tensor& hidden = continued(context, model, prompt, ids, cache);
      model.transformer().logits(context, hidden.slice_rows(hidden.size(0) - 1, hidden.size(0)), logits);
      const Tensor row = constraint != nullptr ? constrained(logits.view({base.config.vocab_size}), allowed)
                                               : logits.view({base.config.vocab_size});
      token = kernels::sample_token(context, row, sampling, random, before);
    }
    if (std::find(ends.begin(), ends.end(), token) != ends.end()) {
      result.finish_reason = "stop";
      break;
    }
    ++result.completion_tokens;
    if (options.logprobs)
      result.tokens.push_back(Logprobs(base.tokenizer, logits.values<float>()).of(token, *options.logprobs));
    const bool wanted = emit(filter.push(decoder.push(token)));
    if (filter.stopped() || !wanted) {
      result.finish_reason = "stop";
      return result;
    }
    ids = {token};
    before.push_back(token);
    if (constraint == nullptr) continue;
    constraint->take(token);
    if (constraint->complete()) result.finish_reason = "stop";
    if (constraint->finished()) break;
    if (!constraint->complete()) result.finish_reason = "length";
  }
  emit(filter.push(decoder.finish()));
  if (!filter.stopped()) emit(filter.finish());
  return result;
}

}  // namespace finetune
