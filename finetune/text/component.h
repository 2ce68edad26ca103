// The components of a tokenizer.json (normalizer, pre_tokenizer, post_processor, decoder): objects with a "type", alone
// or in a "Sequence". Every kind is one row of its component's table. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/pattern.h"
#include "platform/base/json.h"

namespace finetune {

/// The kind that `object` names, out of a table of rows that have a `type`. Throws kInvalidInput with the whole table
/// where there is no such row. `component` names the place in the file.
template <typename Table>
const auto& kind_of(const Table& table, const platform::json::object& object, const std::string& component) {
  const std::string type = platform::require_string(object, "type", component);
  std::string supported;
  for (const auto& kind : table) {
    if (kind.type == type) return kind;
    supported += std::string(kind.type) + ", ";
  }
  throw platform::Error(
      platform::ErrorCode::kInvalidInput,
      "tokenizer.json: " + component + " '" + type + "' is not supported; supported are " + supported + "Sequence",
      component + ".type");
}

/// The objects in the order in which they act; a sequence stands for what is in its `list_key`. None for null.
/// Throws kInvalidInput where one is not an object or there are more than 64.
std::vector<const platform::json::object*> components_of(const platform::json::value& value,
                                                         const std::string& component, std::string_view list_key);

/// The "pattern" of `object`: {"String": literal} or {"Regex": expression}.
Pattern read_pattern(const platform::json::object& object, const std::string& component);

/// The one character that `key` holds. Throws kInvalidInput where it is another number of characters.
std::string require_character(const platform::json::object& object, std::string_view key, std::string_view fallback,
                              const std::string& component);

/// A number of things, from 0 to 2^31 - 1.
std::size_t size_or(const platform::json::object& object, std::string_view key, std::size_t fallback,
                    const std::string& component);

}  // namespace finetune
