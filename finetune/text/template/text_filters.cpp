// Filters on texts and numbers.
#include <array>
#include <charconv>
#include <cmath>

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/comparison.h"
#include "finetune/text/template/filters.h"
#include "finetune/text/template/formatting.h"
#include "finetune/text/template/indexing.h"
#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/literals.h"
#include "finetune/text/template/methods.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

// The method of the same name on the value as text.
template <const char* kName>
Value text_method(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  return find_text_method(kName)(interpreter, to_text(interpreter.budget(), value), arguments);
}
constexpr char kCapitalize[] = "capitalize", kLower[] = "lower", kReplace[] = "replace", kStrip[] = "strip",
               kUpper[] = "upper", kCenter[] = "center";

Value absolute(Interpreter& interpreter, const Value& value, Arguments&) {
  Budget& budget = interpreter.budget();
  if (const auto number = value.integer()) return integer(*number < 0 ? -*number : *number);
  if (const auto number = value.number()) return real(std::abs(*number));
  if (value.is_undefined()) budget.fail(undefined_reason(value));
  budget.fail("bad operand type for abs(): '" + std::string(type_name(value)) + "'");
}

Value center(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  if (arguments.positional.empty() && arguments.named.empty()) arguments.positional.push_back(integer(80));
  return text_method<kCenter>(interpreter, value, arguments);
}

Value default_value(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  ArgumentReader reader(interpreter.budget(), "default", arguments);
  const auto fallback = reader.optional("default_value");
  const bool falsy_too = reader.flag_or("boolean", false);
  reader.finish();
  const bool keep = !value.is_undefined() && !(falsy_too && !truthy(value));
  return keep ? value : fallback.value_or(literal_text(""));
}

Value escape(Interpreter& interpreter, const Value& value, Arguments&) {
  const Value text = to_text(interpreter.budget(), value);
  TextBuilder out(interpreter.budget());
  for (const char& c : *text.text()) {
    switch (c) {
      case '&': out.append("&amp;"); break;
      case '<': out.append("&lt;"); break;
      case '>': out.append("&gt;"); break;
      case '\'': out.append("&#39;"); break;
      case '"': out.append("&#34;"); break;
      default: out.append(std::string_view(&c, 1));
    }
  }
  return out.finish();
}

Value format(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  if (!arguments.named.empty()) budget.fail("format takes its arguments by position here");
  const Value tuple = make_sequence(budget, std::move(arguments.positional), Sequence::Kind::kTuple);
  return percent_format(budget, *to_text(budget, value).text(), tuple);
}

Value indent(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "indent", arguments);
  const Value width = reader.optional("width").value_or(integer(4));
  const bool first = reader.flag_or("first", false);
  const bool blank = reader.flag_or("blank", false);
  reader.finish();
  TextBuilder step(budget);
  if (width.text()) step.append(*width.text());
  if (width.integer()) step.append(" ", static_cast<std::size_t>(std::max<std::int64_t>(clamped(*width.integer()), 0)));
  TextBuilder out(budget);
  const std::string text = *to_text(budget, value).text() + "\n";
  const Reservation room = room_for_pieces(budget, text);
  bool begun = false;
  for (const std::string_view line : split_lines(text, false)) {
    if (begun) out.append("\n");
    if (begun ? blank || !line.empty() : first) out.append(step.bytes());
    out.append(line);
    begun = true;
  }
  return out.finish();
}

Value to_float(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  ArgumentReader reader(interpreter.budget(), "float", arguments);
  const Value fallback = reader.optional("default").value_or(real(0));
  reader.finish();
  if (const auto number = value.number()) return real(*number);
  if (value.text()) interpreter.budget().step_characters(value.text()->size());
  const auto parsed = value.text() ? parse_float(*value.text()) : std::nullopt;
  return parsed ? real(*parsed) : fallback;
}

Value to_integer(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  ArgumentReader reader(interpreter.budget(), "int", arguments);
  const Value fallback = reader.optional("default").value_or(integer(0));
  const std::int64_t base = reader.integer_or("base", 10);
  reader.finish();
  if (const auto number = value.integer()) return integer(*number);
  auto number = value.number();
  if (const std::string* text = value.text()) {
    interpreter.budget().step_characters(text->size());
    if (base < 0 || base > 36 || base == 1) return fallback;
    if (const auto parsed = parse_integer(*text, static_cast<int>(base))) return integer(*parsed);
    number = parse_float(*text);
  }
  if (!number || !std::isfinite(*number)) return fallback;
  if (std::abs(*number) > 1e38) interpreter.budget().fail_limit("an integer needs more than the limit of 127 bits");
  return integer(static_cast<Integer>(*number));
}

Value round(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "round", arguments);
  const std::int64_t precision = reader.integer_or("precision", 0);
  const std::string method = reader.optional_text("method").value_or("common");
  reader.finish();
  const auto number = value.number();
  if (!number) budget.fail("type " + std::string(type_name(value)) + " cannot be rounded");
  if (std::abs(precision) > 300) budget.fail_limit("round() keeps at most 300 digits");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return real(std::ceil(*number * scale) / scale);
  if (method == "floor") return real(std::floor(*number * scale) / scale);
  if (method != "common") budget.fail("method must be common, ceil or floor");
  if (precision >= 0 && value.integer()) return integer(*value.integer());
  if (precision < 0 || !std::isfinite(*number)) return real(std::nearbyint(*number * scale) / scale);
  std::array<char, 1024> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), *number, std::chars_format::fixed,
                                 static_cast<int>(precision))
                       .ptr;
  return real(parse_float({buffer.data(), static_cast<std::size_t>(end - buffer.data())}).value_or(*number));
}

Value to_string(Interpreter& interpreter, const Value& value, Arguments&) {
  return to_text(interpreter.budget(), value);
}

bool starts_word(char32_t c) { return is_space(c) || c == U'-' || c == U'(' || c == U'{' || c == U'[' || c == U'<'; }

Value title(Interpreter& interpreter, const Value& value, Arguments&) {
  const Value held = to_text(interpreter.budget(), value);
  const std::string& text = *held.text();
  interpreter.budget().step_characters(text.size());
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    std::size_t next = at;
    const bool separators = starts_word(next_code_point(text, next));
    while (end < text.size()) {
      next = end;
      if (starts_word(next_code_point(text, next)) != separators) break;
      end = next;
    }
    const std::string_view word = std::string_view(text).substr(at, end - at);
    out += separators ? std::string(word) : capitalized(word);
    at = end;
  }
  return make_text(interpreter.budget(), std::move(out));
}

Value to_json(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "tojson", arguments);
  JsonStyle style;
  style.ascii = reader.flag_or("ensure_ascii", false);
  const Value indent = reader.optional("indent").value_or(none());
  const Value separators = reader.optional("separators").value_or(none());
  style.sort_keys = reader.flag_or("sort_keys", false);
  reader.finish();
  if (indent.text()) {
    budget.step_bytes(indent.text()->size());
    style.indent = *indent.text();
  }
  if (const auto width = indent.integer()) {
    const auto spaces = static_cast<std::size_t>(std::max<std::int64_t>(clamped(*width), 0));
    budget.check_text(spaces);
    style.indent = std::string(spaces, ' ');
  }
  if (style.indent) style.item_separator = ",";
  if (!separators.is_none()) {
    const std::vector<Value> pair = interpreter.items_of(separators);
    if (pair.size() != 2 || !pair[0].text() || !pair[1].text()) budget.fail("tojson: separators must be two texts");
    style.item_separator = *pair[0].text();
    style.key_separator = *pair[1].text();
  }
  TextBuilder out(budget);
  print_json(out, budget, value, style);
  return out.finish();
}

Value truncate(Interpreter& interpreter, const Value& value, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "truncate", arguments);
  const std::int64_t length = reader.integer_or("length", 255);
  const bool kill_words = reader.flag_or("killwords", false);
  const std::string end = reader.optional_text("end").value_or("...");
  const std::int64_t leeway = reader.integer_or("leeway", 5);
  reader.finish();
  const Value held = to_text(budget, value);
  const std::string& text = *held.text();
  const std::vector<std::size_t> offsets = counted_offsets(budget, text);
  const auto tail = static_cast<std::int64_t>(count_code_points(end));
  if (length < tail || leeway < 0) budget.fail("truncate: expected length >= " + std::to_string(tail));
  const auto size = static_cast<std::int64_t>(offsets.size()) - 1;
  if (size - leeway <= length) return held;
  std::string cut = text.substr(0, offsets[static_cast<std::size_t>(std::min(length - tail, size))]);
  if (!kill_words) cut = cut.substr(0, cut.rfind(' '));
  return make_text(budget, cut + end);
}

Value wordcount(Interpreter& interpreter, const Value& value, Arguments&) {
  const Value held = to_text(interpreter.budget(), value);
  interpreter.budget().step_characters(held.text()->size());
  std::int64_t words = 0;
  bool inside = false;
  for (std::size_t at = 0; at < held.text()->size();) {
    const bool letter = is_word_character(next_code_point(*held.text(), at));
    words += letter && !inside;
    inside = letter;
  }
  return integer(words);
}

}  // namespace

std::span<const Filter> text_filters() {
  static constexpr std::array<Filter, 23> kFilters{{
      {"abs", absolute},
      {"capitalize", text_method<kCapitalize>},
      {"center", center},
      {"d", default_value},
      {"default", default_value},
      {"e", escape},
      {"escape", escape},
      {"float", to_float},
      {"forceescape", escape},
      {"format", format},
      {"indent", indent},
      {"int", to_integer},
      {"lower", text_method<kLower>},
      {"replace", text_method<kReplace>},
      {"round", round},
      {"safe", to_string},
      {"string", to_string},
      {"title", title},
      {"tojson", to_json},
      {"trim", text_method<kStrip>},
      {"truncate", truncate},
      {"upper", text_method<kUpper>},
      {"wordcount", wordcount},
  }};
  return kFilters;
}

}  // namespace finetune::jinja
