// Skips every test, visibly, where there is no CUDA device.
#include <gtest/gtest.h>

#include <iostream>

#include "kernels/cuda/operations.h"

namespace {

class NeedsADevice : public testing::Environment {
 public:
  void SetUp() override {
    if (kernels::cuda::device_count() > 0) return;
    std::cout << "[  SKIPPED ] this machine has no CUDA device" << std::endl;  // what ctest looks for
    GTEST_SKIP();
  }
};

[[maybe_unused]] const auto* const kNeedsADevice = testing::AddGlobalTestEnvironment(new NeedsADevice);

}  // namespace
