#include "finetune/text/template/printing.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/object.h"

namespace finetune::jinja {
namespace {

std::string_view sequence_name(Sequence::Kind kind) {
  switch (kind) {
    case Sequence::Kind::kList: return "list";
    case Sequence::Kind::kTuple: return "tuple";
    case Sequence::Kind::kRange: return "range";
    case Sequence::Kind::kGenerator: return "generator";
    case Sequence::Kind::kView: return "dict_items";
  }
  return "list";
}

// Digits and the power of ten of the first one, without a sign.
std::string plain_float(std::string digits, int exponent) {
  if (exponent < -4 || exponent >= 16) {
    std::string text = digits.substr(0, 1);
    if (digits.size() > 1) text += "." + digits.substr(1);
    const std::string size = std::to_string(std::abs(exponent));
    return text + (exponent < 0 ? "e-" : "e+") + (size.size() < 2 ? "0" : "") + size;
  }
  if (exponent < 0) return "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return digits + std::string(whole - digits.size(), '0') + ".0";
  return digits.substr(0, whole) + "." + digits.substr(whole);
}

void append_escape(TextBuilder& out, char letter, char32_t code_point, int digits) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string text{'\\', letter};
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) text += kHex[(code_point >> shift) & 0xF];
  out.append(text);
}

void print_quoted(TextBuilder& out, const std::string& text) {
  const bool doubled = text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
  const char quote = doubled ? '"' : '\'';
  out.append(std::string_view(&quote, 1));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    if (c == static_cast<char32_t>(quote) || c == U'\\') {
      out.append("\\");
      out.append(std::string_view(text).substr(begin, at - begin));
    } else if (c == U'\n' || c == U'\r' || c == U'\t') {
      out.append(c == U'\n' ? "\\n" : c == U'\r' ? "\\r" : "\\t");
    } else if (is_printable(c)) {
      out.append(std::string_view(text).substr(begin, at - begin));
    } else if (c < 0x100) {
      append_escape(out, 'x', c, 2);
    } else {
      append_escape(out, c < 0x10000 ? 'u' : 'U', c, c < 0x10000 ? 4 : 8);
    }
  }
  out.append(std::string_view(&quote, 1));
}

void print_items(TextBuilder& out, Budget& budget, const Sequence& sequence) {
  const bool tuple = sequence.kind == Sequence::Kind::kTuple;
  out.append(tuple ? "(" : "[");
  for (std::size_t i = 0; i < sequence.items.size(); ++i) {
    if (i > 0) out.append(", ");
    print_repr(out, budget, sequence.items[i]);
  }
  out.append(tuple ? (sequence.items.size() == 1 ? ",)" : ")") : "]");
}

void print_sequence(TextBuilder& out, Budget& budget, const Sequence& sequence) {
  if (sequence.kind == Sequence::Kind::kGenerator) return out.append("<generator object " + sequence.label + ">");
  if (sequence.kind == Sequence::Kind::kRange) return out.append(sequence.label);
  if (sequence.kind != Sequence::Kind::kView) return print_items(out, budget, sequence);
  out.append(sequence.label + "(");
  print_items(out, budget, sequence);
  out.append(")");
}

void print_entries(TextBuilder& out, Budget& budget, const Dictionary& dictionary) {
  out.append("{");
  bool first = true;
  for (const auto& [key, value] : dictionary.entries) {
    if (!std::exchange(first, false)) out.append(", ");
    print_repr(out, budget, key);
    out.append(": ");
    print_repr(out, budget, value);
  }
  out.append("}");
}

}  // namespace

std::string_view type_name(const Value& value) {
  static constexpr std::array<std::string_view, 9> kNames{"Undefined", "NoneType", "bool", "int",   "float",
                                                          "str",       "list",     "dict", "object"};
  if (const Sequence* sequence = value.sequence()) return sequence_name(sequence->kind);
  if (const Object* object = value.object()) return object->type_name();
  return kNames[value.data.index()];
}

std::string undefined_reason(const Value& value) {
  const TextPointer& reason = std::get<Undefined>(value.data).reason;
  return reason ? reason->bytes : "a value is undefined";
}

std::string integer_text(Integer value) {
  __extension__ using Magnitude = unsigned __int128;
  Magnitude rest = value < 0 ? Magnitude{0} - static_cast<Magnitude>(value) : static_cast<Magnitude>(value);
  std::string digits;
  do {
    digits += static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  } while (rest != 0);
  if (value < 0) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  const std::string sign = std::signbit(value) ? "-" : "";
  if (std::isinf(value)) return sign + "inf";
  std::array<char, 64> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(value), std::chars_format::scientific).ptr;
  const std::string text(buffer.data(), end);
  const std::size_t mark = text.find('e');
  std::string digits = text.substr(0, mark);
  std::erase(digits, '.');
  return sign + plain_float(digits, std::stoi(text.substr(mark + 1)));
}

void print(TextBuilder& out, Budget& budget, const Value& value) {
  if (const auto* text = std::get_if<TextPointer>(&value.data)) return out.append(**text);
  if (!value.is_undefined()) print_repr(out, budget, value);
}

void print_repr(TextBuilder& out, Budget& budget, const Value& value) {
  budget.step();
  const DepthGuard guard(budget);
  if (value.is_undefined()) return out.append("Undefined");
  if (value.is_none()) return out.append("None");
  if (const auto* truth = std::get_if<bool>(&value.data)) return out.append(*truth ? "True" : "False");
  if (const auto number = value.integer()) return out.append(integer_text(*number));
  if (const auto number = value.number()) return out.append(float_text(*number));
  if (const std::string* text = value.text()) return print_quoted(out, *text);
  if (const Sequence* sequence = value.sequence()) return print_sequence(out, budget, *sequence);
  if (const Dictionary* dictionary = value.dictionary()) return print_entries(out, budget, *dictionary);
  out.append("<" + std::string(type_name(value)) + ">");
}

Value to_text(Budget& budget, const Value& value) {
  if (value.text()) return value;
  TextBuilder out(budget);
  print(out, budget, value);
  return out.finish();
}

}  // namespace finetune::jinja
