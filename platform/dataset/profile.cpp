#include "platform/dataset/profile.h"

#include <algorithm>

#include "platform/dataset/example.h"

namespace platform {
namespace {

std::string title_of(const Field& field) {
  if (!field.title.empty()) return field.title;
  std::string words = field.name;
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

std::string slot_of(const Field& field) {
  if (field.kind == FieldKind::kText) return "{{ " + field.name + " }}";
  return "{{ " + std::string(to_string(field.kind)) + ":" + field.name + " }}";
}

bool holds_target(const Profile& profile, const Field& field) {
  return field.name == profile.target.field && !profile.target.remaining_life;
}

std::string slots_of_kind(const Profile& profile, FieldKind kind) {
  std::string out;
  for (const Field& field : profile.fields) {
    if (field.kind == kind && !holds_target(profile, field)) out += slot_of(field);
  }
  return out;
}

// Long tables read as slots alone, short ones as words with units: a name costs several tokens in every example.
std::string automatic_prompt(const Profile& profile) {
  constexpr std::size_t kNamedSlots = 12;
  std::size_t slots = 0;
  for (const Field& field : profile.fields)
    slots += field.kind != FieldKind::kIgnore && field.kind != FieldKind::kText ? 1 : 0;
  std::string out;
  for (const Field& field : profile.fields) {
    if (field.kind == FieldKind::kIgnore || holds_target(profile, field)) continue;
    if (slots > kNamedSlots && field.kind != FieldKind::kText) {
      out += slot_of(field);
      continue;
    }
    if (!out.empty()) out += field.kind == FieldKind::kText ? "\n" : ", ";
    out += title_of(field) + " " + slot_of(field);
    if (!field.unit.empty() && field.kind == FieldKind::kNumber) out += " " + field.unit;
  }
  return out + " ->";
}

void replace_all(std::string& text, std::string_view from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

json::object field_to_json(const Field& field) {
  json::object out{{"kind", to_string(field.kind)}};
  if (!field.from.empty()) out["from"] = to_json(field.from);
  if (!field.unit.empty()) out["unit"] = field.unit;
  if (!field.title.empty()) out["title"] = field.title;
  if (field.minimum) out["minimum"] = *field.minimum;
  if (field.maximum) out["maximum"] = *field.maximum;
  if (field.outside != Outside::kKeep) out["outside"] = field.outside == Outside::kDrop ? "drop" : "missing";
  if (field.missing != Field().missing) out["missing"] = to_json(field.missing);
  if (field.decimal_comma) out["decimal_comma"] = true;
  if (!field.values.empty()) out["values"] = to_json(field.values);
  if (field.rate_hz != 0) out["rate_hz"] = field.rate_hz;
  if (field.required) out["required"] = true;
  return out;
}

json::object target_to_json(const Target& target) {
  json::object out{{"task", to_string(target.task)}};
  if (!target.field.empty()) out["field"] = target.field;
  if (!target.labels.empty()) out["labels"] = to_json(target.labels);
  if (!target.positive.empty()) out["positive"] = target.positive;
  if (target.cap) out["cap"] = *target.cap;
  if (target.remaining_life) out["compute"] = "remaining_life";
  if (target.truth)
    out["truth"] = json::object{{"source", target.truth->source},
                                {"of", target.truth->of},
                                {"join", target.truth->join},
                                {"field", target.truth->field}};
  return out;
}

json::object window_to_json(const WindowRule& window) {
  json::object out{{"length", window.length}, {"stride", window.stride}, {"pad", window.pad}};
  json::array parts;
  for (const Split part : window.last_only) parts.emplace_back(to_string(part));
  if (!parts.empty()) out["last_only"] = std::move(parts);
  return out;
}

}  // namespace

std::string_view to_string(FieldKind kind) {
  constexpr std::string_view kNames[] = {"number", "category", "text", "signal", "ignore"};
  return kNames[static_cast<int>(kind)];
}

std::string_view to_string(TargetTask task) {
  constexpr std::string_view kNames[] = {"classify", "regress", "lm"};
  return kNames[static_cast<int>(task)];
}

const Field* Profile::field(std::string_view name) const {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& field) { return field.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

std::string settle_prompt(const Profile& profile) {
  if (profile.prompt == "auto") return automatic_prompt(profile);
  std::string prompt = profile.prompt;
  replace_all(prompt, "{{ numbers }}", slots_of_kind(profile, FieldKind::kNumber));
  replace_all(prompt, "{{ categories }}", slots_of_kind(profile, FieldKind::kCategory));
  replace_all(prompt, "{{ signals }}", slots_of_kind(profile, FieldKind::kSignal));
  return prompt;
}

json::value to_json(const Profile& profile) {
  json::object out{{"name", profile.name}};
  if (!profile.description.empty()) out["description"] = profile.description;
  if (!profile.key.empty()) out["key"] = profile.key;
  if (!profile.input.empty()) out["input"] = profile.input;
  // A list, not an object: the order of fields is the order of the slots and must survive canonical JSON.
  json::array fields;
  for (const Field& field : profile.fields) {
    json::object one = field_to_json(field);
    one["name"] = field.name;
    fields.push_back(std::move(one));
  }
  out["fields"] = std::move(fields);
  out["target"] = target_to_json(profile.target);
  if (!profile.group.empty()) out["group"] = profile.group;
  if (!profile.order.empty()) out["order"] = profile.order;
  if (profile.window) out["window"] = window_to_json(*profile.window);
  if (profile.split) out["split"] = to_json(*profile.split);
  out["prompt"] = profile.prompt;
  if (!profile.completion.empty()) out["completion"] = profile.completion;
  if (!profile.text.empty()) out["text"] = profile.text;
  if (profile.drop_constant) out["drop_constant"] = true;
  return out;
}

}  // namespace platform
