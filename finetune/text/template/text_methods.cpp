// The methods of texts.
#include <algorithm>
#include <array>

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/comparison.h"
#include "finetune/text/template/formatting.h"
#include "finetune/text/template/indexing.h"
#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/methods.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

// str -> str without arguments.
template <std::string (*kChange)(std::string_view)>
Value changed(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  ArgumentReader(interpreter.budget(), "the text method", arguments).finish();
  interpreter.budget().step_characters(self.text()->size());
  return make_text(interpreter.budget(), kChange(*self.text()));
}

std::string swapped_case(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const bool small = is_lower(next_code_point(text, at));
    out += small ? upper(text.substr(begin, at - begin)) : lower(text.substr(begin, at - begin));
  }
  return out;
}

// True for every character, and there is one.
template <bool (*kMatches)(char32_t)>
Value all_are(Interpreter& interpreter, const Value& self, Arguments&) {
  const std::string& text = *self.text();
  interpreter.budget().step_characters(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (!kMatches(next_code_point(text, at))) return boolean(false);
  }
  return boolean(!text.empty());
}

bool is_alphanumeric(char32_t c) { return is_letter(c) || is_numeric(c); }
bool is_decimal(char32_t c) { return is_digit(c) && is_word_character(c) && c != U'²' && c != U'³' && c != U'¹'; }

template <bool kLarge>
Value has_case(Interpreter& interpreter, const Value& self, Arguments&) {
  interpreter.budget().step_characters(self.text()->size());
  return boolean(has_only_case(*self.text(), kLarge));
}

Value is_ascii(Interpreter& interpreter, const Value& self, Arguments&) {
  interpreter.budget().step_characters(self.text()->size());
  return boolean(std::all_of(self.text()->begin(), self.text()->end(), [](char c) { return (c & 0x80) == 0; }));
}

template <bool kLeft, bool kRight>
Value strip(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "strip", arguments);
  const auto characters = reader.optional_text("chars");
  reader.finish();
  const std::string& text = *self.text();
  budget.step_characters(text.size());
  if (!characters) return make_text(budget, std::string(stripped(text, kLeft, kRight)));
  budget.step_bytes(text.size() * characters->size());
  return make_text(budget, std::string(stripped(text, kLeft, kRight, *characters)));
}

enum class Side { kLeft, kRight, kBoth };

template <Side kTextAt>
Value pad(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "the padding method", arguments);
  const auto width = reader.required("width").integer();
  const std::string fill = reader.optional_text("fillchar").value_or(" ");
  reader.finish();
  if (!width) budget.fail("a width must be an integer");
  if (count_code_points(fill) != 1) budget.fail("The fill character must be exactly one character long");
  const auto size = static_cast<std::int64_t>(count_code_points(*self.text()));
  const auto missing = static_cast<std::size_t>(std::max<std::int64_t>(clamped(*width - size), 0));
  const std::size_t middle = missing / 2 + (missing & static_cast<std::size_t>(*width) & 1);
  const std::size_t before = kTextAt == Side::kLeft ? 0 : kTextAt == Side::kRight ? missing : middle;
  TextBuilder out(budget);
  out.append(fill, before);
  out.append(*self.text());
  out.append(fill, missing - before);
  return out.finish();
}

Value zfill(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "zfill", arguments);
  const std::int64_t width = reader.integer_or("width", 0);
  reader.finish();
  const std::string_view text = *self.text();
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  const auto size = static_cast<std::int64_t>(count_code_points(text));
  TextBuilder out(budget);
  out.append(text.substr(0, sign));
  out.append("0", static_cast<std::size_t>(std::max<std::int64_t>(width - size, 0)));
  out.append(text.substr(sign));
  return out.finish();
}

// The part of a text between two optional positions, as find(x, start, end) takes them.
struct Window {
  std::string_view text;
  std::size_t begin;  // in code points
};

Window window_of(Budget& budget, const std::string& text, ArgumentReader& reader) {
  const Value start = reader.optional("start").value_or(none());
  const Value end = reader.optional("end").value_or(none());
  reader.finish();
  if (start.is_none() && end.is_none()) return {text, 0};
  const std::vector<std::size_t> offsets = counted_offsets(budget, text);
  const auto size = static_cast<std::int64_t>(offsets.size()) - 1;
  const auto placed = [&](const Value& value, std::int64_t fallback) {
    const std::int64_t given = value.integer() ? clamped(*value.integer()) : fallback;
    return static_cast<std::size_t>(std::clamp<std::int64_t>(given < 0 ? given + size : given, 0, size));
  };
  const std::size_t from = placed(start, 0);
  const std::size_t to = std::max(from, placed(end, size));
  return {std::string_view(text).substr(offsets[from], offsets[to] - offsets[from]), from};
}

std::size_t find_last(Budget& budget, std::string_view text, std::string_view needle) {
  budget.step((text.size() / 64 + 1) * (needle.size() / 64 + 1));
  return text.rfind(needle);
}

template <bool kLast, bool kMustExist>
Value find(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, kMustExist ? "index" : "find", arguments);
  const std::string needle = reader.text("sub");
  const Window window = window_of(budget, *self.text(), reader);
  budget.step_bytes(window.text.size());
  const std::size_t at = kLast ? find_last(budget, window.text, needle) : find_text(window.text, needle);
  if (at != std::string_view::npos) {
    return integer(static_cast<Integer>(window.begin + count_code_points(window.text.substr(0, at))));
  }
  if (kMustExist) budget.fail("substring not found");
  return integer(-1);
}

Value count(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "count", arguments);
  const std::string needle = reader.text("sub");
  const Window window = window_of(budget, *self.text(), reader);
  budget.step_bytes(window.text.size());
  if (needle.empty()) return integer(static_cast<Integer>(count_code_points(window.text) + 1));
  Integer found = 0;
  for (std::size_t at = 0; (at = find_text(window.text, needle, at)) != std::string_view::npos; at += needle.size()) {
    budget.step();
    ++found;
  }
  return integer(found);
}

template <bool kEnd>
Value has_affix(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  const char* name = kEnd ? "endswith" : "startswith";
  ArgumentReader reader(budget, name, arguments);
  const Value affix = reader.required("prefix");
  const Window window = window_of(budget, *self.text(), reader);
  const Sequence* tuple = affix.sequence();
  if (tuple) budget.step_items(tuple->items.size());
  const std::vector<Value> choices = tuple ? tuple->items : std::vector<Value>{affix};
  for (const Value& choice : choices) {
    if (!choice.text()) {
      budget.fail(std::string(name) + " first arg must be str or a tuple of str, not " +
                  std::string(type_name(choice)));
    }
    budget.step(1);
    budget.step_bytes(choice.text()->size());
    if (kEnd ? window.text.ends_with(*choice.text()) : window.text.starts_with(*choice.text())) return boolean(true);
  }
  return boolean(false);
}

template <bool kEnd>
Value remove_affix(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  ArgumentReader reader(interpreter.budget(), kEnd ? "removesuffix" : "removeprefix", arguments);
  const std::string affix = reader.text("affix");
  reader.finish();
  std::string_view text = *self.text();
  if (kEnd && text.ends_with(affix)) text.remove_suffix(affix.size());
  if (!kEnd && text.starts_with(affix)) text.remove_prefix(affix.size());
  return make_text(interpreter.budget(), std::string(text));
}

Value join(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "join", arguments);
  const Value items = reader.required("iterable");
  reader.finish();
  TextBuilder out(budget);
  bool begun = false;
  for (const Value& item : interpreter.items_of(items)) {
    if (!item.text()) budget.fail("join: expected str instance, " + std::string(type_name(item)) + " found");
    if (begun) out.append(*self.text());
    print(out, budget, item);
    begun = true;
  }
  return out.finish();
}

Value format(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  return brace_format(interpreter.budget(), *self.text(), arguments);
}

Value format_map(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "format_map", arguments);
  const Value mapping = reader.required("mapping");
  reader.finish();
  if (!mapping.dictionary()) budget.fail("format_map() needs a mapping");
  Arguments named;
  for (const auto& [key, value] : mapping.dictionary()->entries) {
    if (key.text()) named.named.emplace_back(*key.text(), value);
  }
  return brace_format(budget, *self.text(), named);
}

// Between all characters and at both ends, as replace('', x) does.
Value interleaved(Budget& budget, const std::string& text, const std::string& between, std::int64_t times) {
  TextBuilder out(budget);
  std::size_t at = 0;
  while (times != 0) {
    out.append(between);
    --times;
    if (at >= text.size()) break;
    const std::size_t begin = at;
    next_code_point(text, at);
    out.append(std::string_view(text).substr(begin, at - begin));
  }
  out.append(std::string_view(text).substr(at));
  return out.finish();
}

Value replace(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "replace", arguments);
  const std::string old = *to_text(budget, reader.required("old")).text();
  const std::string fresh = *to_text(budget, reader.required("new")).text();
  const Value limit = reader.optional("count").value_or(none());
  reader.finish();
  std::int64_t times = limit.integer() ? clamped(*limit.integer()) : -1;
  const std::string& text = *self.text();
  if (old.empty()) return interleaved(budget, text, fresh, times);
  budget.step_bytes(text.size());
  TextBuilder out(budget);
  std::size_t at = 0;
  for (std::size_t found = 0; times != 0; --times) {
    found = find_text(text, old, at);
    if (found == std::string::npos) break;
    budget.step();
    out.append(std::string_view(text).substr(at, found - at));
    out.append(fresh);
    at = found + old.size();
  }
  out.append(std::string_view(text).substr(at));
  return out.finish();
}

constexpr std::array<std::pair<std::string_view, Method>, 35> kMethods{{
    {"capitalize", changed<capitalized>},
    {"casefold", changed<lower>},
    {"center", pad<Side::kBoth>},
    {"count", count},
    {"endswith", has_affix<true>},
    {"find", find<false, false>},
    {"format", format},
    {"format_map", format_map},
    {"index", find<false, true>},
    {"isalnum", all_are<is_alphanumeric>},
    {"isalpha", all_are<is_letter>},
    {"isascii", is_ascii},
    {"isdecimal", all_are<is_decimal>},
    {"isdigit", all_are<is_digit>},
    {"islower", has_case<false>},
    {"isnumeric", all_are<is_numeric>},
    {"isspace", all_are<is_space>},
    {"isupper", has_case<true>},
    {"join", join},
    {"ljust", pad<Side::kLeft>},
    {"lower", changed<lower>},
    {"lstrip", strip<true, false>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"replace", replace},
    {"rfind", find<true, false>},
    {"rindex", find<true, true>},
    {"rjust", pad<Side::kRight>},
    {"rstrip", strip<false, true>},
    {"startswith", has_affix<false>},
    {"strip", strip<true, true>},
    {"swapcase", changed<swapped_case>},
    {"title", changed<titled>},
    {"upper", changed<upper>},
    {"zfill", zfill},
}};

}  // namespace

Method find_text_method(std::string_view name) {
  const auto found =
      std::find_if(kMethods.begin(), kMethods.end(), [&](const auto& entry) { return entry.first == name; });
  return found == kMethods.end() ? find_text_split(name) : found->second;
}

}  // namespace finetune::jinja
