// The ready domain profiles (connectors/profiles/*.yaml, compiled in) beside those that an installation keeps in its
// data folder under profiles/, and the profile that a plain table asks for. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/connector.h"
#include "platform/base/data_folder.h"
#include "platform/dataset/observation.h"
#include "platform/dataset/profile.h"

namespace connectors {

/// True if `name` is a path: with a '/', or ending in .yaml.
bool is_profile_path(const std::string& name);
/// A path is read as a file, if `allowed` lets it; else `data`/profiles/NAME.yaml wins over the shipped profile. Throws
/// kNotFound listing the profiles there are, kInvalidInput with every mistake of the file, and what TextFile throws.
platform::Profile load_profile(const std::string& name, const platform::DataFolder& data = {},
                               const FileRule& allowed = {});
/// Names, sorted.
std::vector<std::string> profile_names(const platform::DataFolder& data = {});
/// The YAML of a shipped profile; nullptr if there is none.
const std::string_view* shipped_profile(std::string_view name);

/// The profile of a table whose column `target` is to be predicted: numbers, categories (few values) and text are told
/// apart; a column is numeric if all its cells are numbers, or 95 % of them and at least ten, and what is none there is
/// a missing value, in the target too; constant and identifier-like columns are ignored; a number with many values is
/// regressed, anything else classified. Splits by hash, by time if there is an `order` column, by group if `group` is
/// given. Throws kInvalidInput naming the columns there are if `target` is none of them.
platform::Profile profile_from_table(std::span<const platform::Observation> rows, const std::string& target,
                                     const std::string& name = "table", const std::string& group = {},
                                     const std::string& order = {});
/// A numeric column with cells that are no numbers.
struct StrayCells {
  std::string column;
  std::int64_t count = 0;
  std::string first;  // its text
};
/// What profile_from_table takes for missing values although it is written.
std::vector<StrayCells> stray_cells(std::span<const platform::Observation> rows);
/// The profile as YAML that read_profile_file reads back.
std::string profile_to_yaml(const platform::Profile& profile);

/// The `profile` command: writes the profile that a table asks for. Returns the exit code.
int profile_command(const std::vector<std::string>& arguments);

}  // namespace connectors
