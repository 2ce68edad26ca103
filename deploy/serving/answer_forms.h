// What a request of OpenAI's or vLLM's clients says about the form of its answer. Pure functions; any thread.
#pragma once

#include "finetune/generate/answer_form.h"
#include "platform/base/json.h"

namespace deploy {

/// OpenAI's `response_format` (text, json_object, json_schema) and vLLM's `guided_choice`, `guided_json` and
/// `structured_outputs` (`choice`, `json`, `json_object`), of which at most one may stand in a request; null and absent
/// are the same. Throws kInvalidInput, naming the key, for any other form (guided_regex, guided_grammar, ...), for two
/// at once, and as finetune::grammar_of_schema() for a schema.
finetune::AnswerForm answer_form_of(const platform::json::object& body);

}  // namespace deploy
