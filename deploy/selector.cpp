#include "deploy/selector.h"

#include "platform/base/error.h"

namespace deploy {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

Labels parse_labels(std::string_view text) {
  Labels labels;
  text = trimmed(text);
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = trimmed(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    const std::size_t equals = part.find('=');
    const std::string_view key =
        equals == std::string_view::npos ? std::string_view{} : trimmed(part.substr(0, equals));
    if (key.empty() || trimmed(part.substr(equals + 1)).empty())
      throw platform::Error(platform::ErrorCode::kInvalidInput,
                            "not a label: \"" + std::string(part) + "\"; write key=value, several with commas between");
    labels[std::string(key)] = std::string(trimmed(part.substr(equals + 1)));
  }
  return labels;
}

bool selects(std::string_view selector, std::string_view name, const Labels& labels) {
  if (trimmed(selector) == "*") return true;
  const Labels wanted = parse_labels(selector);
  if (wanted.empty())
    throw platform::Error(platform::ErrorCode::kInvalidInput, "empty selector; write * for every agent, or key=value",
                          "selector");
  for (const auto& [key, value] : wanted) {
    if (key == "name") {
      if (value != name) return false;
      continue;
    }
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

}  // namespace deploy
