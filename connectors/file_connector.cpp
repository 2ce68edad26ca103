#include "connectors/file_connector.h"

#include <algorithm>
#include <optional>

#include "connectors/file_state.h"
#include "connectors/text_file.h"
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

platform::Time now() { return platform::SystemClock().now(); }

// One file while it is read.
struct Reading {
  Reading(const std::filesystem::path& path, const FileRule& allowed, std::string file, FileState from, bool is_settled)
      : text(path, allowed), id(std::move(file)), state(std::move(from)), settled(is_settled) {}
  TextFile text;
  std::string id;
  FileState state;
  bool settled;        // nobody writes to it any more: a last row needs no newline
  bool begun = false;  // it is known to be the file of the state
  bool done = false;
  std::size_t want = kChunk;
};

// How a file was found and left the last time; while both stay there is nothing to read.
struct LastLook {
  FileLook look;
  std::int64_t offset = 0, generation = 0;
  std::optional<Error> trouble;
};

class FileConnector final : public Connector {
 public:
  explicit FileConnector(const SourceConfig& config) : config_(config), input_(input_of(config)) {
    platform::refuse_unknown_keys(config.settings, {"path", "pattern", "settle_seconds", "input"}, "settings");
    path_ = platform::require_string(config.settings, "path", "settings");
    pattern_ = platform::string_or(config.settings, "pattern", "*", "settings");
    settle_seconds_ = platform::number_or(config.settings, "settle_seconds", 5, "settings");
    if (input_.format == "json") input_.format = "ndjson";
  }

  CheckResult check() override {
    std::error_code error;
    if (!std::filesystem::exists(path_, error))
      return {false, "there is no file or folder " + path_.string() + "; check settings.path"};
    try {  // a file that cannot be read is an answer, not a failure of the check
      const auto files = list();
      if (files.empty()) return {false, "no file in " + path_.string() + " matches " + pattern_};
      for (const auto& file : files) TextFile{file, config_.file_allowed};
      return {true, std::to_string(files.size()) + " file(s) at " + path_.string()};
    } catch (const Error& refusal) {
      return {false, refusal.what()};
    }
  }

  std::vector<Stream> discover() override {
    std::vector<Stream> streams;
    for (const auto& file : list()) streams.push_back({file_id(file), fields_of(file)});
    return streams;
  }

  void read(const json::value& cursor, const BatchSink& sink) override {
    states_.clear();  // the cursor alone says what is stored
    if (cursor.is_object()) {
      for (const auto& pair : cursor.get_object()) states_[pair.key()] = FileState::from_json(pair.value());
    }
    const auto files = list();
    if (files.empty())
      throw Error(ErrorCode::kUnavailable, "there is nothing to read at " + path_.string() + "; check settings.path");
    std::optional<Error> trouble;
    std::size_t troubled = 0;
    for (const auto& file : files) {
      std::optional<Error> own;
      if (!read_file(file, sink, own)) return;
      if (!own) continue;
      ++troubled;
      if (!trouble) trouble = std::move(own);
    }
    if (!trouble) return;
    if (troubled == 1) throw *trouble;
    throw Error(trouble->code(), std::string(trouble->what()) + " (and " + std::to_string(troubled - 1) +
                                     " other files are in trouble)");
  }

 private:
  std::vector<std::filesystem::path> list() const {
    std::vector<std::filesystem::path> files;
    std::error_code error;
    if (std::filesystem::is_directory(path_, error)) {
      const std::filesystem::path real = std::filesystem::canonical(path_, error);
      if (config_.file_allowed && (error || !config_.file_allowed(real)))  // the names of its files would be told
        throw Error(ErrorCode::kForbidden, "the server may not read the folder " + path_.string() +
                                               ": a link leads out of the folders that it may read; check it");
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

  std::vector<std::string> fields_of(const std::filesystem::path& file) const {
    std::vector<std::string> fields;
    try {  // a file that cannot be read must not hide the others
      const std::string sample = TextFile(file, config_.file_allowed).read(0, 64 << 10);
      const ParsedRecords parsed =
          parse_records(sample.substr(0, sample.rfind('\n') + 1), "", input_, config_.profile, config_.name);
      if (parsed.records.empty()) return fields;
      for (const auto& pair : parsed.records[0].fields) fields.emplace_back(pair.key());
    } catch (const Error&) {
      fields.clear();
    }
    return fields;
  }

  json::value cursor() const {
    json::object out;
    for (const auto& [name, state] : states_) out[name] = state.to_json();
    return out;
  }

  // False if the sink wants no more. What is wrong with the file goes into `trouble`; what the sink throws passes.
  bool read_file(const std::filesystem::path& file, const BatchSink& sink, std::optional<Error>& trouble) {
    const std::string id = file_id(file);
    const auto known = states_.find(id);
    FileState state = known == states_.end() ? FileState{} : known->second;
    const FileLook look = look_at(file, settle_seconds_);
    LastLook& last = looks_[id];
    if (last.look == look && last.offset == state.offset && last.generation == state.generation) {
      trouble = last.trouble;
      return true;
    }
    last.look = {};
    std::optional<Reading> reading;
    for (;;) {
      std::optional<RecordBatch> batch;
      try {  // one file that is damaged or unreadable must not keep the others from being read
        if (!reading) reading.emplace(file, config_.file_allowed, id, state, look.settled);
        batch = next(*reading);
      } catch (const Error& error) {
        trouble = error;
      }
      if (!batch) break;
      states_[id] = state = reading->state;
      batch->cursor = cursor();
      if (!sink(*std::move(batch))) return false;
    }
    // Where a link leads can change without the file's look.
    if (!trouble || trouble->code() != ErrorCode::kForbidden) last = {look, state.offset, state.generation, trouble};
    return trouble || !look.settled || state.offset > 0 || sink(nothing_in(*reading));
  }

  // Said once a look of a file that is still and gave no row.
  RecordBatch nothing_in(Reading& reading) const {
    const bool empty = reading.text.read(0, kHead).find_first_not_of(" \t\r\n\xEF\xBB\xBF") == std::string::npos;
    RecordBatch batch;
    batch.errors.push_back(
        {1, "", "no_records", "the file " + reading.id + (empty ? " is empty" : " holds a header and no row")});
    batch.cursor = cursor();
    return batch;
  }

  // The next batch of the file; nullopt if there is none for now.
  std::optional<RecordBatch> next(Reading& reading) const {
    FileState& state = reading.state;
    RecordBatch batch;
    if (!reading.begun && !begin(reading, batch)) return std::nullopt;
    while (!reading.done) {
      const std::string bytes = reading.text.read(state.offset, reading.want);
      const bool at_end = bytes.size() < reading.want, sound = reading.text.trouble().empty();
      const std::int64_t before = state.offset;
      const bool passing_over = state.passing_over;
      take(bytes, at_end && reading.settled && sound, reading, batch);
      if (state.offset == before && !at_end) {
        if (reading.want < kLongestRow) {
          reading.want *= 2;
          continue;
        }
        give_up_row(bytes, state, batch);
      }
      reading.want = kChunk;
      reading.done = at_end && passing_over == state.passing_over;  // rows may stand behind the one passed over
      const bool complete = at_end && sound && state.offset - before == static_cast<std::int64_t>(bytes.size());
      const bool told = state.complete != complete && state.offset > 0;
      state.complete = complete;
      if (state.offset != before) remember_head(reading.text, state);
      if (state.offset != before || told || !batch.gaps.empty()) return batch;
    }
    if (reading.settled && !reading.text.trouble().empty()) throw Error(ErrorCode::kCorrupt, reading.text.trouble());
    return std::nullopt;
  }

  // A file that became shorter or begins otherwise than before is another file under the old name. False if that cannot
  // be told yet, as a compressed file is still being written.
  bool begin(Reading& reading, RecordBatch& batch) const {
    FileState& state = reading.state;
    reading.begun = true;
    if (state.head_size == 0) return true;
    const std::string head = reading.text.read(0, static_cast<std::size_t>(state.head_size));
    if (platform::sha256_hex(head) == state.head &&
        (state.offset == 0 || reading.text.read(state.offset - 1, 1).size() == 1))
      return true;
    if (!reading.text.trouble().empty()) {
      if (reading.settled) throw Error(ErrorCode::kCorrupt, reading.text.trouble());
      return false;
    }
    if (!state.complete) {
      batch.gaps.push_back({state.last_time == platform::Time{} ? now() : state.last_time, now(),
                            "the file " + reading.id + " was cut short or replaced after byte " +
                                std::to_string(state.offset) + "; what came after it before is lost"});
    }
    FileState fresh;
    fresh.generation = state.generation + 1;
    state = std::move(fresh);
    return true;
  }

  static void remember_head(TextFile& text, FileState& state) {
    if (state.head_size == static_cast<std::int64_t>(kHead)) return;
    state.head_size = std::min<std::int64_t>(state.offset, kHead);
    state.head = platform::sha256_hex(text.read(0, static_cast<std::size_t>(state.head_size)));
  }

  // Takes the complete rows at the beginning of `bytes`; `whole`: the last row needs no newline.
  void take(std::string_view bytes, bool whole, Reading& reading, RecordBatch& batch) const {
    FileState& state = reading.state;
    if (bytes.empty()) return;
    if (state.passing_over) return pass_over(bytes, state);
    TextPart part;
    part.first = state.offset == 0 || state.format.empty();
    if (state.format.empty() && !settle(bytes, whole, reading)) return;
    if (state.format == "csv" && !state.shape.decimal_comma)
      state.shape.decimal_comma = decimal_comma_of(bytes, state.shape.dialect, bytes.size());
    part.format = state.format == "csv" || input_.format != "lines" ? state.format : "lines";
    part.shape = &state.shape;
    part.whole = whole;
    part.rows_before = state.row;
    part.lines_before = state.line - 1;
    part.place = {platform::sha256_hex(reading.id).substr(0, 12) + ":" + std::to_string(state.generation), true};
    ParsedRecords parsed = parse_part(bytes, part, input_, config_.profile, config_.name);
    state.offset += static_cast<std::int64_t>(parsed.consumed);
    state.line += parsed.lines;
    state.row += parsed.rows;
    if (parsed.rows > 0) state.last_time = now();
    for (const platform::Observation& row : parsed.records) {
      if (row.event_time != platform::Time{}) state.last_time = row.event_time;
    }
    std::move(parsed.records.begin(), parsed.records.end(), std::back_inserter(batch.records));
    std::move(parsed.errors.begin(), parsed.errors.end(), std::back_inserter(batch.errors));
  }

  // Decides format and shape by the first bytes; false while there is no complete row of data.
  bool settle(std::string_view bytes, bool whole, Reading& reading) const {
    const std::size_t first = bytes.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
    if (first == std::string_view::npos) return false;
    const std::size_t second = bytes.find_first_not_of(" \t\r\n", first + 1);
    if (bytes[first] == '[' && second != std::string_view::npos && bytes[second] == '{' && input_.format != "csv" &&
        input_.format != "lines")
      throw Error(ErrorCode::kInvalidInput,
                  "the file " + reading.id +
                      " is a JSON array; a file is read one record a line: write it with jq -c '.[]', or post it");
    std::string format = input_.format;
    if (format.empty()) format = bytes[first] == '{' ? "ndjson" : "csv";
    if (format == "csv") {
      std::optional<TableShape> shape = table_shape(bytes, input_, whole);
      if (!shape) return false;
      reading.state.shape = *std::move(shape);
    }
    reading.state.format = std::move(format);
    return true;
  }

  static void give_up_row(std::string_view bytes, FileState& state, RecordBatch& batch) {
    batch.errors.push_back({state.line, "", "invalid_row", "the row is longer than 64 MiB; it is passed over"});
    ++state.row;
    state.passing_over = true;
    pass_over(bytes, state);
  }

  static void pass_over(std::string_view bytes, FileState& state) {
    const std::size_t newline = bytes.find('\n');
    state.passing_over = newline == std::string_view::npos;
    if (!state.passing_over) ++state.line;
    state.offset += static_cast<std::int64_t>(state.passing_over ? bytes.size() : newline + 1);
  }

  SourceConfig config_;
  InputFormat input_;
  std::filesystem::path path_;
  std::string pattern_;
  double settle_seconds_ = 5;
  std::map<std::string, FileState> states_;
  std::map<std::string, LastLook> looks_;
};

}  // namespace

std::unique_ptr<Connector> make_file_connector(const SourceConfig& config, const SecretReader&) {
  return std::make_unique<FileConnector>(config);
}

}  // namespace connectors
