// The repeats of Oniguruma's dialect in PCRE2's words: * + ? and their reluctant and possessive forms, {n} {n,} {,m}
// and {n,m}. A pure function; any thread.
#pragma once

#include <optional>
#include <string>

#include "finetune/text/oniguruma_cursor.h"

namespace finetune {

enum class Manner { kGreedy, kReluctant, kPossessive };

struct Repeat {
  unsigned least = 0;
  std::optional<unsigned> most;  // nothing: without end
  Manner manner = Manner::kGreedy;
  std::string text;  // as PCRE2 writes it, but for its manner

  /// `piece` repeated, which is one that a repeat can follow.
  std::string of(const std::string& piece) const;
};

/// The next repeat; nothing, and nothing passed, where there is none. Braces that hold no numbers are characters.
/// Refuses numbers over 65535.
std::optional<Repeat> take_repeat(OnigurumaCursor& cursor);

}  // namespace finetune
