// Megabytes a second of encoding and decoding, one thread, on the Korean and English text that anneal-nano learned
// from, a document at a time. The tokenizer is anneal-nano's, and every folder named on the command line behind "--":
//   finetune_bench --benchmark_filter=encode -- ../shared/golden/tokenizers/llama3
#include <benchmark/benchmark.h>

#include <cstring>
#include <filesystem>
#include <memory>

#include "finetune/bases/corpus.h"
#include "finetune/text/tokenizer.h"

namespace {

using finetune::Tokenizer;

constexpr std::size_t kBytes = 2'000'000;

struct Workload {
  Tokenizer tokenizer;
  std::vector<std::string> documents;
  std::vector<std::vector<std::int32_t>> ids;
  std::size_t bytes = 0;
};

std::shared_ptr<const Workload> workload(const std::filesystem::path& folder) {
  auto made = std::make_shared<Workload>(Workload{Tokenizer::load(folder), {}, {}, 0});
  finetune::Corpus corpus(1);
  while (made->bytes < kBytes) {
    made->documents.push_back(corpus.next_document());
    made->ids.push_back(made->tokenizer.encode(made->documents.back()));
    made->bytes += made->documents.back().size();
  }
  return made;
}

void report(benchmark::State& state, const Workload& work) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * work.bytes));
}

void encode(benchmark::State& state, const std::shared_ptr<const Workload>& work) {
  for (auto _ : state) {
    for (const std::string& document : work->documents) benchmark::DoNotOptimize(work->tokenizer.encode(document));
  }
  report(state, *work);
}

void decode(benchmark::State& state, const std::shared_ptr<const Workload>& work) {
  for (auto _ : state) {
    for (const auto& ids : work->ids) benchmark::DoNotOptimize(work->tokenizer.decode(ids));
  }
  report(state, *work);
}

void add(const std::filesystem::path& folder) {
  const auto work = workload(folder);
  const std::string name = folder.filename().string();
  benchmark::RegisterBenchmark(("encode/" + name).c_str(), encode, work)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark(("decode/" + name).c_str(), decode, work)->Unit(benchmark::kMillisecond);
}

}  // namespace

int main(int count, char** words) {
  int own = count;
  for (int i = 1; i < count && own == count; ++i) {
    if (std::strcmp(words[i], "--") == 0) own = i;
  }
  add("finetune/bases/anneal-nano");
  for (int i = own + 1; i < count; ++i) add(words[i]);
  benchmark::Initialize(&own, words);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
