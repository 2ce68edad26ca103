#include "finetune/adapter/adapted_model.h"

#include <cmath>
#include <numeric>

#include "finetune/formats/safetensors.h"
#include "kernels/ops/elementwise.h"

namespace finetune {

using kernels::Context;
using kernels::LossSum;
using kernels::Tensor;
using platform::Error;
using platform::ErrorCode;

namespace {

float usual_size(const Tensor& table) {
  double squares = 0;
  const Tensor values = table.cast_to(kernels::DataType::kFloat32);
  for (const float value : values.values<float>()) squares += static_cast<double>(value) * static_cast<double>(value);
  return static_cast<float>(std::sqrt(squares / static_cast<double>(values.count())));
}

void make_sensor_parts(AdapterParts& parts, const Base& base, kernels::Random& random) {
  if (!parts.schema.empty()) {
    const float usual = usual_size(base.weights.embedding.value) * base.config.embedding_multiplier;
    parts.encoder.emplace(parts.schema, base.config.hidden_size, usual, random);
  }
  if (parts.task == Task::kLanguageModel) return;
  const std::int64_t outputs = output_count(parts.head_target());
  parts.head.emplace(outputs, base.config.hidden_size, random);
  if (parts.side_size.members == 0) return;
  parts.head->start_at_zero();
  parts.side.emplace(SideShape{.dense = side_width(parts.schema),
                               .ngrams = static_cast<std::int64_t>(parts.schema.wording.ngrams().size()),
                               .outputs = outputs,
                               .members = parts.side_size.members,
                               .width = parts.side_size.width},
                     random);
}

// Everything that sensor.safetensors holds.
std::vector<Weight*> stored_weights(AdapterParts& parts) {
  std::vector<Weight*> all = parts.sensor_weights();
  if (parts.side) {
    for (Weight* weight : parts.side->weights()) all.push_back(weight);
  }
  return all;
}

SideTrees read_trees(const SafetensorsFile& file, const SideShape& shape) {
  std::map<std::string, Tensor> tensors;
  for (const std::string& name : tree_tensor_names()) {
    if (file.contains(name)) tensors.emplace(name, file.read(name));
  }
  return tensors.empty() ? SideTrees{} : trees_from_tensors(tensors, shape.dense, shape.outputs);
}

// The documents of a batch: each example's own, and behind it the other answer of a pair.
std::vector<const EncodedExample*> documents_of(Batch batch) {
  std::vector<const EncodedExample*> documents;
  for (const EncodedExample* example : batch) {
    documents.push_back(example);
    for (const EncodedExample& rejected : example->rejected) documents.push_back(&rejected);
  }
  return documents;
}

// Of what stands beside every token, what stands beside an example's targets.
std::vector<std::vector<float>> rows_of(Batch batch, const std::vector<float>& of_tokens) {
  std::vector<std::vector<float>> rows;
  std::size_t at = 0;
  for (const EncodedExample* example : batch) {
    rows.emplace_back();
    for (const EncodedExample* document : documents_of({&example, 1})) {
      for (const std::int32_t target : document->targets) {
        if (target >= 0) rows.back().push_back(of_tokens[at]);
        ++at;
      }
    }
  }
  return rows;
}

// What the teachers of a batch say, row by row; a token of which they say nothing has an empty row.
struct TeacherOfBatch {
  std::vector<std::int64_t> borders{0};
  std::vector<std::int32_t> tokens;
  std::vector<float> logs;

  explicit TeacherOfBatch(Batch batch) {
    for (const EncodedExample* document : documents_of(batch)) {
      for (std::size_t i = 0; i < document->targets.size(); ++i) {
        if (!document->teacher.empty()) add(document->teacher[i]);
        borders.push_back(static_cast<std::int64_t>(tokens.size()));
      }
    }
  }
  kernels::TeacherProbabilities view() const { return {borders, tokens, logs}; }

 private:
  void add(const std::vector<platform::TeacherToken>& list) {
    for (const platform::TeacherToken& token : list) {
      tokens.push_back(token.token);
      logs.push_back(token.logprob);
    }
  }
};

Tensor targets_of(Batch batch) {
  std::vector<std::int32_t> targets;
  for (const EncodedExample* document : documents_of(batch))
    targets.insert(targets.end(), document->targets.begin(), document->targets.end());
  return Tensor::from(targets);
}

}  // namespace

HeadTarget AdapterParts::head_target() const {
  return {.task = task,
          .labels = static_cast<std::int64_t>(labels.size()),
          .mean = target_mean,
          .deviation = target_deviation,
          .form = form};
}

void AdapterParts::start(const Base& base, const PeftConfig& config, std::uint64_t seed) {
  kernels::Random random(seed);
  adapter = Adapter(base.config, base.weights, config, random);
  make_sensor_parts(*this, base, random);
}

void AdapterParts::start_from(const Base& base, Adapter trained, std::uint64_t seed) {
  kernels::Random random(seed);
  adapter = std::move(trained);
  make_sensor_parts(*this, base, random);
}

std::vector<Weight*> AdapterParts::sensor_weights() {
  std::vector<Weight*> all;
  if (encoder) all = encoder->weights();
  if (head) {
    for (Weight* weight : head->weights()) all.push_back(weight);
  }
  return all;
}

std::vector<Weight*> AdapterParts::weights() {
  std::vector<Weight*> all;
  adapter.for_each([&](Weight& weight) { all.push_back(&weight); });
  for (Weight* weight : sensor_weights()) all.push_back(weight);
  return all;
}

void AdapterParts::make_trainable() {
  adapter.make_trainable();
  if (encoder) encoder->make_trainable();
  if (head) head->make_trainable();
}

void AdapterParts::save(const std::filesystem::path& folder) {
  adapter.save(folder);
  std::map<std::string, const Tensor*> tensors;
  for (const Weight* weight : stored_weights(*this)) tensors[weight->name] = &weight->value;
  const std::map<std::string, Tensor> trees = to_tensors(side_trees);
  for (const auto& [name, tensor] : trees) tensors[name] = &tensor;
  if (!tensors.empty()) write_safetensors(folder / "sensor.safetensors", tensors);
  if (!memory.empty()) memory.write(folder / kMemoryName);
}

void AdapterParts::load(const std::filesystem::path& folder, const Base& base) {
  adapter = Adapter::load(folder, base.config, base.weights);
  kernels::Random random(0);
  make_sensor_parts(*this, base, random);
  side_is_fitted = side.has_value();
  const std::vector<Weight*> weights = stored_weights(*this);
  if (weights.empty()) return;
  const SafetensorsFile file(folder / "sensor.safetensors");
  for (Weight* weight : weights) {
    Tensor stored = file.read_finite(weight->name, kernels::DataType::kFloat32);
    if (stored.shape() != weight->value.shape()) {
      throw Error(ErrorCode::kCorrupt,
                  "sensor.safetensors has another shape for " + weight->name + " than the manifest asks for");
    }
    weight->value = std::move(stored);
  }
  if (side) side_trees = read_trees(file, side->shape());
}

AdaptedModel::AdaptedModel(Base& base, AdapterParts& parts)
    : base_(base), parts_(parts), transformer_(base.config, base.weights, &parts.adapter) {}

const Tensor* AdaptedModel::slot_embeddings(Context& context, Batch batch) {
  std::vector<const SlotValue*> slots;
  for (const EncodedExample* document : documents_of(batch)) {
    for (const SlotValue& slot : document->slots) slots.push_back(&slot);
  }
  if (slots.empty()) return nullptr;
  return &parts_.encoder->forward(context, slots);
}

const Tensor& AdaptedModel::hidden_of(Context& context, Batch batch, ActivationMode mode) {
  std::vector<std::span<const std::int32_t>> documents;
  for (const EncodedExample* document : documents_of(batch)) documents.emplace_back(document->ids);
  packed_ = pack_documents(documents);
  return transformer_.forward(context, packed_, slot_embeddings(context, batch), mode);
}

LossSum AdaptedModel::tokens_loss(Context& context, const Tensor& hidden, const Tensor& targets,
                                  const Tensor& row_weights, const kernels::TeacherProbabilities* teacher, float scale,
                                  Tensor* dhidden) {
  OutputHead& head = transformer_.output_head();
  Tensor* dweight = dhidden != nullptr ? head.gradient() : nullptr;
  const kernels::LinearCrossEntropyOptions options = base_.config.head_options(scale);
  const kernels::DistillationOptions distillation{static_cast<float>(objective_.kd_ratio),
                                                  static_cast<float>(objective_.kd_temperature)};
  const LossSum loss = teacher == nullptr
                           ? kernels::linear_cross_entropy(context, hidden, head.weight(), targets, &row_weights,
                                                           options, dhidden, dweight)
                           : kernels::linear_distillation(context, hidden, head.weight(), targets, &row_weights,
                                                          *teacher, distillation, options, dhidden, dweight);
  if (dweight != nullptr) head.backward(context);
  return loss;
}

Tensor& AdaptedModel::head_outputs(Context& context, Batch batch, const Tensor& hidden) {
  Tensor& output = parts_.head->forward(context, packed_, hidden);
  if (!parts_.side || !side_active_) return output;
  std::vector<const SideInput*> inputs;
  for (const EncodedExample* example : batch) inputs.push_back(&example->side);
  kernels::add(context, parts_.side->forward(context, inputs), output);
  parts_.side_trees.add_to(context, inputs, output);
  return output;
}

std::vector<float> AdaptedModel::log_probabilities(Context& context, const Tensor& hidden, const Tensor& targets) {
  Tensor each({hidden.size(0)});
  kernels::token_log_probabilities(context, hidden, transformer_.output_head().weight(), targets,
                                   base_.config.head_options(), each);
  return {each.values<float>().begin(), each.values<float>().end()};
}

LossSum AdaptedModel::token_loss(Context& context, Batch batch, const Tensor& hidden, float scale, Tensor* dhidden) {
  std::vector<float> weights;
  for (const EncodedExample* document : documents_of(batch))
    weights.insert(weights.end(), document->targets.size(), document->weight);
  const Tensor targets = targets_of(batch), row_weights = Tensor::from(weights);
  if (objective_.kind != ObjectiveKind::kDistillation)
    return tokens_loss(context, hidden, targets, row_weights, nullptr, scale, dhidden);
  const TeacherOfBatch teacher(batch);
  const kernels::TeacherProbabilities probabilities = teacher.view();
  return tokens_loss(context, hidden, targets, row_weights, &probabilities, scale, dhidden);
}

// A pair's slopes by its two sums of log probabilities are the weights of their rows in a second pass over the head.
LossSum AdaptedModel::pairs_loss(Context& context, Batch batch, const Tensor& hidden, float scale, Tensor* dhidden) {
  const Tensor targets = targets_of(batch);
  const std::vector<std::vector<float>> outputs = rows_of(batch, log_probabilities(context, hidden, targets));
  std::vector<float> weights;
  LossSum sum;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const PairLoss pair = pair_loss(objective_, pair_logprobs(*batch[i], outputs[i]));
    const double weight = static_cast<double>(batch[i]->weight);
    sum.loss += weight * pair.loss;
    sum.weight += weight;
    ++sum.count;
    weights.insert(weights.end(), batch[i]->targets.size(), static_cast<float>(-weight * pair.dchosen));
    weights.insert(weights.end(), batch[i]->rejected.at(0).targets.size(),
                   static_cast<float>(-weight * pair.drejected));
  }
  if (dhidden != nullptr) tokens_loss(context, hidden, targets, Tensor::from(weights), nullptr, scale, dhidden);
  return sum;
}

LossSum AdaptedModel::loss_of(Context& context, Batch batch, const Tensor& hidden, float scale,
                              const Tensor* class_weights, Tensor* dhidden) {
  if (parts_.task == Task::kLanguageModel) {
    return objective_.of_pairs() ? pairs_loss(context, batch, hidden, scale, dhidden)
                                 : token_loss(context, batch, hidden, scale, dhidden);
  }
  Tensor& output = head_outputs(context, batch, hidden);
  const LossSum loss = head_loss(context, parts_.head_target(), batch, output, class_weights, scale,
                                 dhidden != nullptr ? &output : nullptr);
  if (dhidden != nullptr) parts_.head->backward(context, packed_, output, *dhidden);
  return loss;
}

void AdaptedModel::set_adapter_active(bool active) {
  transformer_.set_adapter_active(active);
  side_active_ = active;
}

LossSum AdaptedModel::train(Context& context, Batch batch, float scale, const Tensor* class_weights,
                            ActivationMode mode, std::uint64_t dropout_seed) {
  transformer_.set_dropout_seed(dropout_seed);
  const Tensor& hidden = hidden_of(context, batch, mode);
  dhidden_.resize(hidden.shape());
  const LossSum loss = loss_of(context, batch, hidden, scale, class_weights, &dhidden_);
  const bool slots = packed_.slot_count() > 0;
  transformer_.backward(context, packed_, dhidden_, slots ? &dslots_ : nullptr);
  if (slots) parts_.encoder->backward(context, dslots_);
  return loss;
}

LossSum AdaptedModel::loss(Context& context, Batch batch, const Tensor* class_weights) {
  return loss_of(context, batch, hidden_of(context, batch, ActivationMode::kNone), 0.0f, class_weights, nullptr);
}

std::vector<std::vector<float>> AdaptedModel::outputs(Context& context, Batch batch) {
  const Tensor& hidden = hidden_of(context, batch, ActivationMode::kNone);
  if (parts_.task == Task::kLanguageModel) return rows_of(batch, log_probabilities(context, hidden, targets_of(batch)));
  std::vector<std::vector<float>> rows;
  const Tensor& output = head_outputs(context, batch, hidden);
  const auto width = output.size(1);
  for (std::int64_t row = 0; row < output.size(0); ++row) {
    const float* from = output.data<float>() + row * width;
    rows.emplace_back(from, from + width);
  }
  return rows;
}

PairLogprobs pair_logprobs(const EncodedExample& pair, std::span<const float> outputs) {
  const auto answer = [](std::span<const float> tokens) {
    return AnswerLogprob{std::accumulate(tokens.begin(), tokens.end(), 0.0), static_cast<std::int64_t>(tokens.size())};
  };
  const auto border = static_cast<std::size_t>(pair.supervised());
  return {answer(outputs.first(border)), answer(outputs.subspan(border)), pair.reference_margin};
}

std::vector<std::vector<std::size_t>> group_by_tokens(const std::vector<EncodedExample>& examples,
                                                      const std::vector<std::size_t>& order, std::int64_t max_tokens) {
  std::vector<std::vector<std::size_t>> groups;
  std::int64_t tokens = 0;
  for (const std::size_t index : order) {
    const std::int64_t length = examples[index].tokens();
    if (groups.empty() || tokens + length > max_tokens) {
      groups.emplace_back();
      tokens = 0;
    }
    groups.back().push_back(index);
    tokens += length;
  }
  return groups;
}

}  // namespace finetune
