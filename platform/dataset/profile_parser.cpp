// Strict reading of profiles (declared in profile.h). JSON from a manifest goes through the same reader, as a YAML tree
// without positions, so that the two forms cannot drift apart.
#include <algorithm>
#include <charconv>

#include "platform/base/did_you_mean.h"
#include "platform/base/file.h"
#include "platform/dataset/example.h"
#include "platform/dataset/profile.h"

namespace platform {
namespace {

YamlNode node_from(const json::value& value) {
  YamlNode node;
  if (value.is_object()) {
    node.kind = YamlNode::Kind::kMapping;
    for (const auto& pair : value.get_object()) {
      YamlNode key;
      key.kind = YamlNode::Kind::kScalar;
      key.scalar = pair.key();
      node.entries.push_back({std::move(key), node_from(pair.value())});
    }
  } else if (value.is_array()) {
    node.kind = YamlNode::Kind::kSequence;
    for (const json::value& item : value.get_array()) node.items.push_back(node_from(item));
  } else if (!value.is_null()) {
    node.kind = YamlNode::Kind::kScalar;
    node.quoted = value.is_string();
    node.scalar = value.is_string() ? std::string(value.get_string()) : canonical_json(value);
  }
  return node;
}

// "S1..S24" -> S1, S2, ... S24; other names stand for themselves.
std::vector<std::string> names_of(const std::string& name) {
  const std::size_t dots = name.find("..");
  if (dots == std::string::npos) return {name};
  const std::string first = name.substr(0, dots), last = name.substr(dots + 2);
  const std::size_t digits = first.find_last_not_of("0123456789") + 1;
  int begin = 0, end = 0;
  const auto number = [](std::string_view text, int& out) {
    return !text.empty() &&
           std::from_chars(text.data(), text.data() + text.size(), out).ptr == text.data() + text.size();
  };
  if (last.substr(0, digits) != first.substr(0, digits) || !number(std::string_view(first).substr(digits), begin) ||
      !number(std::string_view(last).substr(std::min(digits, last.size())), end) || end < begin || end - begin > 4096) {
    return {};
  }
  std::vector<std::string> names;
  for (int i = begin; i <= end; ++i) names.push_back(first.substr(0, digits) + std::to_string(i));
  return names;
}

class ProfileParser {
 public:
  ProfileParser(const YamlNode& root, const std::string& file, std::vector<Mistake>& mistakes)
      : root_(root), file_(file), mistakes_(mistakes) {}

  Profile run() {
    YamlFields top(root_, "the profile", file_, mistakes_);
    top.require("name");
    profile_.name = top.string("name");
    profile_.description = top.string("description");
    profile_.key = top.string("key");
    if (const YamlNode* input = top.node("input"); input != nullptr && input->kind == YamlNode::Kind::kMapping)
      profile_.input = to_json(*input).get_object();
    profile_.group = top.string("group");
    profile_.order = top.string("order");
    profile_.prompt = top.string("prompt", "auto");
    profile_.completion = top.string("completion");
    profile_.text = top.string("text");
    profile_.drop_constant = top.boolean("drop_constant", false);
    if (const YamlNode* fields = top.require("fields")) read_fields(*fields);
    if (const YamlNode* target = top.require("target")) read_target(*target);
    if (const YamlNode* window = top.node("window")) read_window(*window);
    if (const YamlNode* split = top.node("split")) read_split(*split);
    top.refuse_others();
    check_meaning();
    return std::move(profile_);
  }

 private:
  void mistake(const YamlNode& at, const std::string& message) {
    mistakes_.push_back({file_, at.line, at.column, message});
  }
  const YamlNode& at(std::string_view key) const {
    const YamlNode* found = root_.find(key);
    return found == nullptr ? root_ : *found;
  }

  void read_fields(const YamlNode& node) {
    if (node.kind == YamlNode::Kind::kSequence) {
      for (const YamlNode& item : node.items) {
        const YamlNode* name = item.find("name");
        if (name == nullptr) mistake(item, "a field in a list needs a name");
        if (name != nullptr) add_field(*name, item);
      }
      return;
    }
    if (node.kind != YamlNode::Kind::kMapping)
      return mistake(node, "fields must be a mapping from field names to kinds");
    for (const auto& [key, value] : node.entries) add_field(key, value);
  }

  void add_field(const YamlNode& key, const YamlNode& value) {
    const std::vector<std::string> names = names_of(key.scalar);
    if (names.empty()) return mistake(key, "the range '" + key.scalar + "' must look like S1..S24");
    Field field = read_field(key.scalar, value);
    if (names.size() > 1 && !field.from.empty()) mistake(key, "a range of fields cannot have 'from'");
    for (const std::string& name : names) {
      if (profile_.field(name) != nullptr) mistake(key, "the field '" + name + "' stands twice");
      field.name = name;
      profile_.fields.push_back(field);
    }
  }

  FieldKind read_kind(const YamlNode& node) {
    static const std::vector<std::string_view> kKinds = {"number", "category", "text", "signal", "ignore"};
    const auto found = std::find(kKinds.begin(), kKinds.end(), node.scalar);
    if (node.kind == YamlNode::Kind::kScalar && found != kKinds.end())
      return static_cast<FieldKind>(found - kKinds.begin());
    mistake(node, "a field is a number, category, text, signal or ignore, not '" + node.scalar + "'" +
                      did_you_mean(node.scalar, kKinds));
    return FieldKind::kIgnore;
  }

  Field read_field(const std::string& name, const YamlNode& node) {
    Field field;
    if (node.kind == YamlNode::Kind::kScalar) {
      field.kind = read_kind(node);
      return field;
    }
    YamlFields keys(node, "the field '" + name + "'", file_, mistakes_);
    keys.node("name");
    if (const YamlNode* kind = keys.require("kind")) field.kind = read_kind(*kind);
    field.from = keys.strings("from");
    field.unit = keys.string("unit");
    field.title = keys.string("title");
    if (keys.node("minimum") != nullptr) field.minimum = keys.number("minimum", 0);
    if (keys.node("maximum") != nullptr) field.maximum = keys.number("maximum", 0);
    if (field.minimum && field.maximum && *field.minimum > *field.maximum)
      mistake(node, "the field '" + name + "' has a minimum above its maximum");
    const std::string outside = keys.string("outside", "keep");
    if (outside != "keep" && outside != "missing" && outside != "drop")
      mistake(node, "outside must be keep, missing or drop, not '" + outside + "'");
    field.outside = outside == "drop" ? Outside::kDrop : outside == "missing" ? Outside::kMissing : Outside::kKeep;
    if (keys.node("missing") != nullptr) field.missing = keys.strings("missing");
    field.decimal_comma = keys.boolean("decimal_comma", false);
    field.values = keys.strings("values");
    field.rate_hz = keys.number("rate_hz", 0);
    field.required = keys.boolean("required", false);
    keys.refuse_others();
    return field;
  }

  void read_target(const YamlNode& node) {
    YamlFields keys(node, "the target", file_, mistakes_);
    Target& target = profile_.target;
    const std::string task = keys.string("task", "classify");
    if (task == "regress") target.task = TargetTask::kRegress;
    if (task == "lm") target.task = TargetTask::kLanguageModel;
    if (task != "classify" && task != "regress" && task != "lm")
      mistake(node, "the task is classify, regress or lm, not '" + task + "'");
    target.field = keys.string("field");
    target.labels = keys.strings("labels");
    target.positive = keys.string("positive");
    if (keys.node("cap") != nullptr) target.cap = keys.number("cap", 0);
    const std::string compute = keys.string("compute");
    if (!compute.empty() && compute != "remaining_life")
      mistake(node, "compute knows remaining_life, not '" + compute + "'");
    target.remaining_life = compute == "remaining_life";
    if (const YamlNode* truth = keys.node("truth")) {
      YamlFields of(*truth, "truth", file_, mistakes_);
      for (const char* key : {"source", "of", "join", "field"}) of.require(key);
      target.truth = Truth{of.string("source"), of.string("of"), of.string("join"), of.string("field")};
      of.refuse_others();
    }
    keys.refuse_others();
  }

  void read_window(const YamlNode& node) {
    YamlFields keys(node, "the window", file_, mistakes_);
    WindowRule window;
    keys.require("length");
    window.length = keys.integer("length", 1);
    window.stride = keys.integer("stride", 1);
    if (window.length < 1 || window.length > 65536) mistake(node, "the window's length must be 1 to 65536");
    if (window.stride < 1) mistake(node, "the window's stride must be at least 1");
    window.pad = keys.boolean("pad", true);
    for (const std::string& part : keys.strings("last_only")) {
      if (part != "train" && part != "validation" && part != "test") {
        mistake(node, "last_only names parts: train, validation, test; not '" + part + "'");
      } else {
        window.last_only.push_back(split_from(part));
      }
    }
    if (profile_.group.empty()) profile_.group = keys.string("group");
    if (profile_.order.empty()) profile_.order = keys.string("order");
    keys.node("group");
    keys.node("order");
    keys.refuse_others();
    profile_.window = window;
  }

  void read_split(const YamlNode& node) {
    try {
      profile_.split = split_rule_from_json(to_json(node));
    } catch (const Error& error) {  // collected like every other mistake of the file
      mistake(node, error.what());
    }
  }

  void check_meaning() {
    const Target& target = profile_.target;
    if (target.task != TargetTask::kLanguageModel && target.field.empty() && !target.remaining_life)
      mistake(at("target"), "the target needs a field");
    if (target.remaining_life && (target.task != TargetTask::kRegress || profile_.group.empty())) {
      mistake(at("target"), "remaining_life needs task: regress, a group and an order");
    }
    if (target.task == TargetTask::kLanguageModel && profile_.completion.empty() && profile_.text.empty())
      mistake(at("target"), "a profile with task lm needs completion or text");
    if (!target.positive.empty() && !target.labels.empty() &&
        std::find(target.labels.begin(), target.labels.end(), target.positive) == target.labels.end()) {
      mistake(at("target"), "the positive label '" + target.positive + "' is none of the labels");
    }
    if (profile_.window && profile_.group.empty()) mistake(at("window"), "a window needs a group");
    check_prompt(profile_.prompt, "prompt");
    for (const auto& [key, text] : {std::pair<std::string, const std::string&>{"key", profile_.key},
                                    {"group", profile_.group},
                                    {"completion", profile_.completion},
                                    {"text", profile_.text}}) {
      check_template(text, key);
    }
  }

  std::vector<PromptPart> check_template(const std::string& text, const std::string& key) {
    try {
      return parse_prompt(text);
    } catch (const Error& error) {  // collected like every other mistake of the file
      mistake(at(key), error.what());
    }
    return {};
  }

  void check_prompt(const std::string& prompt, const std::string& key) {
    if (prompt == "auto") return;
    std::vector<std::string> known;
    for (const Field& field : profile_.fields) known.push_back(field.name);
    for (const PromptPart& part : check_template(prompt, key)) {
      if (part.kind == PromptPart::Kind::kText || part.text == "numbers" || part.text == "categories" ||
          part.text == "signals")
        continue;
      const Field* field = profile_.field(part.text);
      if (field == nullptr) {
        mistake(at(key), "the prompt names the field '" + part.text + "', which is not declared" +
                             did_you_mean(part.text, known));
      } else if (part.text == profile_.target.field && !profile_.target.remaining_life) {
        mistake(at(key), "the prompt holds the target '" + part.text + "'; an answer must not stand in its question");
      }
    }
  }

  const YamlNode& root_;
  const std::string& file_;
  std::vector<Mistake>& mistakes_;
  Profile profile_;
};

}  // namespace

std::optional<Profile> parse_profile(const YamlNode& node, const std::string& file, std::vector<Mistake>& mistakes) {
  const std::size_t before = mistakes.size();
  Profile profile = ProfileParser(node, file, mistakes).run();
  if (mistakes.size() != before) return std::nullopt;
  return profile;
}

Profile profile_from_yaml(std::string_view text, const std::string& file) {
  std::vector<Mistake> mistakes;
  const std::optional<YamlNode> node = parse_yaml(text, file, mistakes);
  std::optional<Profile> profile = node ? parse_profile(*node, file, mistakes) : std::nullopt;
  if (!mistakes.empty()) throw_mistakes(mistakes);
  return *std::move(profile);
}

Profile read_profile_file(const std::filesystem::path& path) {
  return profile_from_yaml(read_file(path, 1 << 20), path.string());
}

Profile profile_from_json(const json::value& value) {
  std::vector<Mistake> mistakes;
  std::optional<Profile> profile = parse_profile(node_from(value), "profile", mistakes);
  if (!profile) throw_mistakes(mistakes);
  return *std::move(profile);
}

}  // namespace platform
