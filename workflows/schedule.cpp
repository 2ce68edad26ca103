#include "workflows/schedule.h"

#include <charconv>
#include <optional>
#include <vector>

namespace workflows {
namespace {

struct TimeField {
  std::string_view name;
  int least, most;
};
constexpr TimeField kFields[] = {
    {"minute", 0, 59}, {"hour", 0, 23}, {"day of month", 1, 31}, {"month", 1, 12}, {"day of week", 0, 7}};

std::vector<std::string_view> cut(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    if (at != ' ' || end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::optional<int> whole(std::string_view text) {
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string number_trouble(const TimeField& field, std::string_view text) {
  const auto value = whole(text);
  const std::string name(field.name);
  if (!value) return "'" + std::string(text) + "' is no " + name;
  if (*value >= field.least && *value <= field.most) return {};
  return name + " " + std::to_string(*value) + " is not between " + std::to_string(field.least) + " and " +
         std::to_string(field.most);
}

std::string item_trouble(const TimeField& field, std::string_view item) {
  const std::size_t slash = item.find('/');
  const std::string_view range = item.substr(0, slash);
  if (slash != std::string_view::npos) {
    const auto step = whole(item.substr(slash + 1));
    if (!step || *step < 1) return "'" + std::string(item) + "' has no step of 1 or more after '/'";
  }
  if (range == "*") return {};
  const std::vector<std::string_view> ends = cut(range, '-');
  for (std::string_view end : ends) {
    if (std::string trouble = number_trouble(field, end); !trouble.empty()) return trouble;
  }
  if (ends.size() > 2) return "'" + std::string(range) + "' is no range; write first-last";
  if (ends.size() == 2 && *whole(ends[0]) > *whole(ends[1]))
    return "the range '" + std::string(range) + "' of " + std::string(field.name) + " ends before it begins";
  return {};
}

}  // namespace

std::string schedule_trouble(std::string_view text) {
  const std::vector<std::string_view> fields = cut(text, ' ');
  if (fields.size() != 5)
    return "a schedule has five fields (minute hour day month weekday), not " + std::to_string(fields.size());
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::string_view item : cut(fields[i], ',')) {
      if (std::string trouble = item_trouble(kFields[i], item); !trouble.empty()) return trouble;
    }
  }
  return {};
}

}  // namespace workflows
