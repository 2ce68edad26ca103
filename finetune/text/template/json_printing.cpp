// json.dumps: the half of printing.h that writes JSON.
#include <algorithm>
#include <array>
#include <cmath>

#include "finetune/text/template/code_points.h"
#include "finetune/text/template/comparison.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

class JsonPrinter {
 public:
  JsonPrinter(TextBuilder& out, Budget& budget, const JsonStyle& style) : out_(out), budget_(budget), style_(style) {}

  void value(const Value& value) {
    budget_.step();
    const DepthGuard guard(budget_);
    if (value.is_none()) return out_.append("null");
    if (const auto* truth = std::get_if<bool>(&value.data)) return out_.append(*truth ? "true" : "false");
    if (const auto number = value.integer()) return out_.append(integer_text(*number));
    if (const auto number = value.number()) return out_.append(number_text(*number));
    if (const std::string* text = value.text()) return quoted(*text);
    const Sequence* sequence = value.sequence();
    if (sequence && sequence->kind <= Sequence::Kind::kTuple) return array(*sequence);
    if (const Dictionary* dictionary = value.dictionary()) return object(*dictionary);
    budget_.fail("Object of type " + std::string(type_name(value)) + " is not JSON serializable");
  }

 private:
  static std::string number_text(double number) {
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
    return float_text(number);
  }

  void new_line() {
    if (!style_.indent) return;
    out_.append("\n");
    out_.append(*style_.indent, level_);
  }

  void array(const Sequence& sequence) {
    if (sequence.items.empty()) return out_.append("[]");
    out_.append("[");
    ++level_;
    bool first = true;
    for (const Value& item : sequence.items) {
      if (!std::exchange(first, false)) out_.append(style_.item_separator);
      new_line();
      value(item);
    }
    --level_;
    new_line();
    out_.append("]");
  }

  void object(const Dictionary& dictionary) {
    if (dictionary.entries.empty()) return out_.append("{}");
    out_.append("{");
    ++level_;
    bool first = true;
    for (const auto* entry : in_order(dictionary)) {
      if (!std::exchange(first, false)) out_.append(style_.item_separator);
      new_line();
      key(entry->first);
      out_.append(style_.key_separator);
      value(entry->second);
    }
    --level_;
    new_line();
    out_.append("}");
  }

  std::vector<const std::pair<Value, Value>*> in_order(const Dictionary& dictionary) {
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dictionary.entries) entries.push_back(&entry);
    if (!style_.sort_keys) return entries;
    for (const auto* entry : entries) order(budget_, entries.front()->first, entry->first, "<");
    std::stable_sort(entries.begin(), entries.end(),
                     [&](const auto* a, const auto* b) { return order(budget_, a->first, b->first, "<") < 0; });
    return entries;
  }

  void key(const Value& key) {
    if (key.text()) return value(key);
    if (key.sequence() || key.object() || key.is_undefined()) {
      budget_.fail("keys must be str, int, float, bool or None, not " + std::string(type_name(key)));
    }
    out_.append("\"");
    value(key);
    out_.append("\"");
  }

  void quoted(const std::string& text) {
    out_.append("\"");
    std::size_t kept = 0;  // everything before it is written
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      const char32_t c = next_code_point(text, at);
      if (c >= 0x20 && c != U'"' && c != U'\\' && (c < 0x7F || !style_.ascii)) continue;
      out_.append(std::string_view(text).substr(kept, begin - kept));
      escape(c);
      kept = at;
    }
    out_.append(std::string_view(text).substr(kept));
    out_.append("\"");
  }

  void escape(char32_t c) {
    static constexpr std::string_view kLetters = "\"\\\b\f\n\r\t";
    static constexpr std::array<std::string_view, 7> kEscapes{"\\\"", "\\\\", "\\b", "\\f", "\\n", "\\r", "\\t"};
    const std::size_t found = c < 0x80 ? kLetters.find(static_cast<char>(c)) : std::string_view::npos;
    if (found != std::string_view::npos) return out_.append(kEscapes[found]);
    if (c == 0x7F) return out_.append("\x7F");
    if (c < 0x10000) return unit(c);
    unit(0xD800 + ((c - 0x10000) >> 10));
    unit(0xDC00 + ((c - 0x10000) & 0x3FF));
  }

  void unit(char32_t c) {
    static constexpr std::string_view kHex = "0123456789abcdef";
    std::string text = "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) text += kHex[(c >> shift) & 0xF];
    out_.append(text);
  }

  TextBuilder& out_;
  Budget& budget_;
  const JsonStyle& style_;
  std::size_t level_ = 0;
};

}  // namespace

void print_json(TextBuilder& out, Budget& budget, const Value& value, const JsonStyle& style) {
  JsonPrinter(out, budget, style).value(value);
}

}  // namespace finetune::jinja
