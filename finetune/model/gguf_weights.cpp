#include "finetune/model/gguf_weights.h"

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

// Follows from the configuration.
bool belongs_to_no_weight(std::string_view name) { return name == "rope_freqs.weight"; }

std::string stored_type(GgufType type) {
  if (type == GgufType::kBF16) return "BF16";
  return type == GgufType::kF16 ? "F16" : "F32";
}

}  // namespace

GgufWeights::GgufWeights(const std::filesystem::path& path, const ModelConfig& config)
    : file_(path), config_(config), architecture_(gguf_architecture(config.model_type)) {
  std::map<std::string, GgufPlace, std::less<>> by_own_name;
  for (GgufPlace& place : gguf_places(config_)) by_own_name.emplace(place.gguf, std::move(place));
  for (const GgufTensorInfo& tensor : file_.tensors()) {
    if (belongs_to_no_weight(tensor.name)) continue;
    const auto found = by_own_name.find(tensor.name);
    GgufPlace place = found != by_own_name.end() ? found->second : GgufPlace{tensor.name, tensor.name};
    infos_[place.name] = {stored_type(tensor.type), tensor.shape, tensor.offset_bytes, tensor.size_bytes};
    places_.emplace(place.name, std::move(place));
  }
}

std::vector<std::string> GgufWeights::names() const {
  std::vector<std::string> names;
  for (const auto& [name, unused] : infos_) names.push_back(name);
  return names;
}

const TensorInfo& GgufWeights::info(std::string_view name) const {
  const auto found = infos_.find(name);
  if (found != infos_.end()) return found->second;
  throw Error(ErrorCode::kNotFound,
              "no tensor " + in_quotes(name) + " in " + place() + platform::did_you_mean(name, names()));
}

kernels::Tensor GgufWeights::read_finite(std::string_view name, kernels::DataType type) const {
  info(name);
  const GgufPlace& place = places_.find(name)->second;
  kernels::Tensor values = file_.read(place.gguf);
  check_finite(place.gguf, values);
  from_gguf_layout(config_, architecture_, place.role, values);
  return type == kernels::DataType::kFloat32 ? std::move(values) : values.cast_to(type);
}

std::optional<std::filesystem::path> gguf_of_base(const std::filesystem::path& base) {
  if (std::filesystem::is_regular_file(base) && base.extension() == ".gguf") return base;
  if (!std::filesystem::is_directory(base) || std::filesystem::exists(base / "config.json")) return std::nullopt;
  std::optional<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(base)) {
    if (entry.path().extension() != ".gguf") continue;
    if (found)
      throw Error(ErrorCode::kInvalidInput,
                  "the base " + base.string() + " holds several GGUF files; name one of them");
    found = entry.path();
  }
  return found;
}

}  // namespace finetune
