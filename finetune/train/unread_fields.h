// Fields that examples carry and that no slot reads: most often a name that is spelt otherwise in the prompt. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "finetune/adapter/head_form.h"
#include "finetune/adapter/sensor_schema.h"
#include "platform/dataset/example.h"

namespace finetune {

/// A field by what a slot would be called, "number:pressure", and how many of the examples carry it.
struct UnreadField {
  std::string slot;
  std::int64_t examples = 0;
};

/// Those that neither a field of the schema nor the head (a forecast's `continues`) reads, by name.
std::vector<UnreadField> unread_fields(const SensorSchema& schema, const HeadForm& form,
                                       const std::vector<const platform::Example*>& examples);

/// What a person is told of them, and what to do; nullopt where there are none. Names at most ten.
std::optional<std::string> unread_fields_notice(const std::vector<UnreadField>& fields);

}  // namespace finetune
