// An adapter from PEFT's files and back.
#include <algorithm>
#include <cmath>

#include "finetune/model/adapter.h"
#include "platform/base/error.h"

namespace finetune {

using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

namespace {

Tensor viewed(const Weight& weight) { return weight.present() ? weight.value.view() : Tensor(); }

Tensor joined_rows(const Tensor& first, const Tensor& second) {
  Tensor both({first.size(0) + second.size(0), first.size(1)});
  both.slice_rows(0, first.size(0)).copy_from(first);
  both.slice_rows(first.size(0), both.size(0)).copy_from(second);
  return both;
}

Tensor joined_columns(const Tensor& first, const Tensor& second, float factor) {
  const std::int64_t left = first.size(1), right = second.size(1);
  Tensor both({first.size(0), left + right});
  for (std::int64_t j = 0; j < first.size(0); ++j) {
    float* row = both.data<float>() + j * (left + right);
    std::copy_n(first.data<float>() + j * left, left, row);
    for (std::int64_t k = 0; k < right; ++k) row[left + k] = factor * second.data<float>()[j * right + k];
  }
  return both;
}

// The configuration of an adapter of twice the rank that scales as before.
PeftConfig of_twice_the_rank(PeftConfig config) {
  const double factor = config.use_rslora ? std::sqrt(2.0) : 2.0;
  config.r *= 2;
  config.lora_alpha *= factor;
  for (auto& [key, rank] : config.rank_pattern) rank *= 2;
  for (auto& [key, alpha] : config.alpha_pattern) alpha *= factor;
  config.init_lora_weights = "true";
  return config;
}

void check_fits(bool fits, const std::string& name) {
  if (fits) return;
  throw Error(ErrorCode::kCorrupt,
              "the adapter's shape of " + name + " does not fit the base; take the base it was trained on");
}

bool fits(const LinearAdapter& adapter, std::int64_t inputs, std::int64_t outputs) {
  if (adapter.factors.present()) return adapter.factors.value.count() == (adapter.factors_of_input ? inputs : outputs);
  if (adapter.down.present()) return adapter.down.value.size(1) == outputs && adapter.up.value.size(0) == outputs;
  return adapter.a.present() && adapter.a.value.size(1) == inputs && adapter.b.value.size(0) == outputs;
}

// Where PEFT has stored the base's own tables beside an adapter of them, they must be those of this base.
void check_copies(const PeftAdapter& stored, const std::string& embedding, const ModelWeights& weights) {
  for (const auto& [name, copy] : stored.base_copies) {
    const LinearWeight& table = name == embedding + ".weight" ? weights.embedding : weights.output_head();
    const Tensor own = table.value.cast_to(kernels::DataType::kFloat32);
    const auto values = own.values<float>();
    if (own.shape() == copy.shape() && std::equal(values.begin(), values.end(), copy.values<float>().begin())) continue;
    throw Error(ErrorCode::kConflict, "the adapter carries another " + name +
                                          " than the base, perhaps of a vocabulary that was resized; take the base "
                                          "that it was trained on");
  }
}

}  // namespace

Adapter Adapter::load(const std::filesystem::path& folder, const ModelConfig& model, const ModelWeights& weights) {
  PeftAdapter stored = read_peft_adapter(folder);
  Adapter adapter;
  adapter.config_ = stored.config;
  adapter.model_ = model;
  adapter.linears_.resize(static_cast<std::size_t>(model.layer_count));
  for (std::size_t layer = 0; layer < adapter.linears_.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const std::string name = model.names.linear(static_cast<std::int64_t>(layer), kind);
      const auto found = stored.modules.find(name);
      if (found == stored.modules.end()) continue;
      LinearAdapter& linear = adapter.linears_[layer][index_of(kind)].emplace();
      adapter.load_linear(std::move(found->second), name, linear);
      check_fits(fits(linear, model.in_features(kind), model.out_features(kind)), name);
      stored.modules.erase(found);
    }
  }
  adapter.load_embedding(stored);
  adapter.load_head(stored);
  adapter.load_saved(stored, weights);
  check_copies(stored, std::string(model.names.embedding), weights);
  if (!stored.modules.empty())
    throw Error(ErrorCode::kCorrupt, "the adapter has a module that the base lacks: " + stored.modules.begin()->first);
  return adapter;
}

void Adapter::load_linear(PeftModule module, const std::string& name, LinearAdapter& adapter) const {
  name_parts(name, adapter);
  adapter.a.value = std::move(module.a);
  adapter.b.value = std::move(module.b);
  adapter.b_bias.value = std::move(module.b_bias);
  adapter.magnitude.value = std::move(module.magnitude);
  adapter.factors.value = std::move(module.factors);
  adapter.factors_of_input = config_.scales_input(name);
  adapter.down.value = std::move(module.down);
  adapter.down_bias.value = std::move(module.down_bias);
  adapter.up.value = std::move(module.up);
  adapter.up_bias.value = std::move(module.up_bias);
  adapter.activation = activation_from(config_.non_linearity);
  adapter.scaling = static_cast<float>(config_.scaling_of(name));
  adapter.dropout = static_cast<float>(config_.lora_dropout);
}

// A low-rank adapter of the embedding, or token rows.
void Adapter::load_embedding(PeftAdapter& stored) {
  const std::string name(model_.names.embedding);
  if (const auto found = stored.modules.find(name); found != stored.modules.end()) {
    name_parts(name, embedding_);
    embedding_.a.value = std::move(found->second.embedding_a);
    embedding_.b.value = std::move(found->second.embedding_b);
    embedding_.rows.value = std::move(found->second.token_rows);
    embedding_.scaling = static_cast<float>(config_.scaling_of(name));
    check_fits(embedding_.a.present()
                   ? embedding_.a.value.size(1) == model_.vocab_size && embedding_.b.value.size(0) == model_.hidden_size
                   : embedding_.rows.present() && embedding_.rows.value.size(1) == model_.hidden_size,
               name);
    if (embedding_.rows.present())
      embedding_.tokens.assign(config_.trainable_token_indices.begin(), config_.trainable_token_indices.end());
    for (const std::int32_t token : embedding_.tokens) check_fits(token < model_.vocab_size, name);
    stored.modules.erase(found);
  }
  if (embedding_.tokens.size() != config_.trainable_token_indices.size())
    throw Error(ErrorCode::kCorrupt, "the adapter lacks the rows of its trainable_token_indices");
}

void Adapter::load_head(PeftAdapter& stored) {
  const std::string name(model_.names.head);
  const auto found = stored.modules.find(name);
  if (found == stored.modules.end()) return;
  load_linear(std::move(found->second), name, head_);
  head_.dropout = 0;  // acts in training only
  check_fits(head_.a.present() && !head_.magnitude.present() && !head_.b_bias.present() &&
                 fits(head_, model_.hidden_size, model_.vocab_size),
             name);
  stored.modules.erase(found);
}

void Adapter::load_saved(PeftAdapter& stored, const ModelWeights& weights) {
  kernels::Context context = kernels::Context::cpu(1);
  start_saved(context, weights);
  saved_.for_each([&](Weight& weight) {
    const auto found = stored.saved.find(weight.name);
    if (found == stored.saved.end())
      throw Error(ErrorCode::kCorrupt, "the adapter lacks " + weight.name + ", which its modules_to_save name");
    check_fits(found->second.shape() == weight.value.shape(), weight.name);
    weight.value = std::move(found->second);
    stored.saved.erase(found);
  });
  if (!stored.saved.empty())
    throw Error(ErrorCode::kCorrupt, "the adapter has a weight that the base lacks: " + stored.saved.begin()->first);
}

PeftAdapter Adapter::to_peft() const {
  PeftAdapter stored;
  stored.config = config_;
  const bool doubled = config_.pissa_iterations() >= 0;
  if (doubled) stored.config = of_twice_the_rank(config_);
  stored.config.init_lora_weights = "true";
  const auto add = [&](const std::string& name, const LinearAdapter& adapter) {
    PeftModule& module = stored.modules[name];
    module.a = doubled ? joined_rows(adapter.a.value, adapter.start_a) : viewed(adapter.a);
    module.b = doubled ? joined_columns(adapter.b.value, adapter.start_b, -1.0f) : viewed(adapter.b);
    module.b_bias = viewed(adapter.b_bias);
    module.magnitude = viewed(adapter.magnitude);
    module.factors = viewed(adapter.factors);
    module.down = viewed(adapter.down);
    module.down_bias = viewed(adapter.down_bias);
    module.up = viewed(adapter.up);
    module.up_bias = viewed(adapter.up_bias);
  };
  for (std::size_t layer = 0; layer < linears_.size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      const auto& adapter = linears_[layer][index_of(kind)];
      if (adapter) add(model_.names.linear(static_cast<std::int64_t>(layer), kind), *adapter);
    }
  }
  if (head_.a.present()) add(std::string(model_.names.head), head_);
  if (embedding_.a.present() || embedding_.rows.present()) {
    PeftModule& module = stored.modules[std::string(model_.names.embedding)];
    module.embedding_a = viewed(embedding_.a);
    module.embedding_b = viewed(embedding_.b);
    module.token_rows = viewed(embedding_.rows);
  }
  const_cast<SavedModules&>(saved_).for_each([&](Weight& weight) { stored.saved[weight.name] = viewed(weight); });
  return stored;
}

void Adapter::save(const std::filesystem::path& folder) const { write_peft_adapter(folder, to_peft()); }

}  // namespace finetune
