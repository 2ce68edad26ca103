// Full-parameter training beside transformers: the gradient of every weight of a base of every family, tied and untied,
// over packed documents longer and shorter than its window.
#include <set>

#include "finetune/model/base.h"
#include "tests/peers/peft_peer.h"
#include "tests/support/full_gradients.h"
#include "tests/support/published_families.h"

namespace finetune {
namespace {

namespace json = platform::json;
using kernels::Tensor;

// Of the largest gradient of the same weight; what float32 may be off by.
constexpr double kAllowed = 2e-5;

std::vector<EncodedExample> documents() {
  kernels::Random random(7);
  std::vector<EncodedExample> made;
  for (const std::size_t length : {21u, 1u, 6u}) {
    EncodedExample document;
    for (std::size_t i = 0; i < length; ++i) document.ids.push_back(static_cast<std::int32_t>(random.below(256)));
    for (std::size_t i = 0; i < length; ++i) {
      const bool counts = i + 1 < length && i % 4 != 2;
      document.targets.push_back(counts ? document.ids[i + 1] : kernels::kIgnoredTarget);
    }
    made.push_back(std::move(document));
  }
  return made;
}

json::array as_json(const std::vector<EncodedExample>& documents) {
  json::array list;
  for (const EncodedExample& document : documents) {
    list.push_back(json::object{{"ids", json::array(document.ids.begin(), document.ids.end())},
                                {"targets", json::array(document.targets.begin(), document.targets.end())}});
  }
  return list;
}

class FullGradientsPeer : public peers::PeftPeer {};

TEST_F(FullGradientsPeer, AreThoseOfTransformersForEveryWeightOfEveryFamily) {
  const std::vector<EncodedExample> data = documents();
  json::array jobs;
  for (const support::PublishedFamily& family : support::published_families()) {
    for (const bool tied : {true, false}) {
      const std::string name = std::string(family.name) + (tied ? "/tied" : "/untied");
      support::write_published_family(path(name), family, tied);
      jobs.push_back(json::object{{"name", name}, {"base", path(name).string()}, {"documents", as_json(data)}});
    }
  }
  const SafetensorsFile theirs =
      peers::run_jobs("full_gradients_in_transformers.py", folder_.path(), json::array(jobs));
  for (const json::value& job : jobs) {
    const std::string name(job.at("name").as_string());
    std::size_t wanted = 0;
    double whole = 0;
    for (const std::string& tensor : theirs.names()) {
      if (!tensor.starts_with(name + "/float64/")) continue;
      whole = std::max(whole, support::largest(theirs.read(tensor)));
      ++wanted;
    }
    for (const ActivationMode mode : {ActivationMode::kKeep, ActivationMode::kRecompute}) {
      Base base = Base::load(path(name));
      support::compute_full_gradients(base, data, mode);
      double most = 0, peer = 0;
      std::set<std::string> compared;
      base.weights.for_each([&](Weight& weight) {
        const Tensor exact = theirs.read(name + "/float64/" + weight.name);
        const double error = support::gradient_error(weight.gradient, exact, whole);
        EXPECT_LE(error, kAllowed) << name << " " << weight.name;
        most = std::max(most, error);
        peer = std::max(peer, support::gradient_error(theirs.read(name + "/float32/" + weight.name), exact, whole));
        compared.insert(weight.name);
      });
      EXPECT_EQ(compared.size(), wanted) << name;
      std::printf("%-20s gradients of all weights %.1e (%.1e)\n", name.c_str(), most, peer);
    }
  }
  std::printf("cases checked: %zu\n", jobs.size());
}

}  // namespace
}  // namespace finetune
