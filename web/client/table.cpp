#include "web/client/table.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace web {

namespace json = platform::json;

namespace {

// Hangul, CJK and full-width forms take two columns.
bool is_wide(char32_t letter) {
  constexpr std::array<std::pair<char32_t, char32_t>, 7> kWide{{{0x1100, 0x115F},
                                                                {0x2E80, 0x303E},
                                                                {0x3041, 0xA4CF},
                                                                {0xAC00, 0xD7A3},
                                                                {0xF900, 0xFAFF},
                                                                {0xFF00, 0xFF60},
                                                                {0x1F300, 0x1FAFF}}};
  return std::any_of(kWide.begin(), kWide.end(),
                     [letter](const auto& range) { return letter >= range.first && letter <= range.second; });
}

const char* colour_of(std::string_view state) {
  static const std::vector<std::string_view> kGood{"running", "succeeded", "committed", "finished",
                                                   "ok",      "passed",    "live"};
  static const std::vector<std::string_view> kBad{"failed", "rolled_back", "error", "refused", "revoked", "silent"};
  static const std::vector<std::string_view> kAttention{"waiting",    "waiting_approval", "paused",
                                                        "cancelling", "offered",          "expired"};
  const auto in = [state](const auto& words) { return std::find(words.begin(), words.end(), state) != words.end(); };
  return in(kGood) ? "\033[32m" : in(kBad) ? "\033[31m" : in(kAttention) ? "\033[33m" : "";
}

bool colour_wanted() { return ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr; }

// A cell stays on its line.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  return text;
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::size_t own = display_width(text);
  const std::string blanks(width > own ? width - own : 0, ' ');
  return right ? blanks + text : text + blanks;
}

}  // namespace

Table& Table::right(std::size_t column) {
  right_.push_back(column);
  return *this;
}

Table& Table::states(std::size_t column) {
  states_.push_back(column);
  return *this;
}

std::string Table::text(bool colour) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    widths.push_back(display_width(columns_[i]));
    for (const auto& row : rows_) widths[i] = std::max(widths[i], display_width(one_line(row.at(i))));
  }
  const auto among = [](const auto& list, std::size_t i) {
    return std::find(list.begin(), list.end(), i) != list.end();
  };
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells, bool heading) {
    std::string written;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string shown = one_line(cells[i]);
      std::string padded_cell =
          i + 1 == cells.size() && !among(right_, i) ? shown : padded(shown, widths[i], among(right_, i));
      const char* paint = !colour ? "" : heading ? "\033[2m" : among(states_, i) ? colour_of(shown) : "";
      written += (i == 0 ? "" : "  ") + (*paint == '\0' ? padded_cell : paint + padded_cell + "\033[0m");
    }
    while (!written.empty() && written.back() == ' ') written.pop_back();
    out += written + "\n";
  };
  line(columns_, true);
  for (const auto& row : rows_) line(row, false);
  return out;
}

void Table::print(std::string_view when_empty) const {
  if (rows_.empty()) {
    std::printf("%s\n", std::string(when_empty).c_str());
    return;
  }
  std::fputs(text(colour_wanted()).c_str(), stdout);
}

Details& Details::add(std::string name, std::string value) {
  if (!value.empty()) lines_.emplace_back(std::move(name), std::move(value));
  return *this;
}

void Details::print() const {
  std::size_t width = 0;
  for (const auto& [name, value] : lines_) width = std::max(width, display_width(name));
  const bool colour = colour_wanted();
  for (const auto& [name, value] : lines_) {
    const char* paint = colour && name == "state" ? colour_of(value) : "";
    std::printf("%s%s%s  %s%s%s\n", colour ? "\033[2m" : "", padded(name, width, false).c_str(),
                colour ? "\033[0m" : "", paint, value.c_str(), *paint == '\0' ? "" : "\033[0m");
  }
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t length = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    char32_t letter = length == 1 ? byte : byte & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length && at + i < text.size(); ++i)
      letter = (letter << 6) | (static_cast<unsigned char>(text[at + i]) & 0x3FU);
    width += is_wide(letter) ? 2 : 1;
    at += length;
  }
  return width;
}

std::string with_separators(std::int64_t count) {
  std::string digits = std::to_string(count);
  const std::size_t first = digits.front() == '-' ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string length_of_time(std::chrono::seconds length) {
  const std::int64_t seconds = std::max<std::int64_t>(0, length.count());
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min";
  if (seconds < 86400)
    return std::to_string(seconds / 3600) + " h" +
           (seconds % 3600 >= 60 ? " " + std::to_string(seconds % 3600 / 60) + " min" : "");
  return std::to_string(seconds / 86400) + (seconds < 172800 ? " day" : " days");
}

std::string short_time(const std::string& rfc3339) {
  if (rfc3339.size() < 19) return rfc3339;
  std::string text = rfc3339.substr(0, 19);
  text[10] = ' ';
  return text;
}

std::string age(const std::string& rfc3339, platform::Time now) {
  if (rfc3339.empty()) return {};
  return length_of_time(std::chrono::duration_cast<std::chrono::seconds>(now - platform::parse_time(rfc3339))) + " ago";
}

std::string short_number(double value) {
  if (std::isfinite(value) && value == std::floor(value) && std::abs(value) < 1e15)
    return std::to_string(static_cast<std::int64_t>(value));
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

std::string short_digest(const std::string& digest) {
  return digest.starts_with("sha256:") && digest.size() > 19 ? digest.substr(0, 19) : digest;
}

std::string cell(const json::value& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return std::string(value.as_string());
  if (value.is_double()) return short_number(value.as_double());
  std::string out;
  if (const json::object* object = value.if_object()) {
    for (const auto& pair : *object)
      out += (out.empty() ? "" : ", ") + std::string(pair.key()) + "=" + cell(pair.value());
    return out;
  }
  if (const json::array* array = value.if_array()) {
    for (const json::value& item : *array) out += (out.empty() ? "" : ", ") + cell(item);
    return out;
  }
  return json::serialize(value);
}

std::string cell(const json::object& object, std::string_view key) {
  const json::value* value = platform::find(object, key);
  return value == nullptr ? std::string() : cell(*value);
}

void print_json(const json::value& value) { std::printf("%s\n", platform::pretty_json(value).c_str()); }

}  // namespace web
