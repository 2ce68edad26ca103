#include "finetune/text/normalizer.h"

#include "finetune/text/bert_normalizer.h"
#include "finetune/text/byte_level.h"
#include "finetune/text/character_map.h"
#include "finetune/text/component.h"
#include "finetune/text/replacement.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

namespace json = platform::json;
using Step = std::function<std::string(std::string_view)>;

constexpr const char* kComponent = "normalizer";

template <NormalForm form>
Step normal_form(const json::object&) {
  return [](std::string_view text) { return normalized(text, form); };
}

void append_nmt(std::string& text, char32_t c) {
  const auto within = [c](char32_t low, char32_t high) { return c >= low && c <= high; };
  if (within(0x01, 0x08) || c == 0x0B || within(0x0E, 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) return;
  const bool blank = within(0x09, 0x0D) || c == 0x1680 || within(0x200B, 0x200F) || c == 0x2028 || c == 0x2029 ||
                     c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
  append_utf8(text, blank ? U' ' : c);
}

Step nmt(const json::object&) {
  return [](std::string_view text) { return map_code_points(text, append_nmt); };
}

Step strip_accents(const json::object&) {
  const auto append = [](std::string& text, char32_t c) {
    if (!is_mark(c)) append_utf8(text, c);
  };
  return [append](std::string_view text) { return map_code_points(text, append); };
}

Step strip(const json::object& object) {
  return [left = platform::bool_or(object, "strip_left", true, kComponent),
          right = platform::bool_or(object, "strip_right", true, kComponent)](std::string_view text) {
    return std::string(strip_space(text, left, right));
  };
}

Step prepend(const json::object& object) {
  return [before = platform::require_string(object, "prepend", kComponent)](std::string_view text) {
    return text.empty() ? std::string() : before + std::string(text);
  };
}

Step precompiled(const json::object& object) {
  // Shared, because copies of a step use one table.
  const auto map =
      std::make_shared<const CharacterMap>(platform::require_string(object, "precompiled_charsmap", kComponent));
  return [map](std::string_view text) { return map->apply(text); };
}

Step replace(const json::object& object) {
  return [replacement = Replacement(object, kComponent)](std::string_view text) { return replacement.apply(text); };
}

Step bert(const json::object& object) {
  return [normalizer = BertNormalizer(object)](std::string_view text) { return normalizer.apply(text); };
}

Step lowercase(const json::object&) { return lowercased; }

Step byte_level(const json::object&) { return to_byte_alphabet; }

struct Kind {
  std::string_view type;
  Step (*make)(const json::object&);
};

constexpr Kind kKinds[] = {
    {"BertNormalizer", bert},
    {"ByteLevel", byte_level},
    {"Lowercase", lowercase},
    {"NFC", normal_form<NormalForm::kNfc>},
    {"NFD", normal_form<NormalForm::kNfd>},
    {"NFKC", normal_form<NormalForm::kNfkc>},
    {"NFKD", normal_form<NormalForm::kNfkd>},
    {"Nmt", nmt},
    {"Precompiled", precompiled},
    {"Prepend", prepend},
    {"Replace", replace},
    {"Strip", strip},
    {"StripAccents", strip_accents},
};

}  // namespace

Normalizer::Normalizer(const json::value& value) {
  for (const json::object* object : components_of(value, kComponent, "normalizers"))
    steps_.push_back(kind_of(kKinds, *object, kComponent).make(*object));
}

std::string Normalizer::apply(std::string_view text) const {
  std::string result(text);
  for (const Step& step : steps_) {
    result = step(result);
    if (result.size() > text_limit(text.size()))
      throw platform::Error(platform::ErrorCode::kTooLarge,
                            "tokenizer.json: the normalizer makes " + std::to_string(result.size()) + " bytes of " +
                                std::to_string(text.size()) + "; take out its steps that lengthen a text");
  }
  return result;
}

}  // namespace finetune
