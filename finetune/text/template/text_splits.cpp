// The methods of texts that cut them into pieces.
#include <algorithm>
#include <array>

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/methods.h"

namespace finetune::jinja {
namespace {

using Pieces = std::vector<std::string_view>;

// At runs of white space; the ends give no pieces. `limit` below 0 is none.
Pieces words(std::string_view text, std::int64_t limit) {
  Pieces pieces;
  text = stripped(text, true, false);
  while (!text.empty()) {
    if (limit-- == 0) {
      pieces.push_back(stripped(text, false, true));
      break;
    }
    std::size_t end = 0;
    while (end < text.size()) {
      std::size_t next = end;
      if (is_space(next_code_point(text, next))) break;
      end = next;
    }
    pieces.push_back(text.substr(0, end));
    text = stripped(text.substr(end), true, false);
  }
  return pieces;
}

// The same from the right.
Pieces words_from_right(std::string_view text, std::int64_t limit) {
  if (limit < 0) return words(text, limit);
  Pieces all = words(text, -1);
  if (static_cast<std::int64_t>(all.size()) <= limit) return all;
  const std::size_t first = all.size() - static_cast<std::size_t>(limit);
  text = stripped(text, true, true);
  const char* end = all[first - 1].data() + all[first - 1].size();
  Pieces pieces{text.substr(0, static_cast<std::size_t>(end - text.data()))};
  pieces.insert(pieces.end(), all.begin() + static_cast<std::ptrdiff_t>(first), all.end());
  return pieces;
}

Pieces split_at(Budget& budget, std::string_view text, std::string_view separator, std::int64_t limit) {
  Pieces pieces;
  std::size_t at = 0;
  for (; limit != 0; --limit) {
    const std::size_t found = find_text(text, separator, at);
    if (found == std::string_view::npos) break;
    budget.step();
    pieces.push_back(text.substr(at, found - at));
    at = found + separator.size();
  }
  pieces.push_back(text.substr(at));
  return pieces;
}

Pieces split_at_right(Budget& budget, std::string_view text, std::string_view separator, std::int64_t limit) {
  Pieces pieces;
  budget.step((text.size() / 64 + 1) * (separator.size() / 64 + 1));
  for (; limit != 0; --limit) {
    const std::size_t found = text.rfind(separator);
    if (found == std::string_view::npos) break;
    budget.step();
    pieces.push_back(text.substr(found + separator.size()));
    text = text.substr(0, found);
  }
  pieces.push_back(text);
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

Value list_of(Budget& budget, const Pieces& pieces, Sequence::Kind kind = Sequence::Kind::kList) {
  ListBuilder items(budget);
  for (const std::string_view piece : pieces) items.push(make_text(budget, std::string(piece)));
  return items.finish(kind);
}

template <bool kRight>
Value split(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, kRight ? "rsplit" : "split", arguments);
  const auto separator = reader.optional_text("sep");
  const std::int64_t limit = reader.integer_or("maxsplit", -1);
  reader.finish();
  const std::string& text = *self.text();
  const Reservation room = room_for_pieces(budget, text);
  if (!separator) return list_of(budget, kRight ? words_from_right(text, limit) : words(text, limit));
  if (separator->empty()) budget.fail("empty separator");
  return list_of(budget,
                 kRight ? split_at_right(budget, text, *separator, limit) : split_at(budget, text, *separator, limit));
}

template <bool kRight>
Value partition(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, kRight ? "rpartition" : "partition", arguments);
  const std::string separator = reader.text("sep");
  reader.finish();
  if (separator.empty()) budget.fail("empty separator");
  const std::string& text = *self.text();
  const Pieces pieces = kRight ? split_at_right(budget, text, separator, 1) : split_at(budget, text, separator, 1);
  const bool found = pieces.size() == 2;
  if (found) return list_of(budget, {pieces[0], separator, pieces[1]}, Sequence::Kind::kTuple);
  return list_of(budget, kRight ? Pieces{"", "", text} : Pieces{text, "", ""}, Sequence::Kind::kTuple);
}

Value splitlines(Interpreter& interpreter, const Value& self, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "splitlines", arguments);
  const bool keep_ends = reader.flag_or("keepends", false);
  reader.finish();
  const Reservation room = room_for_pieces(budget, *self.text());
  return list_of(budget, split_lines(*self.text(), keep_ends));
}

}  // namespace

Reservation room_for_pieces(Budget& budget, std::string_view text) {
  budget.step_characters(text.size());
  return Reservation(budget, text.size() * sizeof(std::string_view) / 2);
}

Method find_text_split(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, Method>, 5> kMethods{{
      {"partition", partition<false>},
      {"rpartition", partition<true>},
      {"rsplit", split<true>},
      {"split", split<false>},
      {"splitlines", splitlines},
  }};
  const auto found =
      std::find_if(kMethods.begin(), kMethods.end(), [&](const auto& entry) { return entry.first == name; });
  return found == kMethods.end() ? nullptr : found->second;
}

}  // namespace finetune::jinja
