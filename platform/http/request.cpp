#include "platform/http/request.h"

#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include "platform/base/shortened.h"

namespace platform {

namespace {

constexpr std::array<std::pair<Method, std::string_view>, 6> kMethods{{{Method::kGet, "GET"},
                                                                       {Method::kHead, "HEAD"},
                                                                       {Method::kPost, "POST"},
                                                                       {Method::kPut, "PUT"},
                                                                       {Method::kPatch, "PATCH"},
                                                                       {Method::kDelete, "DELETE"}}};

constexpr std::size_t kShown = 200;  // of an address, in a message

char lower(char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter; }

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  const char small = lower(digit);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

}  // namespace

std::string_view to_string(Method method) {
  for (const auto& [known, text] : kMethods) {
    if (known == method) return text;
  }
  return "GET";
}

std::optional<Method> method_from(std::string_view text) {
  for (const auto& [method, known] : kMethods) {
    if (known == text) return method;
  }
  return std::nullopt;
}

bool CaseInsensitiveLess::operator()(std::string_view left, std::string_view right) const {
  return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end(),
                                      [](char a, char b) { return lower(a) < lower(b); });
}

const std::string& Request::param(std::string_view name) const {
  const auto found = params.find(name);
  if (found == params.end())
    throw Error(ErrorCode::kInternal, "the route has no parameter {" + std::string(name) + "}");
  return found->second;
}

std::string Request::query_or(std::string_view name, std::string_view fallback) const {
  const auto found = query.find(name);
  return found == query.end() ? std::string(fallback) : found->second;
}

std::int64_t Request::query_int(std::string_view name, std::int64_t fallback, std::int64_t least,
                                std::int64_t most) const {
  const auto found = query.find(name);
  if (found == query.end()) return fallback;
  const std::string& text = found->second;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= least && value <= most) return value;
  throw Error(ErrorCode::kInvalidInput,
              "query parameter must be a whole number from " + std::to_string(least) + " to " + std::to_string(most) +
                  ": " + text,
              std::string(name));
}

std::optional<std::string> Request::header(std::string_view name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::nullopt : std::optional(found->second);
}

std::string Request::content_type() const {
  std::string type = header("Content-Type").value_or("");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  for (char& letter : type) letter = lower(letter);
  return type;
}

json::value Request::json_body() const { return parse_json(body, "the request body"); }

json::object Request::json_object() const {
  if (body.empty()) return {};
  const json::value value = json_body();
  return as_object(value, "body");
}

std::string percent_decode(std::string_view text, bool plus_is_blank) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_blank) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        throw Error(ErrorCode::kInvalidInput, "bad percent-encoding in the address: " + shortened(text, kShown));
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  if (!is_plain_text(decoded))
    throw Error(ErrorCode::kInvalidInput, "the address holds a NUL character or bytes that are not UTF-8: " +
                                              shortened(text, kShown) + "; send UTF-8, percent-encoded");
  return decoded;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 128 && (std::isalnum(byte) != 0 || letter == '-' || letter == '.' || letter == '_' || letter == '~')) {
      encoded += letter;
    } else {
      encoded += '%';
      encoded += kHex[byte >> 4];
      encoded += kHex[byte & 15];
    }
  }
  return encoded;
}

}  // namespace platform
