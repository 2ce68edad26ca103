// AnswerForm: what an answer may say, as a request asks for it. A plain value; the grammar is shared and immutable.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "finetune/generate/constraint.h"
#include "finetune/generate/json_schema.h"
#include "finetune/generate/token_trie.h"

namespace finetune {

struct AnswerForm {
  std::vector<std::string> choices;            // one of these, whole
  std::shared_ptr<const ByteGrammar> grammar;  // a text of this grammar

  bool is_free() const { return choices.empty() && grammar == nullptr; }

  static AnswerForm one_of(std::vector<std::string> choices) { return {std::move(choices), nullptr}; }
  /// A JSON document that the schema allows. Throws as grammar_of_schema().
  static AnswerForm json(const platform::json::value& schema) { return {{}, grammar_of_schema(schema)}; }
  static AnswerForm any_json_object() { return {{}, grammar_of_any_object()}; }
};

/// A constraint for one answer, null for a free one. `trie` is of the same tokenizer and ends, and outlives it. Throws
/// kInvalidInput as LabelConstraint does.
std::unique_ptr<Constraint> constraint_of(const AnswerForm& form, const Tokenizer& tokenizer, const TokenTrie& trie,
                                          const std::vector<std::int32_t>& ends);

}  // namespace finetune
