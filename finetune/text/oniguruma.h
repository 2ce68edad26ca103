// The regular expressions of a tokenizer.json are written in Oniguruma's dialect, because the Rust crate `tokenizers`
// compiles them with it. Here they are written anew for PCRE2, with the same meaning:
//   \s \w \b \h [:alpha:] ... are Oniguruma's sets (oniguruma_property.h), a class may hold classes and && (oniguruma_
//   class.h), ^ and $ stand at every line, (?m) lets a dot match a line feed, a(?i)b|c is a(?i:b|c), {n}? is (?:{n})?,
//   {n,m}+ repeats the repeat, {m,n} with m > n is possessive, {,n} is {0,n}, \xE2\x96\x81 are bytes, \p{Han} are the
//   characters that belong to the script, (?x) and (?#...) are taken out.
// What has no such form is refused by name, never approximated: \X \y \Y \g<...>, references by level, forward, from
// inside, by a name that is there twice or under (?i), conditions (?(...)...), absent functions (?~...), callouts
// (?{...}) and (*...), options other than i, m and x, \pL without braces, properties of blocks and those that Unicode
// has changed, numbers over 65535 in a repeat, an empty side of &&, and under (?i) what equals several characters (ß
// and ss: oniguruma_case.h). So is what Oniguruma itself does not do as it says: {1} behind a (?:...) and before
// another repeat, a counted repeat of what is empty at some places only, \b or another place before a leading .*, a
// negated class in a negated one, a look-behind of what may be empty in another. Look-behinds have the lengths that
// PCRE2 allows; it refuses the others. A pure function; any thread.
#pragma once

#include <string>
#include <string_view>

namespace finetune {

/// For a pattern that is compiled with UTF, UCP and the line feed as the only newline. Throws kInvalidInput with the
/// place and the construct. At most some sixty times as long as `oniguruma`.
std::string pcre2_of(std::string_view oniguruma);

}  // namespace finetune
