// From a raw record (or a window of them) to an Example, by a profile. One function for the snapshot and for the plant
// agent, so that training and serving cannot differ. Bad values never throw: they become missing values and a problem
// in the list. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/dataset/observation.h"
#include "platform/dataset/profile.h"

namespace platform {

struct FieldProblem {
  std::string code;  // not_a_number, out_of_range, unknown_value, missing, not_a_signal
  std::string field;
  std::string value;   // as it came in, shortened
  bool drops = false;  // the profile says that such a record is no use
};

/// `rows`: one record, or a window's rows in order (at most the window's length, fewer are padded as the rule says).
/// Sets id, source, prompt or text, and the slots' values; no target, group or split. With a `window`, one record that
/// brings its signals ready (in `signals` or as arrays) is used as it is.
Example render(const Profile& profile, std::span<const Observation> rows,
               std::vector<FieldProblem>* problems = nullptr);
Example render(const Profile& profile, const Observation& row, std::vector<FieldProblem>* problems = nullptr);

/// For prediction: `record` is a JSON object of raw fields, or with a window an array of such objects, oldest first.
/// Keys `fields` (and `signals`) at the top level are taken as a whole record. Throws kInvalidInput if it is neither.
Example render_request(const Profile& profile, const json::value& record,
                       std::vector<FieldProblem>* problems = nullptr);

/// The raw value of a profile's field or of a column by that name; nullptr if absent.
const json::value* raw_value(const Profile& profile, const Observation& row, std::string_view name);
/// Text of a raw value as templates write it: whole doubles without a point, others in the shortest form, null as "".
std::string text_of(const json::value& value);
/// A number of the field, minding its decimal comma and missing texts; nullopt if missing or none (then `problem` is
/// set).
std::optional<double> number_of(const Field& field, const json::value* value, std::string* problem = nullptr);
/// True if the value is absent, null or one of the field's missing texts.
bool is_missing(const Field& field, const json::value* value);

/// Fills `{{ name }}` from fields, columns, `source`, `key` and `event_time`. nullopt if a name has no value.
std::optional<std::string> fill_template(const Profile& profile, const Observation& row, std::string_view text);
/// The record key that the profile's template gives; nullopt without a template or without one of its fields.
std::optional<std::string> record_key(const Profile& profile, const Observation& row);
OrderValue order_of(const Profile& profile, const Observation& row);
std::string group_of(const Profile& profile, const Observation& row);

/// Text as a prompt may hold it: its `{{` does not open a slot.
std::string escape_prompt(std::string_view text);

}  // namespace platform
