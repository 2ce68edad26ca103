// Regular expressions as parts of a grammar: the `pattern` of a JSON schema, inside of a JSON string.
//
// Understood are: characters, . (any character), classes such as [A-Za-z_-] and [^0-9] of ASCII characters, \d \w \D \W
// \s \S, \ before a sign, groups (...) and (?:...), alternatives |, the repetitions * + ? {m} {m,} {m,n} with counts of
// at most 1,000, ^ at the beginning and $ at the end. Without ^ or $ anything may stand before or behind, as the schema
// means it. \s is a space, and \S and classes that have it are ASCII alone.
#pragma once

#include <string>
#include <string_view>

#include "finetune/generate/byte_grammar.h"

namespace finetune {

/// Throws kInvalidInput with `path` and the place in the pattern for what is not understood, groups that are deeper
/// than 16, and a grammar that becomes too big.
ByteGrammar::Node add_pattern(ByteGrammar& grammar, std::string_view pattern, const std::string& path);

}  // namespace finetune
