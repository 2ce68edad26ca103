#include "finetune/generate/answer_form.h"

#include "finetune/generate/grammar_constraint.h"
#include "finetune/generate/label_constraint.h"

namespace finetune {

std::unique_ptr<Constraint> constraint_of(const AnswerForm& form, const Tokenizer& tokenizer, const TokenTrie& trie,
                                          const std::vector<std::int32_t>& ends) {
  if (!form.choices.empty()) return std::make_unique<LabelConstraint>(tokenizer, form.choices, ends);
  if (form.grammar != nullptr) return std::make_unique<GrammarConstraint>(form.grammar, trie, ends);
  return nullptr;
}

}  // namespace finetune
