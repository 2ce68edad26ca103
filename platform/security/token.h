// Bearer tokens: 32 random bytes in base64url behind "anneal_". Only their hash is kept. Pure but for the random
// source; any thread.
#pragma once

#include <string>
#include <string_view>

namespace platform {

/// "anneal_" and 43 characters, from libsodium's random source.
std::string make_token();
/// True for what make_token could have made; anything else need not be looked up.
bool is_token(std::string_view text);
/// 64 hex digits of BLAKE2b-256. A token holds 256 random bits, so no salt and no slow hash are needed.
std::string token_hash(std::string_view token);

}  // namespace platform
