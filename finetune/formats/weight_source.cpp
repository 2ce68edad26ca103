#include "finetune/formats/weight_source.h"

#include <algorithm>

#include "kernels/core/error.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

constexpr std::size_t kNamesShown = 8;

std::string listed(const char* what, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  std::string text = std::string(what) + " (" + std::to_string(names.size()) + "): ";
  for (std::size_t i = 0; i < std::min(names.size(), kNamesShown); ++i) text += (i ? ", " : "") + names[i];
  return text + (names.size() > kNamesShown ? ", ...; " : "; ");
}

}  // namespace

void WeightSource::check_names(const std::map<std::string, kernels::Shape>& expected,
                               const std::function<bool(std::string_view)>& ignored) const {
  std::vector<std::string> missing;
  std::vector<std::string> unexpected;
  std::vector<std::string> wrong_shape;
  for (const auto& [name, shape] : expected) {
    if (!contains(name)) {
      missing.push_back(name);
    } else if (info(name).shape != shape) {
      wrong_shape.push_back(name + " is " + kernels::shape_to_string(info(name).shape) + ", config.json says " +
                            kernels::shape_to_string(shape));
    }
  }
  for (const std::string& name : names()) {
    if (!expected.contains(name) && !(ignored && ignored(name))) unexpected.push_back(name);
  }
  if (missing.empty() && unexpected.empty() && wrong_shape.empty()) return;
  throw platform::Error(platform::ErrorCode::kCorrupt,
                        "weights in " + place() + " do not fit config.json: " + listed("missing", missing) +
                            listed("unexpected", unexpected) + listed("of another shape", wrong_shape) +
                            "take the weights and the configuration from the same model");
}

}  // namespace finetune
