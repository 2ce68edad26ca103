// What may stand as a token's id in a tokenizer.json. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "platform/base/json.h"

namespace finetune {

/// Throws kCorrupt where a token is longer than 4 KiB: looking for it at every place of a text would take too long.
void check_token_length(std::string_view token);

/// Throws kCorrupt, naming `token`, where `id` is no whole number from 0 to 16,000,000.
std::int32_t checked_token_id(const platform::json::value& id, std::string_view token);

/// Throws kCorrupt: a tokenizer.json that contradicts itself.
[[noreturn]] void corrupt_tokenizer(const std::string& what);

}  // namespace finetune
