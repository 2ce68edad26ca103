#include "platform/security/token.h"

#include <sodium.h>

#include <array>

#include "platform/base/error.h"

namespace platform {

namespace {

constexpr std::string_view kPrefix = "anneal_";
constexpr std::size_t kRandomBytes = 32;
constexpr std::size_t kTextLength = 43;  // of 32 bytes in base64 without padding
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void start_sodium() {
  if (sodium_init() < 0) throw Error(ErrorCode::kInternal, "libsodium does not start");
}

}  // namespace

std::string make_token() {
  start_sodium();
  std::array<unsigned char, kRandomBytes> random{};
  randombytes_buf(random.data(), random.size());
  std::array<char, kTextLength + 1> text{};
  sodium_bin2base64(text.data(), text.size(), random.data(), random.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  sodium_memzero(random.data(), random.size());
  return std::string(kPrefix) + text.data();
}

bool is_token(std::string_view text) {
  return text.size() == kPrefix.size() + kTextLength && text.starts_with(kPrefix) &&
         text.find_first_not_of(kAlphabet, kPrefix.size()) == std::string_view::npos;
}

std::string token_hash(std::string_view token) {
  start_sodium();
  const std::string bytes(token);
  std::array<unsigned char, crypto_generichash_BYTES> hash{};
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                     nullptr, 0);
  std::array<char, 2 * crypto_generichash_BYTES + 1> hex{};
  sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
  return hex.data();
}

}  // namespace platform
