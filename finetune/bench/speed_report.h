// What the measurements of speed found, for programs (JSON) and people (a table). Units are in the names: seconds,
// bytes, operations. Pure; any thread.
#pragma once

#include <string>

#include "finetune/bench/generate_speed.h"
#include "finetune/bench/kernel_speed.h"
#include "finetune/bench/train_speed.h"
#include "platform/base/json.h"

namespace finetune {

/// The fields are told in kernels/bench/README.md.
platform::json::value to_json(const TrainSpeed& speed);
platform::json::value to_json(const GenerateSpeed& speed);
platform::json::value to_json(const KernelSpeed& speed);

std::string speed_text(const TrainSpeed& speed);
std::string speed_text(const GenerateSpeed& speed);
std::string speed_text(const KernelSpeed& speed);

}  // namespace finetune
