#include "finetune/train/unread_fields.h"

#include <map>
#include <set>

namespace finetune {
namespace {

constexpr std::size_t kMostNamed = 10;

std::string slot_of(SensorField::Kind kind, const std::string& name) {
  switch (kind) {
    case SensorField::Kind::kNumber: return "number:" + name;
    case SensorField::Kind::kCategory: return "category:" + name;
    case SensorField::Kind::kSignal: break;
  }
  return "signal:" + name;
}

}  // namespace

std::vector<UnreadField> unread_fields(const SensorSchema& schema, const HeadForm& form,
                                       const std::vector<const platform::Example*>& examples) {
  std::set<std::string> read;
  for (const SensorField& field : schema.fields) read.insert(slot_of(field.kind, field.name));
  if (!form.continues.empty()) read.insert(slot_of(SensorField::Kind::kSignal, form.continues));
  std::map<std::string, std::int64_t> unread;
  const auto count = [&](SensorField::Kind kind, const auto& fields) {
    for (const auto& [name, value] : fields) {
      if (const std::string slot = slot_of(kind, name); !read.contains(slot)) ++unread[slot];
    }
  };
  for (const platform::Example* example : examples) {
    count(SensorField::Kind::kNumber, example->numbers);
    count(SensorField::Kind::kCategory, example->categories);
    count(SensorField::Kind::kSignal, example->signals);
  }
  std::vector<UnreadField> fields;
  for (const auto& [slot, carried] : unread) fields.push_back({slot, carried});
  return fields;
}

std::optional<std::string> unread_fields_notice(const std::vector<UnreadField>& fields) {
  if (fields.empty()) return std::nullopt;
  std::string list;
  for (std::size_t i = 0; i < std::min(fields.size(), kMostNamed); ++i) {
    list += (i == 0 ? "" : ", ") + fields[i].slot + " (" + std::to_string(fields[i].examples) + " examples)";
  }
  if (fields.size() > kMostNamed) list += " and " + std::to_string(fields.size() - kMostNamed) + " more";
  return "the training part has fields that no slot of its prompts reads, so that nothing is learnt from them: " +
         list + "; to use one, write it into the prompt as {{ " + fields[0].slot + " }}";
}

}  // namespace finetune
