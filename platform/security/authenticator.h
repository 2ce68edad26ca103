// Who asks, and may he: bearer token -> identity -> permission. Known tokens are remembered for a few seconds, so that
// a busy sender does not cost a query a request; a revocation in this process counts at once, one in another process
// after that time. Refusals go to the audit log, those of unknown tokens at most once a minute. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/data_folder.h"
#include "platform/base/log.h"
#include "platform/http/request.h"
#include "platform/security/roles.h"
#include "platform/store/audit_store.h"
#include "platform/store/token_store.h"

namespace platform {

/// The admin token's file as a start finds and leaves it.
struct AdminToken {
  std::optional<std::string> made;  // by this start, to be printed once
  bool taken = true;                // false: the file's token is refused; another admin's is alive
};

class Authenticator {
 public:
  Authenticator(TokenStore& tokens, AuditStore& audit, const Clock& clock, Log log)
      : tokens_(tokens), audit_(audit), clock_(clock), log_(std::move(log)) {}

  /// Makes the admin token at the first start, where its file was removed, and where no token of an admin is alive:
  /// writes it to DataFolder::token() with mode 0600 and its hash to the database. Never brings a revoked or replaced
  /// one back while another admin's is alive. Throws kCorrupt for a file that holds no token.
  AdminToken ensure_admin(const DataFolder& data);

  /// nullopt for an unknown, revoked or expired token.
  std::optional<Identity> identify(std::string_view token);
  /// For the server: public permissions ("") give an empty identity; otherwise throws kUnauthenticated or kForbidden.
  Identity authorize(std::string_view token, std::string_view permission, std::string_view path);

  /// A new token for `name`, shown this once; it takes the place of one of the same role that is revoked or has
  /// expired. Throws kConflict if the name is taken otherwise, kInvalidInput if it is none or if
  /// `expires_at` has passed.
  std::string create(const std::string& project, const std::string& name, Role role, std::optional<Time> expires_at,
                     const std::string& actor);
  /// Throws kNotFound, and kConflict for the project's last live token of an admin: nobody could make another.
  void revoke(const std::string& project, const std::string& name, const std::string& actor);
  std::vector<TokenRecord> list(const std::string& project) { return tokens_.list(project); }

 private:
  struct Known {
    TokenRecord token;
    Time until{};
  };
  bool is_live(const TokenRecord& token) const;
  std::string make_admin(const std::filesystem::path& file);
  void put_admin(const std::string& token);
  std::optional<TokenRecord> look_up(const std::string& hash);
  void note_refusal(const Identity& identity, std::string_view permission, std::string_view path);
  void note_unknown(std::string_view permission, std::string_view path);

  TokenStore& tokens_;
  AuditStore& audit_;
  const Clock& clock_;
  Log log_;
  std::mutex mutex_;
  std::map<std::string, Known> known_;  // by hash
  std::uint64_t revocations_ = 0;       // a look-up that one overtook is not remembered
  std::optional<Time> unknown_noted_at_;
};

}  // namespace platform
