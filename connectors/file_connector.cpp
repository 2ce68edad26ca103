#include "connectors/file_connector.h"

#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "connectors/csv.h"
#include "platform/base/digest.h"
#include "platform/dataset/split.h"

namespace connectors {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

namespace {

constexpr std::size_t kChunk = 4 << 20;
constexpr std::size_t kLongestRow = 64 << 20;
constexpr std::size_t kHead = 1024;

// Plain and gzip files alike; offsets count uncompressed bytes.
class TextFile {
 public:
  explicit TextFile(const std::filesystem::path& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    if (file_ == nullptr)
      throw Error(ErrorCode::kUnavailable, "the file cannot be read: " + path.string() + ": " + std::strerror(errno) +
                                               "; check the path and its rights");
  }
  ~TextFile() { gzclose(file_); }
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;

  bool compressed() {
    char byte = 0;
    gzread(file_, &byte, 1);
    gzrewind(file_);
    return gzdirect(file_) == 0;
  }

  std::string read(std::int64_t offset, std::size_t size) {
    if (gzseek(file_, offset, SEEK_SET) < 0) return {};
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      const int got =
          gzread(file_, bytes.data() + have, static_cast<unsigned>(std::min<std::size_t>(size - have, 1 << 20)));
      if (got < 0) {
        int code = 0;
        throw Error(ErrorCode::kCorrupt,
                    "the file is damaged: " + path_.string() + ": " + gzerror(file_, &code) + "; copy it again");
      }
      if (got == 0) break;
      have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }

 private:
  std::filesystem::path path_;
  gzFile file_;
};

// Where reading of one file stands; kept in the cursor.
struct FileState {
  std::int64_t offset = 0;
  std::int64_t line = 1;        // of the next row
  std::int64_t row = 0;         // rows given out
  std::int64_t generation = 0;  // how often the file was replaced
  std::int64_t head_size = 0;
  std::string head;      // hash of the first head_size bytes
  bool settled = false;  // columns, delimiter and comma are known
  std::vector<std::string> columns;
  std::string delimiter = ",";
  bool decimal_comma = false;

  static FileState from_json(const json::value& value) {
    const json::object& object = platform::as_object(value, "cursor");
    FileState state;
    state.offset = platform::int_or(object, "offset", 0, "cursor");
    state.line = platform::int_or(object, "line", 1, "cursor");
    state.row = platform::int_or(object, "row", 0, "cursor");
    state.generation = platform::int_or(object, "generation", 0, "cursor");
    state.head_size = platform::int_or(object, "head_size", 0, "cursor");
    state.head = platform::string_or(object, "head", "", "cursor");
    if (const json::value* columns = platform::find(object, "columns"))
      state.columns = platform::strings_from(*columns, "cursor.columns");
    state.settled = platform::bool_or(object, "settled", false, "cursor");
    state.delimiter = platform::string_or(object, "delimiter", ",", "cursor");
    state.decimal_comma = platform::bool_or(object, "decimal_comma", false, "cursor");
    return state;
  }
  json::value to_json() const {
    return json::object{{"offset", offset},
                        {"line", line},
                        {"row", row},
                        {"generation", generation},
                        {"head_size", head_size},
                        {"head", head},
                        {"settled", settled},
                        {"columns", platform::to_json(columns)},
                        {"delimiter", delimiter},
                        {"decimal_comma", decimal_comma}};
  }
};

bool has_key_template(const SourceConfig& config, const InputFormat& input) {
  return !input.key.empty() || !config.profile.key.empty();
}

class FileConnector final : public Connector {
 public:
  explicit FileConnector(const SourceConfig& config) : config_(config), input_(input_of(config)) {
    platform::refuse_unknown_keys(config.settings, {"path", "pattern", "settle_seconds", "input"}, "settings");
    path_ = platform::require_string(config.settings, "path", "settings");
    pattern_ = platform::string_or(config.settings, "pattern", "*", "settings");
    settle_seconds_ = platform::number_or(config.settings, "settle_seconds", 5, "settings");
  }

  CheckResult check() override {
    std::error_code error;
    if (!std::filesystem::exists(path_, error))
      return {false, "there is no file or folder " + path_.string() + "; check settings.path"};
    const auto files = list();
    if (files.empty()) return {false, "no file in " + path_.string() + " matches " + pattern_};
    for (const auto& file : files) {
      if (gzFile opened = gzopen(file.c_str(), "rb"))
        gzclose(opened);
      else
        return {false, "the file cannot be read: " + file.string() + "; check its rights"};
    }
    return {true, std::to_string(files.size()) + " file(s) at " + path_.string()};
  }

  std::vector<Stream> discover() override {
    std::vector<Stream> streams;
    for (const auto& file : list()) {
      const std::string sample = TextFile(file).read(0, 64 << 10);
      const ParsedRecords parsed =
          parse_records(sample.substr(0, sample.rfind('\n') + 1), "", input_, config_.profile, config_.name);
      Stream stream{file.filename().string(), {}};
      if (!parsed.records.empty()) {
        for (const auto& pair : parsed.records[0].fields) stream.fields.emplace_back(pair.key());
      }
      streams.push_back(std::move(stream));
    }
    return streams;
  }

  void read(const json::value& cursor, const BatchSink& sink) override {
    if (cursor.is_object()) {
      for (const auto& pair : cursor.get_object()) states_[pair.key()] = FileState::from_json(pair.value());
    } else {
      states_.clear();
    }
    const auto files = list();
    if (files.empty())
      throw Error(ErrorCode::kUnavailable, "there is nothing to read at " + path_.string() + "; check settings.path");
    for (const auto& file : files) {
      if (!read_file(file, sink)) return;
    }
  }

 private:
  std::vector<std::filesystem::path> list() const {
    std::vector<std::filesystem::path> files;
    std::error_code error;
    if (std::filesystem::is_directory(path_, error)) {
      for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
        if (entry.is_regular_file(error) && platform::matches(pattern_, entry.path().filename().string()))
          files.push_back(entry.path());
      }
      std::sort(files.begin(), files.end());
    } else if (std::filesystem::exists(path_, error)) {
      files.push_back(path_);
    }
    return files;
  }

  json::value cursor() const {
    json::object out;
    for (const auto& [name, state] : states_) out[name] = state.to_json();
    return out;
  }

  // A file that became shorter or begins otherwise than before is another file under the old name.
  std::optional<Gap> replaced(TextFile& text, FileState& state) const {
    if (state.head_size == 0) return std::nullopt;
    const std::string head = text.read(0, static_cast<std::size_t>(state.head_size));
    const bool same =
        platform::sha256_hex(head) == state.head && (state.offset == 0 || text.read(state.offset - 1, 1).size() == 1);
    if (same) return std::nullopt;
    const std::string reason = "the file was cut short or replaced after byte " + std::to_string(state.offset) +
                               "; what came after it before is lost";
    const std::int64_t generation = state.generation + 1;
    state = {};
    state.generation = generation;
    return Gap{{}, std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now()), reason};
  }

  bool settled_down(const std::filesystem::path& file) const {
    struct stat status {};
    if (stat(file.c_str(), &status) != 0) return false;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<double>(now.tv_sec - status.st_mtim.tv_sec) +
               1e-9 * static_cast<double>(now.tv_nsec - status.st_mtim.tv_nsec) >=
           settle_seconds_;
  }

  // False if the sink wants no more.
  bool read_file(const std::filesystem::path& file, const BatchSink& sink) {
    TextFile text(file);
    const bool compressed = text.compressed();
    FileState& state = states_[file.filename().string()];
    RecordBatch batch;
    if (std::optional<Gap> gap = replaced(text, state)) batch.gaps.push_back(*std::move(gap));
    for (std::size_t want = kChunk;;) {
      const std::string bytes = text.read(state.offset, want);
      const bool at_end = bytes.size() < want;
      const std::int64_t before = state.offset;
      take(bytes, at_end && (compressed || settled_down(file)), state, batch);
      const bool moved = state.offset != before;
      if (!moved && !at_end && want < kLongestRow) {
        want *= 2;
        continue;
      }
      want = kChunk;
      if (moved) remember_head(text, state);
      if (moved || !batch.gaps.empty()) {
        batch.cursor = cursor();
        if (!sink(std::move(batch))) return false;
        batch = {};
      }
      if (at_end || !moved) return true;
    }
  }

  static void remember_head(TextFile& text, FileState& state) {
    if (state.head_size == static_cast<std::int64_t>(kHead)) return;
    state.head_size = std::min<std::int64_t>(state.offset, kHead);
    state.head = platform::sha256_hex(text.read(0, static_cast<std::size_t>(state.head_size)));
  }

  std::string format_of(std::string_view bytes) const {
    if (!input_.format.empty()) return input_.format == "json" ? "ndjson" : input_.format;
    const std::size_t first = bytes.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
    return first != std::string_view::npos && bytes[first] == '{' ? "ndjson" : "csv";
  }

  // Takes the complete rows at the beginning of `bytes`; `whole`: the last row needs no newline.
  void take(const std::string& bytes, bool whole, FileState& state, RecordBatch& batch) {
    if (bytes.empty()) return;
    if (!state.settled && !settle(bytes, whole, state)) return;
    InputFormat input = input_;
    input.format = state.columns.empty() && state.delimiter == "{" ? "ndjson"
                   : input_.format == "lines"                      ? "lines"
                                                                   : "csv";
    std::size_t begin = 0, end = 0;
    std::int64_t lines = 0;
    if (input.format == "csv") {
      input.columns = state.columns;
      input.header = false;
      input.delimiter = state.delimiter[0];
      input.decimal_comma = state.decimal_comma;
      begin = header_bytes(bytes, whole, state, lines);
      CsvParser parser(std::string_view(bytes).substr(begin), {state.delimiter[0], '"'}, whole);
      for (CsvRow row; parser.next(row);) continue;
      end = begin + parser.consumed();
    } else {
      const std::size_t newline = bytes.rfind('\n');
      end = whole ? bytes.size() : newline == std::string::npos ? 0 : newline + 1;
    }
    if (end == 0) return;
    input.first_row = input_.first_row + state.row;
    add_rows(std::string_view(bytes).substr(begin, end - begin), input, state, state.line + lines - 1, batch);
    state.line +=
        static_cast<std::int64_t>(std::count(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    state.offset += static_cast<std::int64_t>(end);
  }

  void add_rows(std::string_view bytes, const InputFormat& input, FileState& state, std::int64_t lines_before,
                RecordBatch& batch) {
    ParsedRecords parsed = parse_records(bytes, "", input, config_.profile, config_.name);
    const std::int64_t rows = static_cast<std::int64_t>(parsed.records.size() + parsed.errors.size());
    std::int64_t at = 0;
    for (platform::Observation& row : parsed.records) {
      // Without a template the place in the file is part of the key: equal rows are different observations, and the
      // same place read again after a crash is the same record.
      ++at;
      if (!has_key_template(config_, input_))
        row.key = row.key.substr(0, 16) + "@" + std::to_string(state.generation) + ":" + std::to_string(state.row + at);
      batch.records.push_back(std::move(row));
    }
    for (RecordError& error : parsed.errors) {
      error.line += lines_before;
      batch.errors.push_back(std::move(error));
    }
    state.row += rows;
  }

  // Decides delimiter, comma and columns by the first bytes; false if the first row is not complete.
  bool settle(const std::string& bytes, bool whole, FileState& state) {
    const std::string format = format_of(bytes);
    state.settled = true;
    if (format != "csv") {
      state.delimiter = "{";
      return true;
    }
    const std::string_view sample = std::string_view(bytes).substr(0, 64 << 10);
    CsvDialect dialect = detect_dialect(sample);
    if (input_.delimiter) dialect.delimiter = *input_.delimiter;
    CsvParser parser(bytes, dialect, whole);
    CsvRow row;
    state.settled = parser.next(row);
    if (!state.settled) return false;
    state.delimiter = std::string(1, dialect.delimiter);
    state.decimal_comma = input_.decimal_comma.value_or(detect_decimal_comma(sample, dialect));
    state.columns = input_.columns;
    if (!state.columns.empty()) return true;
    if (input_.header.value_or(looks_like_header(row.cells))) {
      state.columns = row.cells;
    } else {
      for (std::size_t i = 1; i <= row.cells.size(); ++i) state.columns.push_back("c" + std::to_string(i));
    }
    return true;
  }

  // Bytes of the header at the beginning of the file, 0 elsewhere.
  static std::size_t header_bytes(const std::string& bytes, bool whole, const FileState& state, std::int64_t& lines) {
    if (state.offset != 0) return 0;
    CsvParser parser(bytes, {state.delimiter[0], '"'}, whole);
    CsvRow row;
    if (!parser.next(row) || row.cells != state.columns) return 0;
    lines = static_cast<std::int64_t>(
        std::count(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(row.end), '\n'));
    return row.end;
  }

  SourceConfig config_;
  InputFormat input_;
  std::filesystem::path path_;
  std::string pattern_;
  double settle_seconds_ = 5;
  std::map<std::string, FileState> states_;
};

}  // namespace

std::unique_ptr<Connector> make_file_connector(const SourceConfig& config, const SecretReader&) {
  return std::make_unique<FileConnector>(config);
}

}  // namespace connectors
