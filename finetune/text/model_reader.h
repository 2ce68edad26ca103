// Reads the "model" of a tokenizer.json. model_reader.cpp has the table of kinds. Pure functions; any thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "finetune/text/token_model.h"
#include "platform/base/json.h"

namespace finetune {

/// Token as spelled in the file -> id.
using Vocabulary = std::map<std::string, std::int32_t, std::less<>>;

struct ReadModel {
  std::unique_ptr<TokenModel> model;
  Vocabulary vocabulary;
};

/// `byte_pieces`: words come from a ByteLevel pre-tokenizer. Throws kInvalidInput naming what is not supported,
/// kCorrupt where the parts contradict each other.
ReadModel read_token_model(const platform::json::object& model, bool byte_pieces);

}  // namespace finetune
