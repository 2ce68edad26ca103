// Reading the files of public data sets, strictly: a file that is not as published would give a score that says
// nothing, so whatever does not fit is an error that names file and line. One thread an object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace finetune {

/// Throws kInvalidInput "file:line: message".
[[noreturn]] void refuse_line(const std::string& file, std::int64_t line, const std::string& message);
/// Blanks around it do not count. Throws as refuse_line does unless the text is one finite number.
double number_in(std::string_view text, const std::string& file, std::int64_t line);
std::string_view without_blanks(std::string_view text);
/// Calls `take` with each line that is not blank, without blanks at its ends, and its number from 1.
void for_each_line(const std::filesystem::path& file,
                   const std::function<void(std::string_view line, std::int64_t number)>& take);
/// A text of a prompt, in which "{{" would open a slot.
std::string without_slots(std::string text);

/// A table of comma-separated cells below one line of names (RFC 4180, a byte order mark before it).
class DataTable {
 public:
  /// `name`: of the file, for errors. `ragged`: rows may be longer or shorter than the header.
  DataTable(std::string text, std::string name, bool ragged = false);
  static DataTable read(const std::filesystem::path& file, bool ragged = false);

  const std::vector<std::string>& names() const { return names_; }
  /// Throws kInvalidInput listing the names if there is no such column.
  std::size_t column(std::string_view name) const;
  /// Goes on to the next row; false at the end. Blank lines are passed over.
  bool next();
  const std::vector<std::string>& cells() const { return cells_; }
  std::int64_t line() const { return line_; }  // of the row's first line
  double number(std::size_t column) const;     // as number_in does
  /// nullopt for an empty cell and for "?".
  std::optional<double> number_if_known(std::size_t column) const;

 private:
  bool read_row();
  std::string quoted_cell();

  std::string text_, name_;
  bool ragged_;
  std::size_t at_ = 0;
  std::int64_t line_ = 0, next_line_ = 1;
  std::vector<std::string> names_, cells_;
};

}  // namespace finetune
