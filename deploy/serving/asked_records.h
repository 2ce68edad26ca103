// What a caller of /v1/predict asks about, judged before the model sees it: a model answers with confidence on a record
// that holds nothing of what it learned from, so such a record is refused, and what is missing or misspelt is said.
// Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "platform/dataset/profile.h"
#include "platform/dataset/render.h"

namespace deploy {

/// The records of one request; `single`: one answer is expected rather than a list.
struct AskedRecords {
  platform::json::array records;
  bool single = false;
};

/// {"record": R}, {"records": [R, ...]} or one record's bare fields. Throws kInvalidInput for anything else beside
/// `record` or `records`, kTooLarge for more than 4096 records.
AskedRecords asked_records(const platform::json::value& body);

/// The fields of `profile` that its prompt reads, in the prompt's order, as they are named there.
std::vector<std::string> fields_asked_for(const platform::Profile& profile);

/// Adds to `problems` each field that the record gives no value for ("missing"; of a window the last row counts) and
/// each of its fields that the profile does not know ("unknown_field", `value` = the nearest name, if any; the first
/// 20). Throws kInvalidInput, naming the expected fields, if the record has a value for none of them.
void judge_record(const platform::Profile& profile, const platform::json::value& record, const std::string& path,
                  std::vector<platform::FieldProblem>& problems);

/// Throws kInvalidInput, naming the expected fields, if each of them is missing or unreadable: `example` is what was
/// rendered of the record, `problems` what judge_record() and that found. A number that is none, a sample that is none
/// and a category that the profile does not list tell a model nothing.
void require_a_usable_value(const platform::Profile& profile, const platform::Example& example,
                            const std::vector<platform::FieldProblem>& problems, const std::string& path);

}  // namespace deploy
