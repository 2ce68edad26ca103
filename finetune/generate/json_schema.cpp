#include "finetune/generate/json_schema.h"

#include <algorithm>
#include <map>
#include <set>

#include "finetune/generate/text_pattern.h"

namespace finetune {
namespace {

namespace json = platform::json;
using Node = ByteGrammar::Node;
using platform::Error;
using platform::ErrorCode;

constexpr int kDeepest = 32, kDeepestAny = 6;
constexpr std::size_t kMostSchemas = 20'000, kLongestName = 1024;
constexpr std::size_t kMostMembers = 1000, kMostValues = 5000;
constexpr std::int64_t kMostItems = 1'000'000;

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kInvalidInput, path + ": " + what, path);
}

class SchemaReader {
 public:
  explicit SchemaReader(const json::value& schema) : whole_(schema) {}

  std::shared_ptr<const ByteGrammar> read() {
    grammar_->set_root(node_of(whole_, "schema", 0));
    return grammar_;
  }
  std::shared_ptr<const ByteGrammar> any_object() {
    grammar_->set_root(any_object(kDeepestAny));
    return grammar_;
  }

 private:
  using Path = const std::string&;

  Node node_of(const json::value& schema, Path path, int depth) {
    if (++visited_ > kMostSchemas)
      refuse("schema", "has more than " + std::to_string(kMostSchemas) + " schemas in it; make it smaller");
    if (depth > kDeepest) refuse(path, "deeper than " + std::to_string(kDeepest) + "; flatten it");
    if (schema.is_bool()) {
      if (schema.get_bool()) return any_value(kDeepestAny);
      refuse(path, "false allows nothing; leave the member out");
    }
    const json::object& object = platform::as_object(schema, path);
    if (const json::value* reference = platform::find(object, "$ref")) return referred(object, *reference, path, depth);
    if (const json::value* any_of = platform::find(object, "anyOf")) return one_of(object, *any_of, path, depth);
    if (const json::value* value = object.if_contains("const")) return values_of(object, json::array{*value}, path);
    if (const json::value* values = platform::find(object, "enum"))
      return values_of(object, platform::as_array(*values, path + ".enum"), path);
    const std::vector<std::string> types = types_of(object, path);
    if (types.empty()) {
      only(object, {}, path);
      return any_value(kDeepestAny);
    }
    std::vector<Node> choices;
    check_keys_of(object, types, path);
    for (const std::string& type : types) choices.push_back(typed(object, type, path, depth));
    return choices.size() == 1 ? choices.front() : grammar_->choice(std::move(choices));
  }

  // Keys that say nothing about the answer are taken everywhere.
  static void only(const json::object& object, std::set<std::string_view> known, Path path) {
    known.insert({"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$schema",
                  "$comment", "$id", "$defs", "definitions"});
    for (const auto& pair : object) {
      if (!known.contains(pair.key()))
        refuse(path + "." + std::string(pair.key()), "is not understood here; leave it out");
    }
  }

  static std::vector<std::string> types_of(const json::object& object, Path path) {
    const json::value* type = platform::find(object, "type");
    if (type == nullptr) return {};
    std::vector<std::string> types = type->is_string() ? std::vector<std::string>{std::string(type->get_string())}
                                                       : platform::strings_from(*type, path + ".type");
    if (types.empty()) refuse(path + ".type", "names no type; leave it out, or name one");
    const std::set<std::string_view> known{"object", "array", "string", "number", "integer", "boolean", "null"};
    std::set<std::string_view> seen;
    for (const std::string& each : types) {
      if (!known.contains(each)) refuse(path + ".type", "\"" + each + "\" is no type of JSON schema");
      if (!seen.insert(each).second) refuse(path + ".type", "\"" + each + "\" stands twice");
    }
    return types;
  }

  static void check_keys_of(const json::object& object, const std::vector<std::string>& types, Path path) {
    std::set<std::string_view> known{"type"};
    for (const std::string& type : types) {
      if (type == "object") known.insert({"properties", "required", "additionalProperties"});
      if (type == "array") known.insert({"items", "minItems", "maxItems"});
      if (type == "string") known.insert({"minLength", "maxLength", "pattern"});
    }
    only(object, std::move(known), path);
  }

  Node typed(const json::object& object, const std::string& type, Path path, int depth) {
    if (type == "object") return members(object, path, depth);
    if (type == "array") return items(object, path, depth);
    if (type == "string") return string(object, path);
    if (type == "boolean") return grammar_->choice({literal("true"), literal("false")});
    return type == "null" ? literal("null") : grammar_->number(type == "integer");
  }

  Node literal(std::string text) { return grammar_->literal(std::move(text)); }
  Node separator() {
    if (separator_ < 0) separator_ = grammar_->choice({literal(","), literal(", ")});
    return separator_;
  }
  Node after_name() {
    if (after_name_ < 0) after_name_ = grammar_->choice({literal(":"), literal(": ")});
    return after_name_;
  }

  Node members(const json::object& object, Path path, int depth) {
    const json::value* further = platform::find(object, "additionalProperties");
    if (further != nullptr && !further->is_bool())
      refuse(path + ".additionalProperties", "a schema for further members is not understood; name them, or set false");
    const json::value* properties = platform::find(object, "properties");
    std::vector<std::string> required;
    if (const json::value* names = platform::find(object, "required"))
      required = platform::strings_from(*names, path + ".required");
    if (properties == nullptr && required.empty() && (further == nullptr || further->get_bool()))
      return any_object(kDeepestAny);
    const json::object none;
    const json::object& named = properties == nullptr ? none : platform::as_object(*properties, path + ".properties");
    if (named.size() > kMostMembers)
      refuse(path + ".properties",
             "names " + std::to_string(named.size()) + " members; at most " + std::to_string(kMostMembers));
    for (const std::string& name : required) {
      if (!named.contains(name)) refuse(path + ".required", "\"" + name + "\" is not among the properties");
    }
    const std::set<std::string_view> needed(required.begin(), required.end());
    std::vector<Node> parts;
    std::vector<bool> is_needed;
    for (const auto& pair : named) {
      const std::string name(pair.key());
      if (name.size() > kLongestName)
        refuse(path + ".properties",
               "has a name of " + std::to_string(name.size()) + " bytes; at most " + std::to_string(kLongestName));
      const Node value = node_of(pair.value(), path + ".properties." + name, depth + 1);
      parts.push_back(grammar_->sequence({literal(json::serialize(json::value(name))), after_name(), value}));
      is_needed.push_back(needed.contains(name));
    }
    return grammar_->sequence(
        {literal("{"), grammar_->members(std::move(parts), std::move(is_needed), separator()), literal("}")});
  }

  static std::int32_t count_in(const json::object& object, const char* key, std::int64_t fallback, Path path) {
    const std::int64_t count = platform::int_or(object, key, fallback, path);
    if (platform::find(object, key) != nullptr && (count < 0 || count > kMostItems))
      refuse(path + "." + key, std::to_string(count) + " lies outside 0 to " + std::to_string(kMostItems));
    return static_cast<std::int32_t>(count);
  }

  static void check_range(std::int32_t least, std::int32_t most, const char* key, Path path) {
    if (most >= 0 && least > most) refuse(path + "." + key, "is below the least, " + std::to_string(least));
  }

  Node items(const json::object& object, Path path, int depth) {
    const std::int32_t least = count_in(object, "minItems", 0, path), most = count_in(object, "maxItems", -1, path);
    check_range(least, most, "maxItems", path);
    if (most == 0) return literal("[]");
    const json::value* each = platform::find(object, "items");
    const Node item = each == nullptr ? any_value(kDeepestAny) : node_of(*each, path + ".items", depth + 1);
    return grammar_->sequence({literal("["), grammar_->repeat(item, separator(), least, most), literal("]")});
  }

  Node string(const json::object& object, Path path) {
    const std::int32_t least = count_in(object, "minLength", 0, path), most = count_in(object, "maxLength", -1, path);
    check_range(least, most, "maxLength", path);
    const Node quote = literal("\"");
    if (platform::find(object, "pattern") == nullptr)
      return grammar_->sequence({quote, grammar_->text(least, most), quote});
    if (least > 0 || most >= 0) refuse(path + ".pattern", "stands beside a length; write the length into the pattern");
    const std::string pattern = platform::require_string(object, "pattern", path);
    return grammar_->sequence({quote, add_pattern(*grammar_, pattern, path + ".pattern"), quote});
  }

  static std::string_view type_of(const json::value& value) {
    if (value.is_object()) return "object";
    if (value.is_array()) return "array";
    if (value.is_string()) return "string";
    if (value.is_bool()) return "boolean";
    if (value.is_null()) return "null";
    return value.is_double() ? "number" : "integer";
  }

  Node values_of(const json::object& object, const json::array& values, Path path) {
    const bool constant = object.contains("const");
    only(object, {"type", constant ? "const" : "enum"}, path);
    if (values.empty() || values.size() > kMostValues)
      refuse(path + ".enum", "has " + std::to_string(values.size()) + " values; 1 to " + std::to_string(kMostValues));
    const std::vector<std::string> types = types_of(object, path);
    std::set<std::string> texts;
    for (const json::value& value : values) {
      const std::string_view type = type_of(value);
      const bool fits = types.empty() || std::any_of(types.begin(), types.end(), [&](const std::string& each) {
                          return each == type || (each == "number" && type == "integer");
                        });
      std::string text = platform::canonical_json(value);
      if (!fits) refuse(path + (constant ? ".const" : ".enum"), text + " is not of the schema's type");
      texts.insert(std::move(text));
    }
    std::vector<Node> choices;
    for (const std::string& text : texts) choices.push_back(literal(text));
    return choices.size() == 1 ? choices.front() : grammar_->choice(std::move(choices));
  }

  Node one_of(const json::object& object, const json::value& any_of, Path path, int depth) {
    only(object, {"anyOf"}, path);
    std::vector<Node> choices;
    for (const json::value& each : platform::as_array(any_of, path + ".anyOf"))
      choices.push_back(node_of(each, path + ".anyOf[" + std::to_string(choices.size()) + "]", depth + 1));
    if (choices.empty()) refuse(path + ".anyOf", "is empty, so that nothing fits; name a schema");
    return choices.size() == 1 ? choices.front() : grammar_->choice(std::move(choices));
  }

  // What is referred to is read once, however often.
  Node referred(const json::object& object, const json::value& reference, Path path, int depth) {
    only(object, {"$ref"}, path);
    const std::string to = reference.is_string() ? std::string(reference.get_string()) : json::serialize(reference);
    for (const char* place : {"$defs", "definitions"}) {
      const std::string prefix = "#/" + std::string(place) + "/";
      if (!to.starts_with(prefix)) continue;
      const std::string name = to.substr(prefix.size());
      const json::value* all = platform::find(whole_.get_object(), place);
      const json::value* schema =
          all != nullptr && all->is_object() ? platform::find(all->get_object(), name) : nullptr;
      if (schema == nullptr) break;
      const auto [known, added] = definitions_.try_emplace(to, -1);
      if (!added && known->second < 0)
        refuse(path + ".$ref", "\"" + to + "\" leads back to itself; schemas that hold themselves are not understood");
      if (added) {
        const Node node = node_of(*schema, "schema." + std::string(place) + "." + name, depth + 1);
        definitions_[to] = node;
      }
      return definitions_[to];
    }
    refuse(path + ".$ref", "\"" + to + "\" is not there; refer to #/$defs/NAME of the same schema");
  }

  Node any_value(int depth) {
    if (const auto known = any_values_.find(depth); known != any_values_.end()) return known->second;
    const Node quote = literal("\"");
    std::vector<Node> choices{grammar_->sequence({quote, grammar_->text(0, ByteGrammar::kNoLimit), quote}),
                              grammar_->number(false), literal("true"), literal("false"), literal("null")};
    if (depth > 1) {
      choices.push_back(any_object(depth));
      const Node many = grammar_->repeat(any_value(depth - 1), separator(), 0, ByteGrammar::kNoLimit);
      choices.push_back(grammar_->sequence({literal("["), many, literal("]")}));
    }
    return any_values_[depth] = grammar_->choice(std::move(choices));
  }

  Node any_object(int depth) {
    const Node quote = literal("\"");
    const Node name = grammar_->sequence({quote, grammar_->text(0, ByteGrammar::kNoLimit), quote});
    const Node member = grammar_->sequence({name, after_name(), any_value(depth - 1)});
    const Node many = grammar_->repeat(member, separator(), 0, ByteGrammar::kNoLimit);
    return grammar_->sequence({literal("{"), many, literal("}")});
  }

  const json::value& whole_;
  std::shared_ptr<ByteGrammar> grammar_ = std::make_shared<ByteGrammar>();
  std::size_t visited_ = 0;
  Node separator_ = -1, after_name_ = -1;
  std::map<std::string, Node> definitions_;  // by reference; -1 while it is read
  std::map<int, Node> any_values_;
};

}  // namespace

std::shared_ptr<const ByteGrammar> grammar_of_schema(const json::value& schema) { return SchemaReader(schema).read(); }

std::shared_ptr<const ByteGrammar> grammar_of_any_object() {
  const json::value any = true;
  return SchemaReader(any).any_object();
}

}  // namespace finetune
