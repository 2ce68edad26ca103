#include "finetune/text/template/formatting.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/indexing.h"
#include "finetune/text/template/literals.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

struct Format {
  std::string fill = " ";
  char align = '\0';  // '<', '>', '^', or '=' for zeros behind the sign
  char sign = '-';
  bool grouped = false;
  std::size_t width = 0;
  std::optional<std::size_t> precision;
  char conversion = '\0';
};

std::size_t read_size(Budget& budget, std::string_view pattern, std::size_t& at) {
  std::size_t end = at;
  while (end < pattern.size() && pattern[end] >= '0' && pattern[end] <= '9') ++end;
  std::size_t value = 0;
  const auto read = std::from_chars(pattern.data() + at, pattern.data() + end, value);
  if (read.ec == std::errc::result_out_of_range) value = SIZE_MAX;
  at = end;
  budget.check_text(value);
  return value;
}

std::string fixed(double number, std::size_t precision, std::chars_format style) {
  std::string buffer(precision + 400, '\0');
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(number), style, static_cast<int>(precision))
          .ptr;
  buffer.resize(static_cast<std::size_t>(end - buffer.data()));
  return buffer;
}

void group_digits(std::string& digits) {
  const std::size_t whole = std::min(digits.find('.'), digits.size());
  for (std::size_t at = whole; at > 3; at -= 3) digits.insert(at - 3, ",");
}

std::string number_digits(Budget& budget, const Value& value, const Format& format) {
  const char kind = format.conversion;
  const auto whole = value.integer();
  if (kind == 'd' || kind == 'i' || kind == 'u' || (kind == '\0' && whole)) {
    if (!value.number()) budget.fail("%d format: a real number is required, not " + std::string(type_name(value)));
    if (!whole && std::abs(*value.number()) > 1e37) budget.fail_limit("a number needs more than the limit of 127 bits");
    std::string digits = integer_text(whole ? *whole : static_cast<Integer>(std::trunc(*value.number())));
    if (digits[0] == '-') digits.erase(0, 1);
    return digits;
  }
  if (!value.number()) budget.fail("must be real number, not " + std::string(type_name(value)));
  const double number = *value.number();
  if (!std::isfinite(number)) return std::isnan(number) ? "nan" : "inf";
  const std::size_t precision = format.precision.value_or(6);
  if (precision > 1000) budget.fail_limit("a number is written with at most 1000 digits");
  switch (kind) {
    case 'f':
    case 'F': return fixed(number, precision, std::chars_format::fixed);
    case 'e': return fixed(number, precision, std::chars_format::scientific);
    case 'g': return fixed(number, std::max<std::size_t>(precision, 1), std::chars_format::general);
    case '%': return fixed(number * 100, precision, std::chars_format::fixed) + "%";
    case '\0':
      return format.precision ? fixed(number, precision, std::chars_format::general) : float_text(std::abs(number));
    default: budget.fail(std::string("unsupported format character '") + kind + "'");
  }
}

void append_padded(TextBuilder& out, const std::string& sign, const std::string& body, const Format& format) {
  const std::size_t length = count_code_points(sign) + count_code_points(body);
  const std::size_t missing = format.width > length ? format.width - length : 0;
  const std::size_t before = format.align == '<' ? 0 : format.align == '^' ? missing / 2 : missing;
  if (format.align == '=') out.append(sign);
  out.append(format.fill, before);
  if (format.align != '=') out.append(sign);
  out.append(body);
  out.append(format.fill, missing - before);
}

bool is_number_format(const Value& value, char conversion) {
  if (conversion == '\0') return value.number() && !std::holds_alternative<bool>(value.data);
  return std::string_view("dieuEfFgG%").find(conversion) != std::string_view::npos;
}

void append_formatted(TextBuilder& out, Budget& budget, const Value& value, Format format) {
  if (is_number_format(value, format.conversion)) {
    std::string digits = number_digits(budget, value, format);
    if (format.grouped) group_digits(digits);
    const bool negative = value.number().value_or(0) < 0;
    const std::string sign = negative ? "-" : format.sign == '-' ? "" : std::string(1, format.sign);
    if (format.align == '\0') format.align = '>';
    return append_padded(out, sign, digits, format);
  }
  TextBuilder text(budget);
  if (format.conversion == 'r') {
    print_repr(text, budget, value);
  } else if (format.conversion == 's' || format.conversion == '\0') {
    print(text, budget, value);
  } else {
    budget.fail(std::string("unsupported format character '") + format.conversion + "'");
  }
  std::string body = text.bytes();
  if (format.precision && *format.precision < count_code_points(body)) {
    body.resize(counted_offsets(budget, body)[*format.precision]);
  }
  if (format.align == '\0' || format.align == '=') format.align = '<';
  append_padded(out, "", body, format);
}

// The flags, width, precision and conversion behind a '%'.
Format percent_specification(Budget& budget, const std::string& pattern, std::size_t& at) {
  Format format;
  format.align = '>';
  for (; at < pattern.size() && std::string_view("-+ 0#").find(pattern[at]) != std::string_view::npos; ++at) {
    if (pattern[at] == '-') format.align = '<';
    if (pattern[at] == '+' || pattern[at] == ' ') format.sign = pattern[at];
    if (pattern[at] == '0' && format.align != '<') {
      format.align = '=';
      format.fill = "0";
    }
  }
  format.width = read_size(budget, pattern, at);
  if (at < pattern.size() && pattern[at] == '.') format.precision = read_size(budget, pattern, ++at);
  if (at >= pattern.size()) budget.fail("incomplete format");
  format.conversion = pattern[at++];
  if (format.conversion == 's' && format.align == '=')
    format = {" ", '>', '-', false, format.width, format.precision, 's'};
  return format;
}

Format brace_specification(Budget& budget, std::string_view text) {
  Format format;
  std::size_t at = 0;
  static constexpr std::string_view kAligns = "<>=^";
  std::size_t next = 0;
  if (!text.empty()) next_code_point(text, next);
  if (next < text.size() && kAligns.find(text[next]) != std::string_view::npos) {
    format.fill = std::string(text.substr(0, next));
    format.align = text[next];
    at = next + 1;
  } else if (!text.empty() && kAligns.find(text[0]) != std::string_view::npos) {
    format.align = text[at++];
  }
  if (at < text.size() && std::string_view("+- ").find(text[at]) != std::string_view::npos) format.sign = text[at++];
  if (at < text.size() && text[at] == '0' && format.align == '\0') {
    format.fill = "0";
    format.align = '=';
  }
  format.width = read_size(budget, text, at);
  if (at < text.size() && text[at] == ',') format.grouped = ++at > 0;
  if (at < text.size() && text[at] == '.') format.precision = read_size(budget, text, ++at);
  if (at < text.size()) format.conversion = text[at++];
  if (at != text.size()) budget.fail("Invalid format specifier '" + std::string(text) + "'");
  return format;
}

const Value& field_value(Budget& budget, std::string_view name, const Arguments& arguments, std::size_t& automatic) {
  budget.step(1 + arguments.named.size() / 4);
  if (name.find_first_of(".[") != std::string_view::npos) {
    budget.fail("format() does not reach into its arguments: {" + std::string(name) + "}; pass the value itself");
  }
  const auto number = name.empty() ? std::optional<Integer>(automatic++) : parse_integer(name, 10);
  if (number) {
    if (*number < 0 || *number >= static_cast<Integer>(arguments.positional.size())) {
      budget.fail("Replacement index " + integer_text(*number) + " out of range for positional args tuple");
    }
    return arguments.positional[static_cast<std::size_t>(*number)];
  }
  const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                  [&](const auto& argument) { return argument.first == name; });
  if (found == arguments.named.end()) budget.fail("format() misses its argument '" + std::string(name) + "'");
  return found->second;
}

}  // namespace

Value percent_format(Budget& budget, const std::string& pattern, const Value& values) {
  const Sequence* tuple = values.sequence();
  if (tuple && tuple->kind != Sequence::Kind::kTuple) tuple = nullptr;
  const std::size_t count = tuple ? tuple->items.size() : 1;
  std::size_t used = 0;
  TextBuilder out(budget);
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t sign = std::min(pattern.find('%', at), pattern.size());
    out.append(std::string_view(pattern).substr(at, sign - at));
    at = sign + 1;
    if (sign == pattern.size()) break;
    if (at < pattern.size() && pattern[at] == '%') {
      out.append("%");
      ++at;
      continue;
    }
    if (at < pattern.size() && pattern[at] == '(') budget.fail("%(name) formats are not supported; use format()");
    const Format format = percent_specification(budget, pattern, at);
    if (used >= count) budget.fail("not enough arguments for format string");
    const Value value = tuple ? tuple->items[used] : values;
    ++used;
    append_formatted(out, budget, value, format);
  }
  const bool may_stay = values.dictionary() || (values.sequence() && !tuple);
  if (used < count && !may_stay) budget.fail("not all arguments converted during string formatting");
  return out.finish();
}

Value brace_format(Budget& budget, const std::string& pattern, const Arguments& arguments) {
  TextBuilder out(budget);
  std::size_t automatic = 0;
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t brace = std::min(pattern.find_first_of("{}", at), pattern.size());
    out.append(std::string_view(pattern).substr(at, brace - at));
    if (brace == pattern.size()) break;
    at = brace + 1;
    if (at < pattern.size() && pattern[at] == pattern[brace]) {
      out.append(std::string_view(pattern).substr(at++, 1));
      continue;
    }
    const std::size_t close = pattern.find('}', at);
    if (pattern[brace] == '}') budget.fail("Single '}' encountered in format string");
    if (close == std::string::npos) budget.fail("expected '}' before end of string");
    const std::string_view field = std::string_view(pattern).substr(at, close - at);
    const std::size_t colon = std::min(field.find(':'), field.size());
    const std::size_t mark = std::min(field.substr(0, colon).find('!'), colon);
    const Value& value = field_value(budget, field.substr(0, mark), arguments, automatic);
    Format format = brace_specification(budget, field.substr(std::min(colon + 1, field.size())));
    if (field.substr(mark, colon - mark) == "!r") format.conversion = 'r';
    append_formatted(out, budget, value, format);
    at = close + 1;
  }
  return out.finish();
}

}  // namespace finetune::jinja
