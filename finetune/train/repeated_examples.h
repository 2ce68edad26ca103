// Examples that stand in more than one part of the data: what a model knows by heart counts as a success there. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/dataset/example.h"

namespace finetune {

struct RepeatedExamples {
  std::int64_t ids = 0;  // that stand in two parts or more
  std::string first_id;  // in the order of the examples
  /// Questions (a prompt with its values, a conversation before the assistant's last turn, a text) that stand in two
  /// parts or more, under other ids than those above.
  std::int64_t questions = 0;
  std::string first_question;  // the id of an example that asks the first of them
};

RepeatedExamples repeated_in_parts(const std::vector<platform::Example>& examples);

/// What a person is told of them, and what to do; nullopt where there are none.
std::optional<std::string> repeated_notice(const RepeatedExamples& repeated);

}  // namespace finetune
