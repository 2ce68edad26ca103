// Steps that rewrite a text a character at a time, or into a normal form of Unicode. Pure; any thread.
#pragma once

#include "finetune/text/text_rewriter.h"
#include "finetune/text/unicode.h"

namespace finetune {

/// Every code point by `append`, which puts what becomes of it.
RewriteStep map_step(void (*append)(std::string&, char32_t));
/// The whole text in the form. Where places are asked for, it is cut where characters begin that join nothing before
/// them, and each stretch keeps its place.
RewriteStep normal_form_step(NormalForm form);

}  // namespace finetune
