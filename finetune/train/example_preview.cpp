#include "finetune/train/example_preview.h"

#include <algorithm>
#include <limits>

#include "finetune/text/unicode.h"
#include "platform/dataset/render.h"

namespace finetune {
namespace {

namespace json = platform::json;
using Kind = PreviewPart::Kind;

constexpr std::size_t kShownSteps = 8;  // of a forecast

struct Colours {
  const char* taught;
  const char* control;
  const char* end;
};
constexpr Colours kColours{"\033[42;30m", "\033[36m", "\033[0m"};

std::string_view name_of(Kind kind) {
  return kind == Kind::kText ? "text" : kind == Kind::kControl ? "control" : "slot";
}

// Splits a run of tokens wherever kind or teaching changes; a character's bytes stay together.
class PartBuilder {
 public:
  explicit PartBuilder(const EncodingRules& rules) : rules_(rules) {}
  void add_token(std::int32_t id, bool taught) {
    const bool control = rules_.tokenizer->is_special(id);
    add(control ? Kind::kControl : Kind::kText, taught, rules_.tokenizer->token_bytes(id));
  }
  void add_slot(const SlotValue& slot) {
    const std::string& name = rules_.schema->fields.at(static_cast<std::size_t>(slot.field)).name;
    // A signal has many slots in a row, all of one field.
    if (!parts_.empty() && parts_.back().kind == Kind::kSlot && parts_.back().text == name) {
      ++parts_.back().tokens;
    } else {
      parts_.push_back({Kind::kSlot, false, name, 1});
    }
  }
  std::vector<PreviewPart> finish() {
    for (PreviewPart& part : parts_) part.text = repair_utf8(part.text);
    return std::move(parts_);
  }

 private:
  void add(Kind kind, bool taught, const std::string& bytes) {
    if (parts_.empty() || parts_.back().kind != kind || parts_.back().taught != taught)
      parts_.push_back({kind, taught, {}, 0});
    parts_.back().text += bytes;
    ++parts_.back().tokens;
  }

  const EncodingRules& rules_;
  std::vector<PreviewPart> parts_;
};

std::string plain(const std::optional<double>& value) {
  return value ? platform::text_of(json::value(*value)) : "not known";
}

// "1, 1.5, not known", the first steps of a long one.
std::string plain(const std::vector<std::optional<double>>& values) {
  std::string text;
  for (std::size_t i = 0; i < std::min(values.size(), kShownSteps); ++i)
    text += (i == 0 ? "" : ", ") + plain(values[i]);
  const std::size_t more = values.size() - std::min(values.size(), kShownSteps);
  return text + (more > 0 ? ", ... " + std::to_string(more) + " more" : "");
}

std::string target_of(Task task, const platform::Example& example) {
  if (has_one_label(task)) return "label " + example.label.value_or("");
  if (task == Task::kMultilabel)
    return "labels " + json::serialize(platform::to_json(example.labels.value_or(std::vector<std::string>())));
  if (task == Task::kForecast) return "values " + plain(example.values);
  if (task == Task::kRegress) return "value " + plain(example.value);
  return {};
}

// `whole`: the same without a limit of tokens.
PreviewText preview_text(const EncodingRules& rules, const EncodedExample& encoded, const EncodedExample& whole) {
  PreviewText preview;
  preview.tokens = static_cast<std::int64_t>(encoded.ids.size());
  preview.taught = rules.task == Task::kLanguageModel ? encoded.supervised() : 1;
  preview.lost = static_cast<std::int64_t>(whole.ids.size()) - preview.tokens;
  PartBuilder parts(rules);
  std::size_t slot = 0;
  for (std::size_t i = 0; i < encoded.ids.size(); ++i) {
    // The target of the token before is this token.
    const bool taught = rules.task == Task::kLanguageModel && i > 0 && encoded.targets[i - 1] >= 0;
    encoded.ids[i] < 0 ? parts.add_slot(encoded.slots.at(slot++)) : parts.add_token(encoded.ids[i], taught);
  }
  preview.parts = parts.finish();
  return preview;
}

// Line feeds stay; other control characters become the pictures that Unicode has for them.
void append_shown(std::string& out, char32_t c) {
  if (c == U'\n' || !is_control(c)) return append_utf8(out, c);
  if (c < 0x20) return append_utf8(out, 0x2400 + c);
  append_utf8(out, c == 0x7F ? U'\u2421' : U'\uFFFD');
}

std::string shown(std::string_view text) { return map_code_points(text, append_shown); }

std::string counted(std::int64_t count, const char* what) { return std::to_string(count) + " " + what; }

std::string counts_of(const PreviewText& preview, const std::string& target) {
  std::string text = counted(preview.tokens, "tokens") + ", " + counted(preview.taught, "taught");
  if (!target.empty()) text += " (" + shown(target) + ")";
  if (preview.lost > 0) text += ", " + counted(preview.lost, "cut from the beginning");
  return text;
}

std::string marked(const std::vector<PreviewPart>& parts, bool colour) {
  std::string text;
  bool open = false;
  const auto set_open = [&](bool taught) {
    if (taught == open) return;
    text += colour ? (taught ? kColours.taught : kColours.end) : (taught ? "\u27E6" : "\u27E7");
    open = taught;
  };
  for (const PreviewPart& part : parts) {
    set_open(part.taught);
    const bool dyed = colour && part.kind != Kind::kText && !part.taught;
    if (dyed) text += kColours.control;
    text += part.kind == Kind::kSlot ? "{" + shown(part.text) + "}" : shown(part.text);
    if (dyed) text += kColours.end;
  }
  set_open(false);
  return text;
}

json::object text_to_json(const PreviewText& preview) {
  json::array parts;
  for (const PreviewPart& part : preview.parts) {
    parts.push_back(json::object{
        {"kind", name_of(part.kind)}, {"text", part.text}, {"tokens", part.tokens}, {"taught", part.taught}});
  }
  return {{"tokens", preview.tokens},
          {"taught_tokens", preview.taught},
          {"lost_tokens", preview.lost},
          {"parts", std::move(parts)}};
}

}  // namespace

Task task_of(const platform::Example& example) {
  if (example.label) return Task::kClassify;
  if (example.labels) return Task::kMultilabel;
  if (!example.values.empty()) return Task::kForecast;
  return example.value ? Task::kRegress : Task::kLanguageModel;
}

ExamplePreview preview_example(const EncodingRules& rules, const platform::Example& example) {
  EncodingRules all = rules;
  all.max_tokens = std::numeric_limits<std::int32_t>::max();
  const EncodedExample encoded = encode_example(rules, example, true), whole = encode_example(all, example, true);
  ExamplePreview preview;
  static_cast<PreviewText&>(preview) = preview_text(rules, encoded, whole);
  preview.id = example.id;
  preview.split = platform::to_string(example.split);
  preview.target = target_of(rules.task, example);
  if (!encoded.rejected.empty()) preview.rejected = preview_text(rules, encoded.rejected[0], whole.rejected[0]);
  return preview;
}

std::string to_text(const ExamplePreview& preview, bool colour) {
  std::string text =
      "example " + (preview.id.empty() ? std::string("(no id)") : shown(preview.id)) + ", " + preview.split + ": ";
  if (preview.rejected) text += "chosen, ";
  text += counts_of(preview, preview.target) + "\n" + marked(preview.parts, colour) + "\n";
  if (!preview.rejected) return text;
  return text + "rejected, " + counts_of(*preview.rejected, {}) + "\n" + marked(preview.rejected->parts, colour) + "\n";
}

json::object to_json(const ExamplePreview& preview) {
  json::object out = text_to_json(preview);
  out["id"] = preview.id;
  out["split"] = preview.split;
  out["target"] = preview.target;
  if (preview.rejected) out["rejected"] = text_to_json(*preview.rejected);
  return out;
}

}  // namespace finetune
