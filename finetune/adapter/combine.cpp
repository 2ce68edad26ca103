#include "finetune/adapter/combine.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "finetune/adapter/adapter_folder.h"
#include "finetune/adapter/loaded_adapter.h"
#include "finetune/adapter/probe.h"
#include "finetune/model/singular_values.h"
#include "platform/base/file.h"

namespace finetune {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

namespace {

// One adapter's product for one module, s folded into the weight.
struct Term {
  const Tensor *a, *b;  // [r, in], [out, r]
  double weight;
};

std::vector<Term> terms_of(const std::vector<WeightedAdapter>& adapters, const std::string& module, bool embedding) {
  std::vector<Term> terms;
  for (const WeightedAdapter& each : adapters) {
    const auto found = each.adapter->modules.find(module);
    if (found == each.adapter->modules.end()) continue;
    const PeftModule& part = found->second;
    terms.push_back({embedding ? &part.embedding_a : &part.a, embedding ? &part.embedding_b : &part.b,
                     each.weight * each.adapter->config.scaling_of(module)});
  }
  return terms;
}

struct Product {
  Tensor a, b;
};

// Adds factor * `part` to rows and columns of `whole` from (row, column) on.
void add_block(const Tensor& part, double factor, std::int64_t row, std::int64_t column, Tensor& whole) {
  const std::int64_t width = part.size(1), whole_width = whole.size(1);
  for (std::int64_t j = 0; j < part.size(0); ++j) {
    for (std::int64_t i = 0; i < width; ++i)
      whole.data<float>()[(row + j) * whole_width + column + i] +=
          static_cast<float>(factor * static_cast<double>(part.data<float>()[j * width + i]));
  }
}

Product linear(const std::vector<Term>& terms, int rank) {
  Product sum{Tensor::zeros({rank, terms.front().a->size(1)}), Tensor::zeros({terms.front().b->size(0), rank})};
  for (const Term& term : terms) {
    const double root = std::sqrt(std::abs(term.weight));
    add_block(*term.a, term.weight < 0 ? -root : root, 0, 0, sum.a);
    add_block(*term.b, root, 0, 0, sum.b);
  }
  return sum;
}

// Where fewer adapters have the module than others, the last rows stay zero, so that one rank holds for all.
Product cat(const std::vector<Term>& terms, int rank) {
  Product all{Tensor::zeros({rank, terms.front().a->size(1)}), Tensor::zeros({terms.front().b->size(0), rank})};
  std::int64_t at = 0;
  for (const Term& term : terms) {
    add_block(*term.a, term.weight, at, 0, all.a);
    add_block(*term.b, 1.0, 0, at, all.b);
    at += term.a->size(0);
  }
  return all;
}

Product svd(const std::vector<Term>& terms, int rank) {
  int together = 0;
  for (const Term& term : terms) together += static_cast<int>(term.a->size(0));
  const Product all = cat(terms, together);
  const SingularValues parts = singular_values_of_product(Matrix::from(all.b), Matrix::from(all.a));
  Product best{Tensor::zeros({rank, all.a.size(1)}), Tensor::zeros({all.b.size(0), rank})};
  const std::int64_t kept = std::min<std::int64_t>(rank, together);
  for (std::int64_t k = 0; k < kept; ++k) {
    for (std::int64_t i = 0; i < all.a.size(1); ++i)
      best.a.data<float>()[k * all.a.size(1) + i] = static_cast<float>(parts.right.at(k, i));
    for (std::int64_t j = 0; j < all.b.size(0); ++j)
      best.b.data<float>()[j * rank + k] =
          static_cast<float>(parts.left.at(j, k) * parts.values[static_cast<std::size_t>(k)]);
  }
  return best;
}

[[noreturn]] void refuse(const std::string& message, const std::string& key) {
  throw Error(ErrorCode::kInvalidInput, message, key);
}

void check_kind(const PeftAdapter& adapter) {
  const PeftConfig& config = adapter.config;
  if (config.type != PeftType::kLora || config.use_dora || config.lora_bias)
    refuse("only plain LoRA adapters can be combined: no IA3, bottleneck, use_dora or lora_bias", "adapter");
  if (!adapter.saved.empty() || !config.trainable_token_indices.empty())
    refuse("adapters with modules_to_save or trainable_token_indices cannot be combined: whole weights have no sum",
           "adapter");
}

// One rank for the result.
int rank_of_all(const std::vector<WeightedAdapter>& adapters, const std::set<std::string>& modules,
                CombinationType type, int svd_rank) {
  int largest = 0, together = 0, smallest = 1 << 30;
  for (const WeightedAdapter& each : adapters) {
    int own = 0;
    for (const std::string& module : modules) {
      if (!each.adapter->modules.contains(module)) continue;
      const int rank = each.adapter->config.rank_of(module);
      own = std::max(own, rank);
      smallest = std::min(smallest, rank);
    }
    largest = std::max(largest, own);
    together += own;
  }
  if (type == CombinationType::kCat) return together;
  if (type == CombinationType::kSvd) return svd_rank > 0 ? svd_rank : largest;
  if (smallest != largest)
    refuse("linear needs one rank for all adapters and modules, they have " + std::to_string(smallest) + " to " +
               std::to_string(largest) + "; use cat or svd",
           "combination_type");
  return largest;
}

bool target_alike(const PeftConfig& a, const PeftConfig& b) {
  return a.target_modules == b.target_modules && a.target_pattern == b.target_pattern &&
         a.exclude_modules == b.exclude_modules && a.layers_to_transform == b.layers_to_transform;
}

// Where the adapters target different modules, the result names each of its own in full.
PeftConfig config_of(const std::vector<WeightedAdapter>& adapters, const std::set<std::string>& modules, int rank) {
  PeftConfig config = adapters.front().adapter->config;
  const bool alike = std::all_of(adapters.begin(), adapters.end(), [&](const WeightedAdapter& each) {
    return target_alike(each.adapter->config, config);
  });
  if (!alike) {
    config.target_modules.assign(modules.begin(), modules.end());
    config.target_pattern.clear();
    config.exclude_modules.clear();
    config.layers_to_transform.clear();
  }
  config.r = rank;
  config.lora_alpha = rank;
  config.lora_dropout = 0;
  config.use_rslora = false;
  config.rank_pattern.clear();
  config.alpha_pattern.clear();
  return config;
}

}  // namespace

CombinationType combination_type_from(std::string_view name) {
  if (name == "linear") return CombinationType::kLinear;
  if (name == "cat") return CombinationType::kCat;
  if (name == "svd") return CombinationType::kSvd;
  refuse("the combination must be linear, cat or svd, not \"" + std::string(name) + "\"", "type");
}

PeftAdapter combined(const std::vector<WeightedAdapter>& adapters, CombinationType type, int svd_rank) {
  if (adapters.empty()) refuse("combining needs an adapter", "adapter");
  std::set<std::string> modules;
  for (const WeightedAdapter& each : adapters) {
    check_kind(*each.adapter);
    for (const auto& [module, unused] : each.adapter->modules) modules.insert(module);
    if (!std::isfinite(each.weight)) refuse("the weight of an adapter must be a number", "weight");
  }
  const int rank = rank_of_all(adapters, modules, type, svd_rank);
  PeftAdapter result;
  result.config = config_of(adapters, modules, rank);
  result.config.validate();
  for (const std::string& module : modules) {
    const auto has = [&](const WeightedAdapter& each) { return each.adapter->modules.contains(module); };
    const auto first = std::find_if(adapters.begin(), adapters.end(), has);
    const bool embedding = first->adapter->modules.at(module).embedding_a.count() > 0;
    const std::vector<Term> terms = terms_of(adapters, module, embedding);
    Product product = type == CombinationType::kLinear ? linear(terms, rank)
                      : type == CombinationType::kCat  ? cat(terms, rank)
                                                       : svd(terms, rank);
    PeftModule& part = result.modules[module];
    (embedding ? part.embedding_a : part.a) = std::move(product.a);
    (embedding ? part.embedding_b : part.b) = std::move(product.b);
  }
  return result;
}

std::string combine_adapters(const CombineRequest& request) {
  const auto stage = [&](std::string_view name) {
    if (request.on_stage) request.on_stage(name);
  };
  if (request.adapter_folders.size() != request.weights.size())
    refuse("combining needs one weight for each adapter, it has " + std::to_string(request.weights.size()) + " for " +
               std::to_string(request.adapter_folders.size()),
           "weight");
  const std::filesystem::path output = plain_folder(request.output_folder, "out");
  check_adapter_place(output);
  kernels::Context context = kernels::Context::cpu(request.threads);
  stage("reading and checking base and adapters");
  std::vector<PeftAdapter> stored;
  std::vector<WeightedAdapter> weighted;
  platform::json::array sources;
  std::optional<LoadedAdapter> loaded;
  Manifest manifest;
  for (std::size_t i = 0; i < request.adapter_folders.size(); ++i) {
    loaded.emplace(load_adapter(context, request.base_folder, request.adapter_folders[i]));
    if (loaded->manifest.task != Task::kLanguageModel || !loaded->manifest.sensors.is_null())
      refuse("adapters with a sensor encoder or a head cannot be combined: " + request.adapter_folders[i].string(),
             "adapter");
    stored.push_back(read_peft_adapter(request.adapter_folders[i]));
    sources.push_back(platform::json::object{{"adapter", loaded->adapter_digest}, {"weight", request.weights[i]}});
    const std::int64_t before = manifest.max_tokens;
    if (i == 0) manifest = loaded->manifest;
    if (i > 0) manifest.max_tokens = std::min(before, loaded->manifest.max_tokens);
  }
  for (std::size_t i = 0; i < stored.size(); ++i) weighted.push_back({&stored[i], request.weights[i]});
  stage("combining");
  const platform::TemporaryFolder folder;
  write_peft_adapter(folder.path(), combined(weighted, request.type, request.svd_rank));
  loaded->parts->load(folder.path(), *loaded->base);
  stage("recording the probe");
  loaded->manifest = manifest;
  std::vector<platform::Example> examples;
  for (const platform::json::value& item : manifest.probe.at("examples").as_array())
    examples.push_back(platform::example_from_json(item));
  manifest.probe = record_probe(context, *loaded->model, loaded->rules(), examples);
  verify_probe(context, *loaded->model, loaded->rules(), manifest.probe, kProbeTolerance32);
  manifest.training = platform::json::object{{"combined_from", std::move(sources)}};
  manifest.profile = nullptr;
  manifest.files.clear();
  return write_adapter(output, *loaded->parts, std::move(manifest));
}

}  // namespace finetune
