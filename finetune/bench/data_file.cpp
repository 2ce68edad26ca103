#include "finetune/bench/data_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {

using platform::Error;
using platform::ErrorCode;

void refuse_line(const std::string& file, std::int64_t line, const std::string& message) {
  throw Error(ErrorCode::kInvalidInput, file + ":" + std::to_string(line) + ": " + message);
}

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

double number_in(std::string_view text, const std::string& file, std::int64_t line) {
  const std::string_view bare = without_blanks(text);
  double value = 0;
  const auto [stop, error] = std::from_chars(bare.data(), bare.data() + bare.size(), value);
  if (error != std::errc() || stop != bare.data() + bare.size() || !std::isfinite(value))
    refuse_line(file, line, "a number is expected, not \"" + std::string(bare.substr(0, 40)) + "\"");
  return value;
}

void for_each_line(const std::filesystem::path& file, const std::function<void(std::string_view, std::int64_t)>& take) {
  const std::string text = platform::read_file(file);
  std::int64_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    ++number;
    const std::string_view line = without_blanks(std::string_view(text).substr(at, end - at));
    if (!line.empty()) take(line, number);
    at = end + 1;
  }
}

std::string without_slots(std::string text) {
  for (std::size_t at = 0; (at = text.find("{{", at)) != std::string::npos; at += 3) text.replace(at, 2, "{ {");
  return text;
}

DataTable DataTable::read(const std::filesystem::path& file, bool ragged) {
  return {platform::read_file(file), file.string(), ragged};
}

DataTable::DataTable(std::string text, std::string name, bool ragged)
    : text_(std::move(text)), name_(std::move(name)), ragged_(ragged) {
  if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  if (!read_row()) refuse_line(name_, 1, "the table has no line of names");
  for (const std::string& cell : cells_) names_.emplace_back(without_blanks(cell));
}

std::size_t DataTable::column(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found != names_.end()) return static_cast<std::size_t>(found - names_.begin());
  std::string known;
  for (const std::string& each : names_) known += (known.empty() ? "" : ", ") + each;
  refuse_line(name_, 1, "there is no column \"" + std::string(name) + "\"; there are: " + known);
}

bool DataTable::next() {
  if (!read_row()) return false;
  if (!ragged_ && cells_.size() != names_.size())
    refuse_line(name_, line_,
                "the row has " + std::to_string(cells_.size()) + " cells, the header " + std::to_string(names_.size()));
  return true;
}

// From the opening quote to behind the closing one.
std::string DataTable::quoted_cell() {
  std::string cell;
  for (++at_; at_ < text_.size(); ++at_) {
    if (text_[at_] == '\n') ++next_line_;
    if (text_[at_] != '"') {
      cell += text_[at_];
    } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
      cell += text_[at_++];
    } else {
      ++at_;
      return cell;
    }
  }
  refuse_line(name_, line_, "a quote is never closed");
}

bool DataTable::read_row() {
  const auto at_end = [&] { return at_ >= text_.size() || text_[at_] == '\n' || text_[at_] == '\r'; };
  while (at_ < text_.size() && at_end()) next_line_ += text_[at_++] == '\n' ? 1 : 0;
  if (at_ >= text_.size()) return false;
  cells_.clear();
  line_ = next_line_;
  for (;;) {
    std::string cell = text_[at_] == '"' ? quoted_cell() : std::string();
    while (!at_end() && text_[at_] != ',') cell += text_[at_++];
    cells_.push_back(std::move(cell));
    if (at_end()) return true;
    if (++at_ < text_.size()) continue;
    cells_.emplace_back();
    return true;
  }
}

double DataTable::number(std::size_t column) const {
  if (column >= cells_.size()) refuse_line(name_, line_, "the row ends before its cell " + std::to_string(column + 1));
  return number_in(cells_[column], name_, line_);
}

std::optional<double> DataTable::number_if_known(std::size_t column) const {
  if (column < cells_.size()) {
    const std::string_view cell = without_blanks(cells_[column]);
    if (cell.empty() || cell == "?") return std::nullopt;
  }
  return number(column);
}

}  // namespace finetune
