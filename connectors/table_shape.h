// How a table is read, decided once by its first rows and by the same rules for a pushed body and a file. Pure; any
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/csv.h"
#include "connectors/input_format.h"

namespace connectors {

struct TableShape {
  std::vector<std::string> columns;
  CsvDialect dialect;
  std::optional<bool> decimal_comma;  // absent: no number told yet; read as false
  bool header = false;                // the first row holds names and is no record
};

/// nullopt while there is no complete row of data: what follows the names decides how numbers are written.
/// `whole`: the text ends with `sample`. Throws kInvalidInput naming a column name that a header says twice, unless
/// `input` says what the first row is; and, naming the line, the likely encoding and how to convert it, for a text that
/// begins as UTF-16 or whose names are not UTF-8.
std::optional<TableShape> table_shape(std::string_view sample, const InputFormat& input, bool whole);

/// Whether the first row holds names: as `input.header` says; else, with columns, if it equals them; else if it looks
/// like names. Blanks around names do not count.
bool is_header(const std::vector<std::string>& cells, const InputFormat& input);
/// `input.columns`, else the trimmed names of a header, else c1, c2, ... A header's cell without a name becomes
/// column_N by its place from 1, a name said twice gets _2.
std::vector<std::string> column_names(const std::vector<std::string>& cells, const InputFormat& input, bool header);

}  // namespace connectors
