// Reads a character class of Oniguruma's dialect: classes in classes, [a[^b]], their common part, [a-z&&[^c]], and
// POSIX brackets. A pure function; any thread.
#pragma once

#include <string>

#include "finetune/text/oniguruma_cursor.h"

namespace finetune {

/// An expression of PCRE2 for the class whose opening bracket was taken; the cursor is then behind the closing one.
/// Under (?i) refuses a class that reaches further there than PCRE2 does (see oniguruma_case.h).
std::string take_class(OnigurumaCursor& cursor, bool ignore_case);

}  // namespace finetune
