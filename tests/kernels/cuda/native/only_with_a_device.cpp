// Skips every test, visibly, where there is no CUDA device.
#include <gtest/gtest.h>

#include "kernels/cuda/operations.h"

namespace {

class NeedsADevice : public testing::Environment {
 public:
  void SetUp() override {
    if (kernels::cuda::device_count() == 0) GTEST_SKIP() << "this machine has no CUDA device";
  }
};

[[maybe_unused]] const auto* const kNeedsADevice = testing::AddGlobalTestEnvironment(new NeedsADevice);

}  // namespace
