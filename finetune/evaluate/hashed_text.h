// The text of an example as hashed pieces, for the plain models that stand beside every score. Pure functions; any
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "platform/dataset/example.h"

namespace finetune {

/// What an example says in words: the prompt without its slots, or all messages, or the plain text.
std::string words_of_example(const platform::Example& example);

/// FNV-1a of each word, each pair of words that stand together, and each run of 3 to 5 bytes of a word with a space on
/// either side, and how often it occurs. Words stand between white space and ".,:;". `buckets`: how many hashes there
/// are; two pieces may share one.
std::map<std::uint32_t, float> hashed_pieces(std::string_view text, std::uint32_t buckets);

}  // namespace finetune
