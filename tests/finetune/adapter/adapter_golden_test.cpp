// Ten optimizer steps of every adapter kind against PEFT, through the code that training runs.
#include "finetune/adapter/adapted_model.h"
#include "finetune/train/optimizer.h"
#include "platform/base/file.h"
#include "tests/support/golden_models.h"

namespace finetune {
namespace {

using kernels::Tensor;
using platform::json::value;
using support::GoldenModel;
using support::relative_error;

std::string name_in_file(const Weight& weight) {
  const bool matrix = weight.name.ends_with(".lora_A") || weight.name.ends_with(".lora_B");
  return "base_model.model." + weight.name + (matrix ? ".weight" : "");
}

// In gradients PEFT's own parameter names stand: a magnitude has ".weight" behind it, a whole copy its wrapper's name.
std::string gradient_name(Adapter& adapter, const Weight& weight) {
  const std::string name = "gradient." + name_in_file(weight);
  if (name.ends_with(".lora_magnitude_vector")) return name + ".weight";
  if (adapter.saved().find(weight.name) == nullptr) return name;
  return name.substr(0, name.rfind('.')) + ".modules_to_save" + name.substr(name.rfind('.'));
}

// The base's own table, which PEFT stores beside an adapted embedding.
bool is_trained(const std::string& name) { return !name.ends_with(".base_layer.weight"); }

struct Trace {
  GoldenModel model;
  std::filesystem::path folder;
  value about;
  std::string precision;
  AdapterParts parts;
  bool one_by_one;
  double whole_gradient = 0;                                     // the largest of the first step
  double gradient_error = 0, weight_error = 0, logit_error = 0;  // the largest, for the table of finetune/README.md
  kernels::Context context = kernels::Context::cpu(1);

  Trace(const std::filesystem::path& model_folder, const std::filesystem::path& adapter, WeightPrecision weights,
        std::string name, bool apart)
      : model(model_folder, weights),
        folder(adapter),
        about(platform::read_json_file(adapter / "trace.json")),
        precision(std::move(name)),
        one_by_one(apart) {
    const platform::TemporaryFolder start;
    std::filesystem::copy_file(adapter / "adapter_config.json", start.path() / "adapter_config.json");
    std::filesystem::copy_file(adapter / "initial.safetensors", start.path() / "adapter_model.safetensors");
    parts.task = Task::kLanguageModel;
    parts.adapter = Adapter::load(start.path(), model.base.config, model.base.weights);
    parts.make_trainable();
  }

  double allowed(std::string_view what, double times, double floor) const {
    return times * support::peer_error(about, precision, what) + floor;
  }

  // The gradients of one step; returns the loss.
  double gradients(AdaptedModel& adapted, int batch) {
    const std::vector<EncodedExample> documents = model.batch(batch);
    std::int64_t supervised = 0;
    std::vector<const EncodedExample*> all;
    for (const EncodedExample& document : documents) {
      supervised += document.supervised();
      all.push_back(&document);
    }
    const float scale = 1.0f / static_cast<float>(supervised);
    const std::size_t size = one_by_one ? 1 : all.size();
    double loss = 0;
    for (std::size_t i = 0; i < all.size(); i += size)
      loss += adapted
                  .train(context, Batch(all).subspan(i, size), scale, nullptr,
                         one_by_one ? ActivationMode::kRecompute : ActivationMode::kKeep, 0)
                  .loss;
    return loss / static_cast<double>(supervised);
  }

  void run() {
    const value& optimizer = about.at("optimizer");
    const value& plus = optimizer.at("lr_of_B_times");
    const float of_b = plus.is_null() ? 1.0f : plus.to_number<float>();
    std::vector<TrainedWeight> trained;
    for (Weight* weight : parts.weights())
      trained.push_back({weight, true, weight->name.ends_with(".lora_B") ? of_b : 1.0f});
    Optimizer adamw(trained, {.weight_decay = optimizer.at("weight_decay").to_number<float>(),
                              .clip_norm = optimizer.at("max_gradient_norm").to_number<double>()});
    AdaptedModel adapted(model.base, parts);
    const SafetensorsFile expected(folder / "expected.safetensors");
    int number = 0;
    for (const value& step : about.at("steps").as_array()) {
      adamw.zero_gradients();
      const double loss = gradients(adapted, number);
      const double wanted = step.at("loss").to_number<double>();
      EXPECT_NEAR(loss, wanted, wanted * allowed("losses", 2, 1e-6)) << folder << " step " << number + 1;
      if (number == 0) compare_gradients(expected);
      const double norm = adamw.step(context, step.at("lr").to_number<double>());
      const double norm_wanted = step.at("gradient_norm").to_number<double>();
      EXPECT_NEAR(norm, norm_wanted, norm_wanted * (allowed("gradients", 2, 1e-6) + allowed("weights", 4, 1e-5)))
          << folder << " step " << number + 1;
      ++number;
    }
    compare_weights(expected);
    compare_logits(expected);
    if (precision != "float32") return;
    std::printf("%s/%s: gradients %.1e (%.1e), weights after ten steps %.1e (%.1e), logits %.1e (%.1e)\n",
                model.folder.filename().c_str(), folder.filename().c_str(), gradient_error, allowed("gradients", 1, 0),
                weight_error, allowed("weights", 1, 0), logit_error, allowed("logits", 1, 0));
  }

  Tensor wanted_gradient(const SafetensorsFile& expected, const Weight& weight) {
    return expected.read_as(gradient_name(parts.adapter, weight), kernels::DataType::kFloat32);
  }

  void compare_gradients(const SafetensorsFile& expected) {
    for (const Weight* weight : parts.weights())
      whole_gradient = std::max(whole_gradient, support::largest(wanted_gradient(expected, *weight)));
    for (const Weight* weight : parts.weights()) {
      const double error =
          support::gradient_error(weight->gradient, wanted_gradient(expected, *weight), whole_gradient);
      EXPECT_LE(error, allowed("gradients", 2, 1e-6)) << folder << " " << weight->name;
      gradient_error = std::max(gradient_error, error);
    }
  }

  // Adam divides a gradient by its own size: an element whose first gradient is smaller than the error that gradients
  // may have takes steps of unknown direction, and the peer's own float32 run parts from its float64 run there too.
  // Such elements may end anywhere between the two directions; there must be few of them, beside tensors whose gradient
  // is nothing but rounding.
  void compare_weights(const SafetensorsFile& expected) {
    const SafetensorsFile wanted(folder / "adapter_model.safetensors");
    std::size_t compared = 0;
    std::int64_t undetermined = 0, elements = 0;
    for (const Weight* weight : parts.weights()) {
      const Tensor end = wanted.read_as(name_in_file(*weight), kernels::DataType::kFloat32);
      const Tensor first = wanted_gradient(expected, *weight);
      const double largest_gradient = support::largest(first), largest = support::largest(end);
      const bool rounding_alone = largest_gradient <= 1e-6 * whole_gradient;
      for (std::int64_t i = 0; i < end.count(); ++i) {
        // A row of an embedding that no token of the first batch takes has a gradient of zero there, exactly.
        const double slope = std::fabs(static_cast<double>(first.data<float>()[i]));
        const bool known = !rounding_alone && (slope == 0 || slope > allowed("gradients", 2, 1e-6) * largest_gradient);
        const double apart =
            std::fabs(static_cast<double>(end.data<float>()[i]) - static_cast<double>(weight->value.data<float>()[i]));
        EXPECT_LE(apart, known ? largest * allowed("weights", 4, 1e-5) : 0.06)
            << folder << " " << weight->name << " " << i;
        if (known) weight_error = std::max(weight_error, apart / largest);
        undetermined += known || rounding_alone ? 0 : 1;
      }
      elements += end.count();
      ++compared;
    }
    const std::vector<std::string> names = wanted.names();
    EXPECT_EQ(compared, static_cast<std::size_t>(std::count_if(names.begin(), names.end(), is_trained))) << folder;
    if (precision == "float32") {
      EXPECT_LT(undetermined, elements / 200 + 1) << folder;
    }
  }

  void compare_logits(const SafetensorsFile& expected) {
    const Tensor wanted = expected.read_as("logits", kernels::DataType::kFloat32);
    logit_error = relative_error(logits(&parts.adapter), wanted);
    EXPECT_LE(logit_error, allowed("logits", 2, 1e-6) + allowed("weights", 4, 1e-5)) << folder;
    if (precision != "float32") return;
    parts.adapter.merge_into(context, model.base.weights);
    EXPECT_LE(relative_error(logits(nullptr), wanted), allowed("logits", 2, 1e-6) + allowed("weights", 4, 1e-5))
        << folder << " merged";
  }

  Tensor logits(Adapter* adapter) {
    Transformer transformer(model.base.config, model.base.weights, adapter);
    const std::vector<EncodedExample> documents = model.batch(0);
    std::vector<std::span<const std::int32_t>> ids;
    for (const EncodedExample& document : documents) ids.emplace_back(document.ids);
    const Tensor& hidden = transformer.forward(context, pack_documents(ids), nullptr, ActivationMode::kNone);
    Tensor logits({hidden.size(0), model.base.config.vocab_size});
    transformer.logits(context, hidden, logits);
    return logits;
  }
};

int run_all(WeightPrecision weights, const std::string& precision, bool one_by_one) {
  int checked = 0;
  for (const auto& model : support::golden_models()) {
    for (const auto& adapter : support::golden_adapters(model)) {
      Trace(model, adapter, weights, precision, one_by_one).run();
      ++checked;
    }
  }
  std::printf("cases checked: %d\n", checked);
  return checked;
}

TEST(AdapterGolden, TenStepsInFloat32EndWherePeftEnds) {
  SKIP_WITHOUT_GOLDEN("models");
  EXPECT_GT(run_all(WeightPrecision::kFloat32, "float32", false), 0);
}

TEST(AdapterGolden, TenStepsOverABfloat16BaseEndWherePeftEnds) {
  SKIP_WITHOUT_GOLDEN("models");
  EXPECT_GT(run_all(WeightPrecision::kBFloat16, "bfloat16", false), 0);
}

TEST(AdapterGolden, DocumentsOneByOneAndRecomputedGiveTheSameSteps) {
  SKIP_WITHOUT_GOLDEN("models");
  EXPECT_GT(run_all(WeightPrecision::kFloat32, "float32", true), 0);
}

// As PEFT left them after its ten steps: no step of ours lies between, so that the rule for logits holds as it stands.
TEST(AdapterGolden, PeftsOwnWeightsGiveItsLogits) {
  SKIP_WITHOUT_GOLDEN("models");
  int checked = 0;
  for (const auto& model : support::golden_models()) {
    for (const auto& adapter : support::golden_adapters(model)) {
      for (const auto& [weights, precision] :
           {std::pair(WeightPrecision::kFloat32, "float32"), std::pair(WeightPrecision::kBFloat16, "bfloat16")}) {
        Trace trace(model, adapter, weights, precision, false);
        trace.parts.adapter = Adapter::load(adapter, trace.model.base.config, trace.model.base.weights);
        const SafetensorsFile expected(adapter / "expected.safetensors");
        const Tensor wanted = expected.read_as("logits", kernels::DataType::kFloat32);
        EXPECT_LE(relative_error(trace.logits(&trace.parts.adapter), wanted), trace.allowed("logits", 2, 1e-6))
            << adapter << " " << precision;
      }
      ++checked;
    }
  }
  std::printf("cases checked: %d\n", checked);
  EXPECT_GT(checked, 0);
}

}  // namespace
}  // namespace finetune
