// What it costs to know which tokens may come next: where the state is new, and where its tokens are kept already.
#include <benchmark/benchmark.h>

#include "finetune/generate/grammar_constraint.h"
#include "finetune/generate/json_schema.h"
#include "finetune/text/tokenizer.h"

namespace finetune {
namespace {

// Inside of a string, where most of the vocabulary may come.
constexpr const char* kSchema = R"({"type":"object","properties":{"note":{"type":"string"}},"required":["note"]})";

struct Vocabulary {
  Tokenizer tokenizer = Tokenizer::load("finetune/bases/anneal-nano");
  std::vector<std::int32_t> ends{tokenizer.eos_id().value_or(0)};
  TokenTrie trie{tokenizer, ends};
};

const Vocabulary& vocabulary() {
  static const Vocabulary one;
  return one;
}

GrammarConstraint inside_of_a_string() {
  GrammarConstraint constraint(grammar_of_schema(platform::parse_json(kSchema, "schema")), vocabulary().trie,
                               vocabulary().ends);
  for (const std::int32_t token : vocabulary().tokenizer.encode("{\"note\":\"")) constraint.take(token);
  return constraint;
}

void new_state(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    GrammarConstraint constraint = inside_of_a_string();
    state.ResumeTiming();
    benchmark::DoNotOptimize(constraint.allowed(1000).data());
  }
  state.counters["tokens"] = static_cast<double>(vocabulary().trie.vocabulary_size());
}

void known_state(benchmark::State& state) {
  GrammarConstraint constraint = inside_of_a_string();
  for (auto _ : state) benchmark::DoNotOptimize(constraint.allowed(1000).data());
}

void near_the_limit(benchmark::State& state) {
  GrammarConstraint constraint = inside_of_a_string();
  for (auto _ : state) benchmark::DoNotOptimize(constraint.allowed(constraint.tokens_to_finish()).data());
}

BENCHMARK(new_state)->Name("allowed_tokens/new_state")->Unit(benchmark::kMicrosecond);
BENCHMARK(known_state)->Name("allowed_tokens/known_state")->Unit(benchmark::kMicrosecond);
BENCHMARK(near_the_limit)->Name("allowed_tokens/near_the_limit")->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace finetune
