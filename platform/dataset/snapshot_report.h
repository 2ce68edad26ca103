// Statistics and the pre-flight report of a snapshot: what a person should know before compute is spent on it. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "platform/base/json.h"
#include "platform/dataset/snapshot.h"

namespace platform {

/// {fields: {name: {kind, count, missing, mean, deviation, minimum, maximum, quantiles | values}}, splits, labels,
/// target}
json::object statistics_of(const Profile& profile, const std::vector<Example>& examples);
/// {task, labels, positive, prompt, fields: [{name, kind, unit, minimum, maximum, values}]}
json::object schema_of(const Profile& profile);
/// Slots with one value (or none) in the whole train part.
std::set<std::string> constant_slots(const std::vector<Example>& examples);
/// Equal inputs on two sides: {count, examples: [[id, id]]}; and groups on two sides in the same form.
json::object duplicates_across_parts(const std::vector<Example>& examples);
json::object groups_across_parts(const std::vector<Example>& examples);
/// {train: {a: {count, share}}, ...}
json::object class_balance(const std::vector<Example>& examples);
/// What training sees of each example: {prompt_bytes, slots, answer_bytes} with minimum, mean and maximum. Tokens are
/// not counted here, because they are the base's: the step that makes the snapshot adds them. `answer_bytes` stands for completions and
/// plain text only: a class or a number is one target an example.
json::object sizes_of(const std::vector<Example>& examples);
/// Plain sentences about what looks wrong.
json::array warnings_of(const Profile& profile, const std::vector<Example>& examples, const json::object& report);

}  // namespace platform
