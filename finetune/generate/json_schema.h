// JSON schemas as grammars: what an answer that must be JSON may say.
//
// Understood are: type (one, or a list of them), properties, required, additionalProperties: false (or true, which asks
// for nothing), items, minItems, maxItems, minLength, maxLength, pattern (text_pattern.h), enum, const, anyOf, $ref to
// $defs or definitions of the same document that does not lead back to itself, {} and true for any value, and titles,
// descriptions, defaults and examples, which say nothing about the answer. Every other key is refused with its path.
//
// Of the documents that a schema allows those are written that have their members in the schema's order, none that it
// does not name, at most one space behind a comma or a colon, numbers of at most 15 digits before and behind the point
// and an exponent of at most two, and values of {} at most six deep, whose members may repeat a name.
#pragma once

#include <memory>

#include "finetune/generate/byte_grammar.h"
#include "platform/base/json.h"

namespace finetune {

/// Throws kInvalidInput with the path of what is not understood ("schema.properties.age.minimum"), and for a schema
/// that allows nothing, is deeper than 32, names more than 1,000 members in one object or more than 5,000 values in one
/// enum, or is bigger than ByteGrammar takes.
std::shared_ptr<const ByteGrammar> grammar_of_schema(const platform::json::value& schema);
/// Any JSON object, at most six deep.
std::shared_ptr<const ByteGrammar> grammar_of_any_object();

}  // namespace finetune
