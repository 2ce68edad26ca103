#include "finetune/generate/generate_options.h"

#include <charconv>

#include "platform/base/error.h"

namespace finetune {
namespace {

std::string short_text(double value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, static_cast<float>(value)).ptr};
}

void check(bool good, const char* name, const char* range, double value) {
  if (good) return;
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        std::string(name) + " is " + short_text(value) + "; it must be " + range, name);
}

// Written so that a number that is none is refused.
bool is_share(float value) { return value > 0.0f && value <= 1.0f; }

}  // namespace

void GenerateOptions::validate() const {
  const auto number = [](float value) { return static_cast<double>(value); };
  check(max_tokens >= 1, "max_tokens", "1 or more", static_cast<double>(max_tokens));
  check(temperature >= 0.0f && temperature <= 2.0f, "temperature", "0 to 2", number(temperature));
  check(top_k >= 0, "top_k", "0 (all) or more", top_k);
  check(is_share(top_p), "top_p", "above 0 and at most 1", number(top_p));
  check(min_p >= 0.0f && min_p <= 1.0f, "min_p", "0 to 1", number(min_p));
  check(is_share(typical_p), "typical_p", "above 0 and at most 1", number(typical_p));
  check(repetition_penalty > 0.0f && repetition_penalty <= 2.0f, "repetition_penalty", "above 0 and at most 2",
        number(repetition_penalty));
  check(no_repeat_ngram_size >= 0 && no_repeat_ngram_size <= 64, "no_repeat_ngram_size", "0 to 64",
        no_repeat_ngram_size);
  check(!logprobs || (*logprobs >= 0 && *logprobs <= 20), "logprobs", "0 to 20", logprobs.value_or(0));
}

}  // namespace finetune
