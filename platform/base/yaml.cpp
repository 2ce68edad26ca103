#include "platform/base/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <unordered_map>

#include "platform/base/did_you_mean.h"
#include "platform/base/file.h"
#include "platform/base/shortened.h"

namespace platform {
namespace {

// Thrown out of the event handler to end the parse at a limit; never leaves this file.
struct Stop {};

// Columns in characters, as editors count them; the parser's marks count bytes. Marks come nearly in order, so that
// each one is counted from the last.
class Columns {
 public:
  explicit Columns(std::string_view text) : text_(text) {}
  int at(const YAML::Mark& mark) {
    const std::size_t place = std::min(static_cast<std::size_t>(std::max(0, mark.pos)), text_.size());
    if (mark.line != line_ || place < place_) {
      line_ = mark.line;
      place_ = place - std::min(place, static_cast<std::size_t>(std::max(0, mark.column)));
      column_ = 1;
    }
    column_ += static_cast<int>(characters_in(text_.substr(place_, place - place_)));
    place_ = place;
    return column_;
  }

 private:
  std::string_view text_;
  int line_ = -1;
  std::size_t place_ = 0;
  int column_ = 1;
};

// Builds the tree from parser events, so that nothing is expanded (no alias bombs) and limits hold while reading.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view text, std::string file, std::vector<Mistake>& mistakes, const YamlLimits& limits)
      : columns_(text), file_(std::move(file)), mistakes_(mistakes), limits_(limits) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (!root) return;
    report(mark, "a second document (---) begins here; a file holds one");
    throw Stop{};
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(node(YamlNode::Kind::kNull, mark, anchor));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    report(mark, "aliases (*name) are not allowed; write the value out");
    add(node(YamlNode::Kind::kNull, mark, 0));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode scalar = node(YamlNode::Kind::kScalar, mark, anchor);
    scalar.scalar = value;
    scalar.quoted = tag == "!";
    check_tag(mark, tag);
    if (value.find('\0') != std::string::npos)  // by an escape: the bytes of the file are looked at before
      report(mark, "a NUL character cannot be kept; leave it out");
    add(std::move(scalar));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(node(YamlNode::Kind::kSequence, mark, anchor));
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(node(YamlNode::Kind::kMapping, mark, anchor));
  }
  void OnMapEnd() override { close(); }

  std::optional<YamlNode> root;

 private:
  struct Frame {
    YamlNode node;
    std::optional<YamlNode> key;
    std::unordered_map<std::string, int> lines;  // of the keys so far
  };

  void report(const YAML::Mark& mark, std::string message) {
    mistakes_.push_back({file_, mark.line + 1, columns_.at(mark), std::move(message)});
  }
  void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") report(mark, "the tag " + tag + " is not allowed; remove it");
  }
  YamlNode node(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) report(mark, "anchors (&name) are not allowed; write the value out");
    if (++count_ > limits_.nodes) {
      report(mark, "more than " + std::to_string(limits_.nodes) + " values in one document");
      throw Stop{};
    }
    YamlNode made;
    made.kind = kind;
    made.line = mark.line + 1;
    made.column = columns_.at(mark);
    return made;
  }
  void open(YamlNode made) {
    if (static_cast<int>(stack_.size()) >= limits_.depth) {
      mistakes_.push_back(
          {file_, made.line, made.column, "nested deeper than " + std::to_string(limits_.depth) + " levels"});
      throw Stop{};
    }
    stack_.push_back({std::move(made), std::nullopt, {}});
  }
  void close() {
    YamlNode done = std::move(stack_.back().node);
    stack_.pop_back();
    add(std::move(done));
  }
  void add(YamlNode made) {
    if (stack_.empty()) {
      root = std::move(made);
      return;
    }
    Frame& frame = stack_.back();
    if (frame.node.kind == YamlNode::Kind::kSequence) {
      frame.node.items.push_back(std::move(made));
    } else if (!frame.key) {
      accept_key(frame, std::move(made));
    } else {
      frame.node.entries.push_back({std::move(*frame.key), std::move(made)});
      frame.key.reset();
    }
  }
  void accept_key(Frame& frame, YamlNode key) {
    if (key.kind != YamlNode::Kind::kScalar) {
      mistakes_.push_back({file_, key.line, key.column, "a key must be a plain word"});
      key.kind = YamlNode::Kind::kScalar;
    }
    if (key.scalar == "<<" && !key.quoted)
      mistakes_.push_back({file_, key.line, key.column, "merge keys (<<) are not allowed; write the keys out"});
    const auto [first, fresh] = frame.lines.emplace(key.scalar, key.line);
    if (!fresh) {
      mistakes_.push_back(
          {file_, key.line, key.column,
           "the key '" + key.scalar + "' stands twice; the first is on line " + std::to_string(first->second)});
    } else if (frame.lines.size() > limits_.keys) {
      mistakes_.push_back(
          {file_, key.line, key.column, "more than " + std::to_string(limits_.keys) + " keys in one mapping"});
      throw Stop{};
    }
    frame.key = std::move(key);
  }

  Columns columns_;
  std::string file_;
  std::vector<Mistake>& mistakes_;
  YamlLimits limits_;
  std::vector<Frame> stack_;
  std::size_t count_ = 0;
};

// Byte offset of the first invalid UTF-8 byte or control character, or npos.
std::size_t first_bad_byte(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = character_length(text, i);
    if (length == 0 || (lead < 0x20 && lead != '\n' && lead != '\r' && lead != '\t')) return i;
    i += length;
  }
  return std::string_view::npos;
}

// yaml-cpp's scanner recurses on flow collections, so bracket depth is bounded before it sees the text.
// Counts brackets outside quotes and comments roughly: a wrong count can only refuse, never pass, a deep document.
bool brackets_too_deep(std::string_view text, int limit) {
  int depth = 0;
  for (char c : text) {
    if (c == '[' || c == '{') {
      if (++depth > limit * 8) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

void position_of(std::string_view text, std::size_t at, int& line, int& column) {
  line = 1 + static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
  const std::size_t start = text.substr(0, at).rfind('\n');
  const std::size_t begin = start == std::string_view::npos ? 0 : start + 1;
  column = static_cast<int>(characters_in(text.substr(begin, at - begin))) + 1;
}

json::value scalar_to_json(const YamlNode& node) {
  const std::string& text = node.scalar;
  if (node.quoted) return json::value(text);
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  std::int64_t integer = 0;
  const char* begin = text.data() + (text.front() == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  if (auto [stop, error] = std::from_chars(begin, end, integer); error == std::errc() && stop == end) return integer;
  double number = 0;
  const bool numeric = text.find_first_not_of("0123456789+-.eE") == std::string::npos;
  if (auto [stop, error] = std::from_chars(begin, end, number); numeric && error == std::errc() && stop == end)
    return number;
  return json::value(text);
}

std::string shown(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kMapping) return "a mapping";
  if (node.kind == YamlNode::Kind::kSequence) return "a list";
  if (node.kind == YamlNode::Kind::kNull) return "nothing";
  return "'" + shortened(node.scalar, 40) + "'";
}

}  // namespace

std::size_t characters_in(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string Mistake::str() const {
  return file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + message;
}

const YamlNode* YamlNode::find(std::string_view key) const {
  for (const auto& entry : entries) {
    if (entry.key.scalar == key) return &entry.value;
  }
  return nullptr;
}

const YamlNode* YamlNode::key_node(std::string_view key) const {
  for (const auto& entry : entries) {
    if (entry.key.scalar == key) return &entry.key;
  }
  return nullptr;
}

std::optional<YamlNode> parse_yaml(std::string_view text, const std::string& file, std::vector<Mistake>& mistakes,
                                   const YamlLimits& limits) {
  const std::size_t before = mistakes.size();
  if (text.size() > limits.bytes) {
    mistakes.push_back(
        {file, 1, 1,
         "the file has " + std::to_string(text.size()) + " bytes; the limit is " + std::to_string(limits.bytes)});
    return std::nullopt;
  }
  if (const std::size_t bad = first_bad_byte(text); bad != std::string_view::npos) {
    Mistake mistake{file, 1, 1, "the byte here is not UTF-8 text; save the file as UTF-8"};
    position_of(text, bad, mistake.line, mistake.column);
    mistakes.push_back(std::move(mistake));
    return std::nullopt;
  }
  if (brackets_too_deep(text, limits.depth)) {
    mistakes.push_back({file, 1, 1, "brackets nested deeper than " + std::to_string(limits.depth) + " levels"});
    return std::nullopt;
  }
  TreeBuilder builder(text, file, mistakes, limits);
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    mistakes.push_back({file, error.mark.line + 1, Columns(text).at(error.mark), error.msg});
  } catch (const Stop&) {  // the mistake is told
  }
  if (!builder.root && mistakes.size() != before) return std::nullopt;
  return builder.root ? std::move(builder.root) : std::optional<YamlNode>(YamlNode{});
}

YamlNode read_yaml_file(const std::filesystem::path& path) {
  std::vector<Mistake> mistakes;
  std::optional<YamlNode> node = parse_yaml(read_file(path, 16 << 20), path.string(), mistakes);
  if (!mistakes.empty()) throw_mistakes(mistakes);
  return std::move(*node);
}

void throw_mistakes(const std::vector<Mistake>& mistakes) {
  std::string all;
  for (const Mistake& mistake : mistakes) all += (all.empty() ? "" : "\n") + mistake.str();
  throw Error(ErrorCode::kInvalidInput, all);
}

json::value to_json(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kScalar) return scalar_to_json(node);
  if (node.kind == YamlNode::Kind::kSequence) {
    json::array array;
    for (const YamlNode& item : node.items) array.push_back(to_json(item));
    return array;
  }
  if (node.kind == YamlNode::Kind::kMapping) {
    json::object object;
    for (const auto& [key, value] : node.entries) object[key.scalar] = to_json(value);
    return object;
  }
  return nullptr;
}

YamlFields::YamlFields(const YamlNode& node, std::string where, std::string file, std::vector<Mistake>& mistakes)
    : node_(node), where_(std::move(where)), file_(std::move(file)), mistakes_(mistakes) {
  if (node.kind != YamlNode::Kind::kMapping)
    mistake(node, where_ + " must be a mapping (key: value), not " + shown(node));
}

const YamlNode* YamlFields::node(std::string_view key) {
  known_.emplace_back(key);
  return node_.find(key);
}

const YamlNode* YamlFields::require(std::string_view key) {
  const YamlNode* found = node(key);
  if (found == nullptr && node_.kind == YamlNode::Kind::kMapping)
    mistake(node_, where_ + " needs the key '" + std::string(key) + "'");
  return found;
}

std::string YamlFields::string(std::string_view key, std::string fallback) {
  const YamlNode* found = node(key);
  if (found == nullptr) return fallback;
  if (found->kind == YamlNode::Kind::kScalar) return found->scalar;
  mistake(*found, "'" + std::string(key) + "' must be text, not " + shown(*found));
  return fallback;
}

std::int64_t YamlFields::integer(std::string_view key, std::int64_t fallback) {
  const YamlNode* found = node(key);
  if (found == nullptr) return fallback;
  if (found->kind == YamlNode::Kind::kScalar) {
    const json::value value = scalar_to_json(*found);
    if (value.is_int64()) return value.get_int64();
  }
  mistake(*found, "'" + std::string(key) + "' must be a whole number, not " + shown(*found));
  return fallback;
}

double YamlFields::number(std::string_view key, double fallback) {
  const YamlNode* found = node(key);
  if (found == nullptr) return fallback;
  if (found->kind == YamlNode::Kind::kScalar) {
    const json::value value = scalar_to_json(*found);
    if (value.is_number()) return value.to_number<double>();
  }
  mistake(*found, "'" + std::string(key) + "' must be a number, not " + shown(*found));
  return fallback;
}

bool YamlFields::boolean(std::string_view key, bool fallback) {
  const YamlNode* found = node(key);
  if (found == nullptr) return fallback;
  if (found->kind == YamlNode::Kind::kScalar) {
    const json::value value = scalar_to_json(*found);
    if (value.is_bool()) return value.get_bool();
  }
  mistake(*found, "'" + std::string(key) + "' must be true or false, not " + shown(*found));
  return fallback;
}

std::vector<std::string> YamlFields::strings(std::string_view key) {
  const YamlNode* found = node(key);
  std::vector<std::string> out;
  if (found == nullptr) return out;
  if (found->kind == YamlNode::Kind::kScalar) return {found->scalar};
  if (found->kind != YamlNode::Kind::kSequence)
    mistake(*found, "'" + std::string(key) + "' must be a list, not " + shown(*found));
  for (const YamlNode& item : found->items) {
    if (item.kind == YamlNode::Kind::kScalar) {
      out.push_back(item.scalar);
    } else {
      mistake(item, "'" + std::string(key) + "' must be a list of words, not of " + shown(item));
    }
  }
  return out;
}

void YamlFields::refuse_others() {
  for (const auto& [key, value] : node_.entries) {
    if (std::find(known_.begin(), known_.end(), key.scalar) != known_.end()) continue;
    mistake(key, "unknown key '" + key.scalar + "' in " + where_ + did_you_mean(key.scalar, known_));
  }
}

void YamlFields::mistake(const YamlNode& at, const std::string& message) {
  mistakes_.push_back({file_, at.line, at.column, message});
}

}  // namespace platform
