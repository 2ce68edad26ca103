#include "finetune/text/post_processor.h"

#include <algorithm>

#include "finetune/text/component.h"
#include "finetune/text/token_id.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

constexpr const char* kComponent = "post_processor";

struct Surround {
  std::vector<std::int32_t> prefix;
  std::vector<std::int32_t> suffix;
  bool trims = false;
  bool first_space_is_ours = false;
};

[[noreturn]] void unsupported(const std::string& what) {
  throw Error(ErrorCode::kInvalidInput, "tokenizer.json: " + what, "post_processor.single");
}

void append_special(const json::object& specials, const json::object& part, std::vector<std::int32_t>& ids) {
  const json::object& named = platform::as_object(platform::require(part, "SpecialToken", "post_processor.single"),
                                                  "post_processor.single.SpecialToken");
  const std::string name = platform::require_string(named, "id", "post_processor.single");
  const std::string path = "post_processor.special_tokens";
  const json::object& special = platform::as_object(platform::require(specials, name, path), path);
  for (const json::value& id : platform::as_array(platform::require(special, "ids", path), path + ".ids"))
    ids.push_back(checked_token_id(id, name));
}

Surround read_template(const json::object& object) {
  const json::object& specials =
      platform::as_object(platform::require(object, "special_tokens", kComponent), "post_processor.special_tokens");
  Surround ids;
  bool behind = false;
  for (const json::value& item :
       platform::as_array(platform::require(object, "single", kComponent), "post_processor.single")) {
    const json::object& part = platform::as_object(item, "post_processor.single");
    if (!part.contains("Sequence")) {
      append_special(specials, part, behind ? ids.suffix : ids.prefix);
      continue;
    }
    if (behind) unsupported("the template names the text twice");
    behind = true;
  }
  if (!behind) unsupported("the template leaves the text out");
  return ids;
}

// A pair [token, id].
std::int32_t read_pair(const json::object& object, const char* key) {
  const std::string path = std::string("post_processor.") + key;
  const json::array& pair = platform::as_array(platform::require(object, key, kComponent), path);
  if (pair.size() != 2 || !pair[0].is_string())
    throw Error(ErrorCode::kInvalidInput, "tokenizer.json: " + path + " must be a token and its id", path);
  return checked_token_id(pair[1], pair[0].get_string());
}

Surround read_bert(const json::object& object) { return {{read_pair(object, "cls")}, {read_pair(object, "sep")}}; }

Surround read_byte_level(const json::object& object) {
  return {.trims = platform::bool_or(object, "trim_offsets", true, kComponent),
          .first_space_is_ours = platform::bool_or(object, "add_prefix_space", true, kComponent)};
}

Surround read_roberta(const json::object& object) {
  Surround surround = read_byte_level(object);
  surround.prefix = {read_pair(object, "cls")};
  surround.suffix = {read_pair(object, "sep")};
  return surround;
}

struct Kind {
  std::string_view type;
  Surround (*read)(const json::object&);
};

constexpr Kind kKinds[] = {
    {"BertProcessing", read_bert},
    {"ByteLevel", read_byte_level},
    {"RobertaProcessing", read_roberta},
    {"TemplateProcessing", read_template},
};

}  // namespace

PostProcessor::PostProcessor(const json::value& value) {
  // A later one surrounds what the earlier ones made.
  for (const json::object* object : components_of(value, kComponent, "processors")) {
    const Surround ids = kind_of(kKinds, *object, kComponent).read(*object);
    prefix_.insert(prefix_.begin(), ids.prefix.begin(), ids.prefix.end());
    suffix_.insert(suffix_.end(), ids.suffix.begin(), ids.suffix.end());
    if (!ids.trims) continue;
    trims_places_ = true;
    first_space_is_ours_ = ids.first_space_is_ours;
  }
}

ByteSpan PostProcessor::trimmed(ByteSpan place, bool first, std::size_t leading, std::size_t trailing) const {
  if (leading == 1 && (first || place.begin == 0) && first_space_is_ours_) leading = 0;
  place.begin = std::min(place.begin + leading, place.end);
  if (place.end >= trailing) place.end = std::max(place.end - trailing, place.begin);
  return place;
}

}  // namespace finetune
