// Tokens by the hash of their text; the text itself is never stored. SQL of this table lives here only. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "platform/store/audit_store.h"
#include "platform/store/database.h"

namespace platform {

struct TokenRecord {
  std::string hash;  // see security/token.h
  std::string project = "default";
  std::string name;  // who; unique in the project, also among revoked ones
  std::string role;
  Time created_at{};
  std::optional<Time> expires_at;
  std::optional<Time> revoked_at;
};

/// A change and its line in the audit log, if one is given, are one transaction.
class TokenStore {
 public:
  explicit TokenStore(Database& database) : database_(database) {}

  /// A token of this name and role that is revoked or has expired is replaced. Throws kConflict if the name has a live
  /// one, or one of another role: the audit log must not mix two of one name.
  void create(const TokenRecord& token, const std::optional<AuditLine>& line = std::nullopt);
  /// Puts the token in the place of the one that has this name, alive again.
  void replace(const TokenRecord& token, const std::optional<AuditLine>& line = std::nullopt);
  /// Also revoked and expired ones; the caller judges.
  std::optional<TokenRecord> find(const std::string& hash);
  /// By name, revoked ones too.
  std::vector<TokenRecord> list(const std::string& project);
  /// True if the project has a token of that role that is neither revoked nor expired.
  bool has_live(const std::string& project, const std::string& role);
  /// False if there is none of that name that is not revoked already. Throws kConflict if it is the project's last live
  /// one of the role `kept_role`, also where two callers revoke the last two at once.
  bool revoke(const std::string& project, const std::string& name, const std::string& kept_role,
              const std::optional<AuditLine>& line = std::nullopt);

 private:
  Database& database_;
};

}  // namespace platform
