#include "web/server/services.h"

#include <random>

namespace web {

namespace {

std::string random_token() {
  std::random_device source;  // the kernel's
  std::string bytes;
  for (int i = 0; i < 16; ++i) bytes += std::to_string(source()) + ".";
  return "anneal_" + platform::sha256_hex(bytes);
}

}  // namespace

Services::Services(ServicesOptions options, platform::Log log)
    : options_(std::move(options)),
      log_(std::move(log)),
      cluster_(options_.database.empty() ? std::optional<platform::PrivateCluster>(std::in_place, options_.data, log_) : std::nullopt),
      database_({.connection = cluster_ ? cluster_->connection_string() : options_.database}, log_),
      blobs_(options_.data.blobs()) {
  database_.migrate();
  read_or_make_token();
}

void Services::read_or_make_token() {
  const std::filesystem::path path = options_.data.token();
  if (!std::filesystem::exists(path)) {
    new_token_ = random_token();
    platform::write_file_atomically(path, *new_token_ + "\n", 0600);
  }
  std::string token = platform::read_file(path, 4096);
  while (!token.empty() && (token.back() == '\n' || token.back() == ' ')) token.pop_back();
  if (token.size() < 32) throw platform::Error(platform::ErrorCode::kCorrupt, "no token in " + path.string() + "; remove the file to get a new one");
  token_digest_ = platform::sha256_hex(token);
}

platform::Identity Services::authorize(const platform::Request& request, std::string_view permission) const {
  const std::string token = platform::bearer_token(request);
  // Digests are compared, so that the time it takes says nothing about the token.
  if (!token.empty() && platform::sha256_hex(token) == token_digest_) return {"admin", "admin", "default"};
  if (permission.empty()) return {};
  throw platform::Error(platform::ErrorCode::kUnauthenticated, token.empty() ? "this address needs a token; send it as Authorization: Bearer"
                                                                               : "unknown token; the admin token lies in the data folder");
}

}  // namespace web
