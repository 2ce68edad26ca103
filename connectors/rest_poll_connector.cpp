#include "connectors/rest_poll_connector.h"

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

struct PollSettings {
  std::string target, items, cursor_param, cursor_next, cursor_field, page_param, sequence;
  std::int64_t first_page = 1, page_size = 0;
  std::int64_t limit_pages = 100;

  static PollSettings from_json(const json::object& object) {
    platform::refuse_unknown_keys(
        object, {"url", "target", "items", "cursor", "page", "sequence", "auth", "limit_pages", "input"}, "settings");
    PollSettings settings;
    settings.target = platform::string_or(object, "target", "/", "settings");
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
      settings.cursor_param = platform::require_string(keys, "param", "settings.cursor");
      settings.cursor_next = platform::string_or(keys, "next", "", "settings.cursor");
      settings.cursor_field = platform::string_or(keys, "field", "", "settings.cursor");
      if (settings.cursor_next.empty() && settings.cursor_field.empty())
        throw Error(ErrorCode::kInvalidInput, "settings.cursor needs next or field", "settings.cursor");
    } else {
      const json::object& keys = platform::as_object(*page, "settings.page");
      platform::refuse_unknown_keys(keys, {"param", "first", "size"}, "settings.page");
      settings.page_param = platform::require_string(keys, "param", "settings.page");
      settings.first_page = platform::int_or(keys, "first", 1, "settings.page");
      settings.page_size = platform::require_int(keys, "size", "settings.page");
    }
    return settings;
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
      const json::value answer = get_(target_for(nullptr));
      const std::size_t count = items_of(answer).size();
      return {true, "the API answers; its first page has " + std::to_string(count) + " records"};
    } catch (const Error& error) {
      return {false, error.what()};
    }
  }

  std::vector<Stream> discover() override {
    const json::value answer = get_(target_for(nullptr));
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
    json::value at = cursor;
    for (std::int64_t page = 0; page < settings_.limit_pages; ++page) {
      const json::value answer = get_(target_for(&at));
      const json::array& items = items_of(answer);
      if (items.empty()) return;
      RecordBatch batch = batch_of(items, at);
      batch.cursor = next_cursor(answer, items, at);
      const bool stuck = batch.cursor == at ||
                         (settings_.page_size > 0 && static_cast<std::int64_t>(items.size()) < settings_.page_size);
      at = batch.cursor;
      if (!sink(std::move(batch)) || stuck) return;
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

  std::string target_for(const json::value* cursor) const {
    const json::value* after =
        cursor != nullptr && cursor->is_object() ? cursor->get_object().if_contains("after") : nullptr;
    std::string name = settings_.cursor_param, value;
    if (!settings_.page_param.empty()) {
      name = settings_.page_param;
      value = std::to_string(after == nullptr ? settings_.first_page : after->to_number<std::int64_t>());
    } else if (after != nullptr) {
      value = platform::text_of(*after);
    }
    if (value.empty()) return settings_.target;
    return settings_.target + (settings_.target.find('?') == std::string::npos ? "?" : "&") + name + "=" +
           platform::percent_encode(value);
  }

  json::value next_cursor(const json::value& answer, const json::array& items, const json::value& before) const {
    json::object next = before.is_object() ? before.get_object() : json::object{};
    if (!settings_.page_param.empty()) return next_page(items, std::move(next));
    const json::value* value = settings_.cursor_next.empty() ? nullptr : at_path(answer, settings_.cursor_next);
    if (value == nullptr && !settings_.cursor_field.empty()) value = field_of(items.back(), settings_.cursor_field);
    if (value != nullptr) next["after"] = *value;
    remember_sequence(items, next);
    return next;
  }

  // A page that is not full yet is asked for again next time.
  json::value next_page(const json::array& items, json::object next) const {
    const std::int64_t page = next.contains("after") ? next["after"].to_number<std::int64_t>() : settings_.first_page;
    next["after"] = static_cast<std::int64_t>(items.size()) >= settings_.page_size ? page + 1 : page;
    remember_sequence(items, next);
    return next;
  }

  static const json::value* field_of(const json::value& item, std::string_view name) {
    if (const json::value* value = at_path(item, name)) return value;
    const json::value* fields = at_path(item, "fields");
    return fields == nullptr ? nullptr : at_path(*fields, name);
  }

  void remember_sequence(const json::array& items, json::object& next) const {
    if (settings_.sequence.empty()) return;
    if (const json::value* value = field_of(items.back(), settings_.sequence); value != nullptr && value->is_number())
      next["sequence"] = *value;
  }

  RecordBatch batch_of(const json::array& items, const json::value& cursor) const {
    RecordBatch batch;
    RecordMaker maker(input_, config_.profile, config_.name);
    const json::value* known = cursor.is_object() ? cursor.get_object().if_contains("sequence") : nullptr;
    std::optional<std::int64_t> last;
    if (known != nullptr) last = known->to_number<std::int64_t>();
    platform::Time last_time{};
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::string path = "[" + std::to_string(i) + "]";
      if (!items[i].is_object()) {
        batch.errors.push_back({1, path, "invalid_record", "a record must be a JSON object"});
        continue;
      }
      const json::value* number = settings_.sequence.empty() ? nullptr : field_of(items[i], settings_.sequence);
      std::optional<std::int64_t> sequence;
      if (number != nullptr && number->is_int64()) sequence = number->get_int64();
      try {  // one bad record must not cost the others
        batch.records.push_back(maker.from_object(items[i].get_object(), static_cast<std::int64_t>(i + 1)));
      } catch (const Error& error) {
        batch.errors.push_back({1, path, "invalid_record", error.what()});
        if (sequence) last = sequence;
        continue;
      }
      const platform::Time time = batch.records.back().event_time;
      if (sequence && last && *sequence > *last + 1) {
        batch.gaps.push_back({last_time, time,
                              "the records " + std::to_string(*last + 1) + " to " + std::to_string(*sequence - 1) +
                                  " are gone from the source"});
      }
      if (sequence) last = sequence;
      last_time = time;
    }
    return batch;
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
