#include "finetune/text/normalizer.h"

#include "finetune/text/bert_normalizer.h"
#include "finetune/text/byte_level.h"
#include "finetune/text/character_map.h"
#include "finetune/text/component.h"
#include "finetune/text/normal_form.h"
#include "finetune/text/replacement.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

namespace json = platform::json;
using Steps = std::vector<RewriteStep>;

constexpr const char* kComponent = "normalizer";

template <NormalForm form>
Steps normal_form(const json::object&) {
  return {normal_form_step(form)};
}

void append_nmt(std::string& text, char32_t c) {
  const auto within = [c](char32_t low, char32_t high) { return c >= low && c <= high; };
  if (within(0x01, 0x08) || c == 0x0B || within(0x0E, 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) return;
  const bool blank = within(0x09, 0x0D) || c == 0x1680 || within(0x200B, 0x200F) || c == 0x2028 || c == 0x2029 ||
                     c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
  append_utf8(text, blank ? U' ' : c);
}

Steps nmt(const json::object&) { return {map_step(append_nmt)}; }

void append_unless_mark(std::string& text, char32_t c) {
  if (!is_mark(c)) append_utf8(text, c);
}

Steps strip_accents(const json::object&) { return {map_step(append_unless_mark)}; }

Steps strip(const json::object& object) {
  return {[left = platform::bool_or(object, "strip_left", true, kComponent),
           right = platform::bool_or(object, "strip_right", true, kComponent)](std::string_view text,
                                                                               TextRewriter& rewriter) {
    const std::string_view kept = strip_space(text, left, right);
    const auto begin = static_cast<std::size_t>(kept.data() - text.data());
    rewriter.keep(begin, begin + kept.size());
  }};
}

Steps prepend(const json::object& object) {
  return {[before = platform::require_string(object, "prepend", kComponent)](std::string_view text,
                                                                             TextRewriter& rewriter) {
    if (!text.empty()) rewriter.put_before(before);
    rewriter.keep(0, text.size());
  }};
}

Steps precompiled(const json::object& object) {
  // Shared, because copies of a step use one table.
  const auto map =
      std::make_shared<const CharacterMap>(platform::require_string(object, "precompiled_charsmap", kComponent));
  return {[map](std::string_view text, TextRewriter& rewriter) { map->apply(text, rewriter); }};
}

Steps replace(const json::object& object) {
  return {[replacement = Replacement(object, kComponent)](std::string_view text, TextRewriter& rewriter) {
    replacement.apply(text, rewriter);
  }};
}

Steps lowercase(const json::object&) { return {map_step(append_lowercased)}; }

Steps byte_level(const json::object&) { return {spell_bytes}; }

struct Kind {
  std::string_view type;
  Steps (*make)(const json::object&);
};

constexpr Kind kKinds[] = {
    {"BertNormalizer", bert_steps},
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
  for (const json::object* object : components_of(value, kComponent, "normalizers")) {
    for (RewriteStep& step : kind_of(kKinds, *object, kComponent).make(*object)) steps_.push_back(std::move(step));
  }
}

std::string Normalizer::apply(std::string_view text) const {
  std::string result(text);
  run(result, nullptr);
  return result;
}

void Normalizer::apply(std::string& text, Origins& origins) const { run(text, &origins); }

void Normalizer::run(std::string& text, Origins* origins) const {
  const std::size_t given = text.size();
  for (const RewriteStep& step : steps_) {
    TextRewriter rewriter({text, origins != nullptr ? origins->data() : nullptr});
    step(text, rewriter);
    std::string changed = rewriter.take_text();
    if (origins != nullptr) *origins = rewriter.take_origins();
    text = std::move(changed);
    if (text.size() > text_limit(given))
      throw platform::Error(platform::ErrorCode::kTooLarge,
                            "tokenizer.json: the normalizer makes " + std::to_string(text.size()) + " bytes of " +
                                std::to_string(given) + "; take out its steps that lengthen a text");
  }
}

}  // namespace finetune
