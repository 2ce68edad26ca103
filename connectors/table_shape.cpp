#include "connectors/table_shape.h"

#include <algorithm>
#include <set>

#include "platform/dataset/unicode_text.h"

namespace connectors {
namespace {

constexpr std::size_t kSample = 64 << 10;

std::vector<std::string> trimmed(std::vector<std::string> cells) {
  for (std::string& cell : cells) {
    const std::size_t begin = std::min(cell.find_first_not_of(" \t"), cell.size());
    cell = cell.substr(begin, cell.find_last_not_of(" \t") + 1 - begin);
  }
  return cells;
}

// A first row that would be names but for one that comes twice: taken for a record it would cost all the names.
void refuse_doubled_name(const std::vector<std::string>& cells, const InputFormat& input) {
  if (input.header || !input.columns.empty()) return;
  const std::vector<std::string> names = trimmed(cells);
  const std::set<std::string> once(names.begin(), names.end());
  if (once.size() == names.size() || !looks_like_header({once.begin(), once.end()})) return;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (seen.insert(name).second) continue;
    throw platform::Error(
        platform::ErrorCode::kInvalidInput,
        (name.empty() ? std::string("two columns have no name") : "two columns are named '" + name + "'") +
            "; give each a name of its own, or say with input.header whether the first row holds "
            "names (true: the second becomes NAME_2; false: it is a record)",
        "input.header");
  }
}

[[noreturn]] void refuse_encoding(std::int64_t line, const std::string& what, const std::string& name) {
  const std::string where = "line " + std::to_string(line);
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        where + ": the file is not UTF-8, " + what + "; convert it with iconv -f " + name +
                            " -t UTF-8 OLD > NEW and give the new file",
                        where);
}

bool is_utf8(std::string_view text) {
  try {
    platform::normalized_text(text);
    return true;
  } catch (const platform::Error&) {
    return false;
  }
}

// Whether each byte beyond ASCII begins a pair of code page 949, of which EUC-KR is the older part.
bool could_be_cp949(std::string_view text) {
  const auto in = [](unsigned char byte, int low, int high) { return byte >= low && byte <= high; };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (static_cast<unsigned char>(text[at]) < 0x80) continue;
    if (!in(static_cast<unsigned char>(text[at]), 0x81, 0xFD) || ++at == text.size()) return false;
    const auto second = static_cast<unsigned char>(text[at]);
    if (!in(second, 0x41, 0x5A) && !in(second, 0x61, 0x7A) && !in(second, 0x81, 0xFE)) return false;
  }
  return true;
}

// Names that cannot be read would cost every row, and each would be blamed for it.
void refuse_unreadable_names(const CsvRow& names) {
  if (std::all_of(names.cells.begin(), names.cells.end(), is_utf8)) return;
  if (std::all_of(names.cells.begin(), names.cells.end(), could_be_cp949))
    refuse_encoding(names.line, "most likely EUC-KR (CP949)", "CP949");
  refuse_encoding(names.line, "and no EUC-KR (CP949) either", "ITS_ENCODING");
}

}  // namespace

bool is_header(const std::vector<std::string>& cells, const InputFormat& input) {
  if (input.header) return *input.header;
  const std::vector<std::string> names = trimmed(cells);
  return input.columns.empty() ? looks_like_header(names) : names == trimmed(input.columns);
}

std::vector<std::string> column_names(const std::vector<std::string>& cells, const InputFormat& input, bool header) {
  if (!input.columns.empty()) return input.columns;
  std::vector<std::string> names = trimmed(cells);
  std::set<std::string> taken;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!header) names[i] = "c" + std::to_string(i + 1);
    if (names[i].empty()) names[i] = "column_" + std::to_string(i + 1);
    const std::string name = names[i];
    for (int again = 2; !taken.insert(names[i]).second; ++again) names[i] = name + "_" + std::to_string(again);
  }
  return names;
}

std::optional<TableShape> table_shape(std::string_view text, const InputFormat& input, bool whole) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) refuse_encoding(1, "but UTF-16", "UTF-16");
  const std::string_view sample = text.substr(0, kSample);
  TableShape shape;
  shape.dialect = detect_dialect(sample);
  if (input.delimiter) shape.dialect.delimiter = *input.delimiter;
  CsvParser parser(text, shape.dialect, whole);
  CsvRow first, second;
  do {
    if (!parser.next(first)) return std::nullopt;
  } while (!first.error.empty());
  refuse_doubled_name(first.cells, input);
  shape.header = is_header(first.cells, input);
  if (shape.header && input.columns.empty()) refuse_unreadable_names(first);
  if (shape.header && !parser.next(second)) return std::nullopt;
  shape.columns = column_names(first.cells, input, shape.header);
  shape.decimal_comma = input.decimal_comma ? input.decimal_comma : decimal_comma_of(sample, shape.dialect);
  return shape;
}

}  // namespace connectors
