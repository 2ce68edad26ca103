#include "finetune/text/decoder.h"

#include <algorithm>

#include "finetune/text/byte_level.h"
#include "finetune/text/byte_token.h"
#include "finetune/text/component.h"
#include "finetune/text/replacement.h"
#include "finetune/text/unicode.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

namespace json = platform::json;
using Tokens = std::vector<std::string>;
using Step = std::function<void(Tokens&)>;

constexpr const char* kComponent = "decoder";

std::size_t total_bytes(const Tokens& tokens) {
  std::size_t bytes = 0;
  for (const std::string& token : tokens) bytes += token.size();
  return bytes;
}

std::string joined(const Tokens& tokens, std::string_view between = {}) {
  std::string text;
  for (const std::string& token : tokens) {
    if (&token != &tokens.front()) text += between;
    text += token;
  }
  return text;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t found = 0; !from.empty() && (found = text.find(from)) != std::string_view::npos;) {
    result += text.substr(0, found);
    result += to;
    text.remove_prefix(found + from.size());
  }
  return result += text;
}

// English signs stand at the word before them.
std::string cleaned_up(std::string text) {
  static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) text = replaced(text, from, to);
  return text;
}

void fuse(Tokens& tokens) { tokens = {joined(tokens)}; }

void decode_byte_level(Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += from_byte_alphabet(token).value_or(token);
  tokens = {repair_utf8(bytes)};
}

void append_run(Tokens& tokens, std::string& run) {
  if (run.empty()) return;
  if (is_utf8(run)) {
    tokens.push_back(run);
  } else {
    tokens.insert(tokens.end(), run.size(), "\uFFFD");
  }
  run.clear();
}

void decode_byte_tokens(Tokens& tokens) {
  Tokens result;
  std::string run;
  for (std::string& token : tokens) {
    if (const auto byte = byte_of_token(token)) {
      run += *byte;
      continue;
    }
    append_run(result, run);
    result.push_back(std::move(token));
  }
  append_run(result, run);
  tokens = std::move(result);
}

Step byte_level(const json::object&) { return decode_byte_level; }
Step byte_fallback(const json::object&) { return decode_byte_tokens; }
Step fuse_all(const json::object&) { return fuse; }

Step bpe(const json::object& object) {
  return [suffix = platform::string_or(object, "suffix", "</w>", kComponent)](Tokens& tokens) {
    for (std::string& token : tokens) token = replaced(token, suffix, &token == &tokens.back() ? "" : " ");
  };
}

Step ctc(const json::object& object) {
  const bool cleanup = platform::bool_or(object, "cleanup", true, kComponent);
  return [cleanup, pad = platform::string_or(object, "pad_token", "<pad>", kComponent),
          word_end = platform::string_or(object, "word_delimiter_token", "|", kComponent)](Tokens& tokens) {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (std::string& token : tokens) {
      token = replaced(token, pad, "");
      if (cleanup) token = replaced(cleaned_up(token), word_end, " ");
    }
    std::erase_if(tokens, [](const std::string& token) { return token.empty(); });
  };
}

Step metaspace(const json::object& object) {
  const std::string mark = require_character(object, "replacement", "\u2581", kComponent);
  const bool prepended = platform::bool_or(object, "add_prefix_space", true, kComponent) &&
                         platform::string_or(object, "prepend_scheme", "always", kComponent) != "never";
  return [mark, prepended](Tokens& tokens) {
    for (std::string& token : tokens) token = replaced(token, mark, prepended && &token == &tokens.front() ? "" : " ");
  };
}

Step replace(const json::object& object) {
  return [replacement = Replacement(object, kComponent)](Tokens& tokens) {
    for (std::string& token : tokens) token = replacement.apply(token);
  };
}

Step strip(const json::object& object) {
  return
      [content = require_character(object, "content", " ", kComponent), start = size_or(object, "start", 0, kComponent),
       stop = size_or(object, "stop", 0, kComponent)](Tokens& tokens) {
        for (std::string& token : tokens) {
          std::string_view left = token;
          for (std::size_t i = 0; i < start && left.starts_with(content); ++i) left.remove_prefix(content.size());
          for (std::size_t i = 0; i < stop && left.ends_with(content); ++i) left.remove_suffix(content.size());
          token = std::string(left);
        }
      };
}

Step word_piece(const json::object& object) {
  return [prefix = platform::string_or(object, "prefix", "##", kComponent),
          cleanup = platform::bool_or(object, "cleanup", true, kComponent)](Tokens& tokens) {
    for (std::string& token : tokens) {
      if (&token != &tokens.front()) token = token.starts_with(prefix) ? token.substr(prefix.size()) : " " + token;
      if (cleanup) token = cleaned_up(token);
    }
  };
}

struct Kind {
  std::string_view type;
  Step (*make)(const json::object&);
};

constexpr Kind kKinds[] = {
    {"BPEDecoder", bpe},       {"ByteFallback", byte_fallback}, {"ByteLevel", byte_level}, {"CTC", ctc},
    {"Fuse", fuse_all},        {"Metaspace", metaspace},        {"Replace", replace},      {"Strip", strip},
    {"WordPiece", word_piece},
};

}  // namespace

Decoder::Decoder(const json::value& value) {
  for (const json::object* object : components_of(value, kComponent, "decoders")) {
    const Kind& kind = kind_of(kKinds, *object, kComponent);
    steps_.push_back(kind.make(*object));
    byte_level_ = kind.type == "ByteLevel" && steps_.size() == 1;
    byte_tokens_ = byte_tokens_ || kind.type == "ByteFallback";
  }
  if (value.is_null()) steps_.emplace_back([](Tokens& tokens) { tokens = {joined(tokens, " ")}; });
}

std::string Decoder::decode(Tokens tokens) const {
  const std::size_t limit = text_limit(total_bytes(tokens));
  for (const Step& step : steps_) {
    step(tokens);
    if (total_bytes(tokens) > limit)
      throw platform::Error(platform::ErrorCode::kTooLarge,
                            "tokenizer.json: the decoder makes more than " + std::to_string(limit) +
                                " bytes of a text; take out its steps that lengthen a token");
  }
  return joined(tokens);
}

std::string Decoder::bytes_of(const std::string& token) const {
  if (byte_tokens_) {
    if (const auto byte = byte_of_token(token)) return {*byte};
  }
  if (byte_level_) return from_byte_alphabet(token).value_or(token);
  const std::string before = decode({"a"});
  const std::string both = decode({"a", token});
  return both.starts_with(before) ? both.substr(before.size()) : decode({token});
}

}  // namespace finetune
