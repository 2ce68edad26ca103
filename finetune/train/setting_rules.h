// SettingRules: the ranges of a training's settings that are whole numbers, one table, and which settings another one
// leaves without effect. Pure functions; any thread.
#pragma once

#include "finetune/train/train_config.h"

namespace finetune {

/// Reads the whole numbers that the settings have; absent ones keep their values. Each is checked before it is
/// narrowed. Throws as check_ranges() does, and for what is no whole number.
void read_whole_settings(const platform::json::object& settings, TrainConfig& config);
/// Throws kInvalidInput naming the first whole number out of its range, the range and the value.
void check_ranges(const TrainConfig& config);
/// Throws kInvalidInput naming the first setting that was given and has no effect: one of another kind of adapter, or
/// of what stands beside the base where nothing does. One that stands at its default was not given.
void check_effects(const TrainConfig& config);

}  // namespace finetune
