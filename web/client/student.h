// Student: the base that is to learn from a teacher's answers, as far as its tokenizer: it turns an answer into an
// example in the student's own tokens. Immutable; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <unordered_map>

#include "finetune/adapter/sensor_schema.h"
#include "finetune/text/template/chat_encoder.h"
#include "finetune/text/tokenizer.h"
#include "web/client/teacher.h"

namespace web {

class Student {
 public:
  /// Reads tokenizer and chat template of a base. Throws as they do.
  explicit Student(const std::filesystem::path& base);
  /// The example with the answer as its completion, or as the assistant's last turn; a pair, a label and an older
  /// answer of the example go. Where the teacher's tokens are, one by one, those in which the student is taught the
  /// answer, the example gets a teacher: the student's numbers of what the teacher found likely. What no token of the
  /// student spells, or two do, is left to the rest of the mass.
  platform::Example taught(const platform::Example& asked, const TaughtAnswer& answer) const;

  /// Of the base's tokenizer: what token numbers mean.
  const std::string& tokenizer_digest() const { return digest_; }

 private:
  bool same_tokens(const platform::Example& example, const TaughtAnswer& answer) const;
  std::vector<platform::TeacherToken> known(const TaughtToken& token) const;

  finetune::Tokenizer tokenizer_;
  finetune::ChatEncoder chat_;
  finetune::SensorSchema none_;
  std::string digest_;
  std::unordered_map<std::string, std::int32_t> spellings_;  // bytes of a token -> its number; -1 where two spell them
};

}  // namespace web
