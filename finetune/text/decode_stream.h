// Text of a growing sequence, a chunk a token, never half a character. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "finetune/text/tokenizer.h"

namespace finetune {

/// What a stream never cuts. A code point is what an encoding calls a character. A character here is what a reader
/// calls one: a Hangul syllable even if it comes as its letters, an emoji with its skin tone, flags, joined emoji. It
/// is held back until what follows is another one; plain ASCII is never held, so a mark that joins an ASCII letter
/// comes behind.
enum class StreamUnit { kCodePoint, kCharacter };

class DecodeStream {
 public:
  /// `tokenizer` must outlive the stream.
  explicit DecodeStream(const Tokenizer& tokenizer, bool skip_special_tokens = true,
                        StreamUnit unit = StreamUnit::kCharacter)
      : tokenizer_(&tokenizer), skip_special_tokens_(skip_special_tokens), unit_(unit) {}
  /// The text that this token completes; "" while waiting. Chunks and finish() join to the text of decode(), except
  /// where a byte token breaks a run of which a part was given already: the broken part then follows.
  std::string push(std::int32_t id);
  /// What is still held back, broken bytes as U+FFFD; the stream is empty afterwards.
  std::string finish();

 private:
  std::string next_code_points(std::int32_t id);
  std::string whole_characters(std::string text);

  const Tokenizer* tokenizer_;
  bool skip_special_tokens_;
  StreamUnit unit_;
  std::vector<std::int32_t> window_;  // the tokens of the last chunk, then those that wait
  std::size_t given_ = 0;             // how many of the window are in a chunk
  std::string given_text_;            // their text, decoded without what was before
  std::string held_;                  // text that is whole code points, but perhaps not a whole character
};

}  // namespace finetune
