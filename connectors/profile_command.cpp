// `anneal profile` (declared in profiles.h).
#include <cstdio>

#include "connectors/profiles.h"
#include "connectors/record_parser.h"
#include "platform/base/command_line.h"
#include "platform/base/file.h"

namespace connectors {

int profile_command(const std::vector<std::string>& arguments) {
  platform::CommandLine line("anneal profile",
                             "Writes the profile that a table asks for: which columns are numbers, categories and "
                             "text, and what is predicted.",
                             {"anneal profile --data parts.csv --target failed --out parts.yaml"});
  line.option("data", "FILE", "table: CSV, JSON lines or a JSON array", {.required = true});
  line.option("target", "COLUMN", "column to be predicted", {.required = true});
  line.option("name", "NAME", "name of the profile", {.fallback = "table"});
  line.option("group", "COLUMN", "rows with the same value stay on one side of the split");
  line.option("order", "COLUMN", "time of a row: time is cut and not shuffled");
  line.option("out", "FILE", "where to write it; standard output if absent");
  if (!line.read(arguments)) return 0;
  const ParsedRecords parsed =
      parse_records(platform::read_file(line.text("data")), "", InputFormat{}, platform::Profile{}, "table");
  for (std::size_t i = 0; i < parsed.errors.size() && i < 10; ++i) {
    std::fprintf(stderr, "%s:%lld: %s\n", line.text("data").c_str(), static_cast<long long>(parsed.errors[i].line),
                 parsed.errors[i].message.c_str());
  }
  for (const StrayCells& stray : stray_cells(parsed.records)) {
    std::fprintf(stderr,
                 "warning: the column %s holds numbers but for %lld cells, the first '%s'; these count as missing\n",
                 stray.column.c_str(), static_cast<long long>(stray.count), stray.first.c_str());
  }
  const platform::Profile profile = profile_from_table(parsed.records, line.text("target"), line.text("name"),
                                                       line.text("group"), line.text("order"));
  const std::string text = profile_to_yaml(profile);
  if (line.has("out"))
    platform::write_file_atomically(line.text("out"), text);
  else
    std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace connectors
