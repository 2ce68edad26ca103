#include "connectors/rest_poll_connector.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "platform/dataset/render.h"
#include "platform/http/request.h"

namespace connectors {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

namespace {

// "data.items" -> the value there; nullptr if absent or null.
const json::value* at_path(const json::value& value, std::string_view path) {
  const json::value* here = &value;
  while (!path.empty()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    if (!here->is_object()) return nullptr;
    here = here->get_object().if_contains(path.substr(0, dot));
    if (here == nullptr) return nullptr;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return here->is_null() ? nullptr : here;
}

// What goes into the line of a request as it stands.
std::string sendable(std::string text, const std::string& field) {
  if (std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c <= ' ') || c == 127; }))
    throw Error(ErrorCode::kInvalidInput,
                field + " holds a blank or a control character: '" + platform::percent_encode(text) +
                    "' (shown percent-encoded); percent-encode it, a blank as %20",
                field);
  return text;
}

struct PollSettings {
  std::string target, items, cursor_param, cursor_next, cursor_field, page_param, sequence;
  std::int64_t first_page = 1, page_size = 0;
  std::int64_t limit_pages = 100;

  static PollSettings from_json(const json::object& object) {
    platform::refuse_unknown_keys(
        object, {"url", "target", "items", "cursor", "page", "sequence", "auth", "limit_pages", "input"}, "settings");
    PollSettings settings;
    settings.target = sendable(platform::string_or(object, "target", "/", "settings"), "settings.target");
    settings.items = platform::string_or(object, "items", "", "settings");
    settings.sequence = platform::string_or(object, "sequence", "", "settings");
    settings.limit_pages = platform::int_or(object, "limit_pages", 100, "settings");
    const json::value* cursor = platform::find(object, "cursor");
    const json::value* page = platform::find(object, "page");
    if ((cursor == nullptr) == (page == nullptr))
      throw Error(ErrorCode::kInvalidInput, "settings need either cursor or page", "settings.cursor");
    if (cursor != nullptr) {
      const json::object& keys = platform::as_object(*cursor, "settings.cursor");
      platform::refuse_unknown_keys(keys, {"param", "next", "field"}, "settings.cursor");
      settings.cursor_param =
          sendable(platform::require_string(keys, "param", "settings.cursor"), "settings.cursor.param");
      settings.cursor_next = platform::string_or(keys, "next", "", "settings.cursor");
      settings.cursor_field = platform::string_or(keys, "field", "", "settings.cursor");
      if (settings.cursor_next.empty() && settings.cursor_field.empty())
        throw Error(ErrorCode::kInvalidInput, "settings.cursor needs next or field", "settings.cursor");
    } else {
      const json::object& keys = platform::as_object(*page, "settings.page");
      platform::refuse_unknown_keys(keys, {"param", "first", "size"}, "settings.page");
      settings.page_param = sendable(platform::require_string(keys, "param", "settings.page"), "settings.page.param");
      settings.first_page = platform::int_or(keys, "first", 1, "settings.page");
      settings.page_size = platform::require_int(keys, "size", "settings.page");
    }
    return settings;
  }
};

// The number, if it is a whole one.
std::optional<std::int64_t> whole_number(const json::value* value) {
  if (value == nullptr || !value->is_int64()) return std::nullopt;
  return value->get_int64();
}

// Where reading stands; the cursor.
struct PollState {
  json::value after;                     // the next page or the API's own cursor; null = the first page
  std::int64_t rows = 0;                 // records before that page
  std::int64_t taken = 0;                // of that page, if it was not full when it was read
  std::optional<std::int64_t> sequence;  // the last one known before that page
  platform::Time last_time{};            // of the record before that page, else when it was read

  static PollState from_json(const json::value& value) {
    PollState state;
    if (!value.is_object()) return state;
    const json::object& object = value.get_object();
    if (const json::value* after = object.if_contains("after")) state.after = *after;
    state.rows = platform::int_or(object, "rows", 0, "cursor");
    state.taken = platform::int_or(object, "taken", 0, "cursor");
    state.sequence = whole_number(object.if_contains("sequence"));
    const std::string time = platform::string_or(object, "last_time", "", "cursor");
    if (!time.empty()) state.last_time = platform::parse_time(time);
    return state;
  }
  json::value to_json() const {
    json::object object{{"rows", rows}, {"taken", taken}};
    if (!after.is_null()) object["after"] = after;
    if (sequence) object["sequence"] = *sequence;
    if (last_time != platform::Time{}) object["last_time"] = platform::format_time(last_time);
    return object;
  }
};

class RestPollConnector final : public Connector {
 public:
  RestPollConnector(const SourceConfig& config, JsonGetter get)
      : config_(config),
        settings_(PollSettings::from_json(config.settings)),
        input_(input_of(config)),
        get_(std::move(get)) {}

  CheckResult check() override {
    try {  // a source that is away is an answer, not a failure of the check
      const json::value answer = get_(target_for({}));
      const std::size_t count = items_of(answer).size();
      return {true, "the API answers; its first page has " + std::to_string(count) + " records"};
    } catch (const Error& error) {
      return {false, error.what()};
    }
  }

  std::vector<Stream> discover() override {
    const json::value answer = get_(target_for({}));
    Stream stream{settings_.target, {}};
    const json::array& items = items_of(answer);
    if (!items.empty() && items[0].is_object()) {
      const json::value* fields = items[0].get_object().if_contains("fields");
      for (const auto& pair : fields != nullptr && fields->is_object() ? fields->get_object() : items[0].get_object())
        stream.fields.emplace_back(pair.key());
    }
    return {stream};
  }

  void read(const json::value& cursor, const BatchSink& sink) override {
    PollState state = PollState::from_json(cursor);
    for (std::int64_t page = 0; page < settings_.limit_pages; ++page) {
      const json::value answer = get_(target_for(state.after));
      const json::array& items = items_of(answer);
      if (items.empty()) return;
      PollState next = state;
      RecordBatch batch = batch_of(items, next);
      next.after = after_of(answer, items, state.after);
      const bool moved = next.after != state.after;
      if (moved) {
        next.rows += static_cast<std::int64_t>(items.size());
        next.taken = 0;
        state = std::move(next);
      } else {  // the page is asked for again: what was known before it still holds then
        state.taken = std::max(state.taken, static_cast<std::int64_t>(items.size()));
      }
      batch.cursor = state.to_json();
      if (!sink(std::move(batch)) || !moved) return;
    }
  }

 private:
  const json::array& items_of(const json::value& answer) const {
    const json::value* items = at_path(answer, settings_.items);
    if (items == nullptr || !items->is_array()) {
      throw Error(ErrorCode::kUnavailable,
                  "the API's answer has no array at '" + settings_.items + "'; check settings.items");
    }
    return items->get_array();
  }

  std::string target_for(const json::value& after) const {
    std::string name = settings_.cursor_param, value;
    if (!settings_.page_param.empty()) {
      name = settings_.page_param;
      value = std::to_string(page_of(after));
    } else if (!after.is_null()) {
      value = platform::text_of(after);
    }
    if (value.empty()) return settings_.target;
    return settings_.target + (settings_.target.find('?') == std::string::npos ? "?" : "&") + name + "=" +
           platform::percent_encode(value);
  }

  std::int64_t page_of(const json::value& after) const { return whole_number(&after).value_or(settings_.first_page); }

  // Where to go on; a page that is not full yet is asked for again next time.
  json::value after_of(const json::value& answer, const json::array& items, const json::value& before) const {
    if (!settings_.page_param.empty()) {
      const bool full = static_cast<std::int64_t>(items.size()) >= settings_.page_size;
      return full ? json::value(page_of(before) + 1) : before;
    }
    const json::value* value = settings_.cursor_next.empty() ? nullptr : at_path(answer, settings_.cursor_next);
    if (value == nullptr && !settings_.cursor_field.empty()) value = field_of(items.back(), settings_.cursor_field);
    return value == nullptr ? before : *value;
  }

  static const json::value* field_of(const json::value& item, std::string_view name) {
    if (const json::value* value = at_path(item, name)) return value;
    const json::value* fields = at_path(item, "fields");
    return fields == nullptr ? nullptr : at_path(*fields, name);
  }

  // Makes the page's records; `state` moves on to what is known behind the page, all but after, rows and taken.
  RecordBatch batch_of(const json::array& items, PollState& state) const {
    RecordBatch batch;
    Place place{{}, true};
    if (!settings_.page_param.empty()) place = {"page " + std::to_string(page_of(state.after)), false};
    RecordMaker maker(input_, config_.profile, config_.name, place);
    const platform::Time read_at = platform::SystemClock().now();
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::string path = "[" + std::to_string(i) + "]";
      const auto number = static_cast<std::int64_t>(i);
      platform::Time time = state.last_time == platform::Time{} ? read_at : state.last_time;
      try {  // one bad record must not cost the others
        batch.records.push_back(maker.from_object(platform::as_object(items[i], path), state.rows + number));
        time = batch.records.back().event_time;
        if (time == platform::Time{}) time = read_at;
      } catch (const Error& error) {
        batch.errors.push_back({1, path, "invalid_record", error.what()});
      }
      note_sequence(items[i], time, number >= state.taken, state, batch);
      state.last_time = time;
    }
    return batch;
  }

  // Where the numbers jump, a gap; `fresh`: the item was not seen before, so the gap was not told.
  void note_sequence(const json::value& item, platform::Time time, bool fresh, PollState& state,
                     RecordBatch& batch) const {
    if (settings_.sequence.empty()) return;
    const std::optional<std::int64_t> sequence = whole_number(field_of(item, settings_.sequence));
    if (!sequence) return;
    if (fresh && state.sequence && *sequence > *state.sequence + 1) {
      batch.gaps.push_back({state.last_time == platform::Time{} ? time : std::min(state.last_time, time), time,
                            "the records " + std::to_string(*state.sequence + 1) + " to " +
                                std::to_string(*sequence - 1) + " are gone from the source"});
    }
    state.sequence = sequence;
  }

  SourceConfig config_;
  PollSettings settings_;
  InputFormat input_;
  JsonGetter get_;
};

}  // namespace

std::unique_ptr<Connector> make_rest_poll_connector(const SourceConfig& config, JsonGetter get) {
  return std::make_unique<RestPollConnector>(config, std::move(get));
}

}  // namespace connectors
