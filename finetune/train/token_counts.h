// What training will see of a dataset, counted before any compute is spent. Pure; any thread.
#pragma once

#include <vector>

#include "finetune/text/template/chat_encoder.h"
#include "finetune/text/tokenizer.h"
#include "finetune/train/train_config.h"
#include "platform/base/json.h"
#include "platform/dataset/example.h"

namespace finetune {

/// {tokens, supervised_tokens}, each {minimum, mean, maximum} an example, in the base's tokens and with one for
/// each sensor slot. A class or a number is one supervised token. Examples must have their targets, as those of a
/// snapshot do (kInvalidInput otherwise, naming the example). Empty without examples.
platform::json::object token_counts(const Tokenizer& tokenizer, const ChatEncoder& chat, Task task,
                                    const std::vector<platform::Example>& examples);

}  // namespace finetune
