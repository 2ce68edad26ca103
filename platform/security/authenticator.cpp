#include "platform/security/authenticator.h"

#include <utility>

#include "platform/base/file.h"
#include "platform/security/token.h"
#include "platform/store/name_rule.h"

namespace platform {

namespace {

constexpr std::string_view kAdminName = "admin";
constexpr std::chrono::seconds kRemembered{5};
constexpr std::chrono::seconds kUnknownNotedEvery{60};
constexpr std::size_t kMostRemembered = 4096;

// The token in the file, without the line's end.
std::string token_in(const std::filesystem::path& path) {
  std::string text = read_file(path, 4096);
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  if (is_token(text)) return text;
  throw Error(ErrorCode::kCorrupt, "the file holds no token: " + path.string() +
                                       "; remove it and start again, and a new admin token is made");
}

void keep_private(const std::filesystem::path& path, const Log& log) {
  using std::filesystem::perms;
  const perms others = perms::group_all | perms::others_all;
  if ((std::filesystem::status(path).permissions() & others) == perms::none) return;
  log.warning("the admin token could be read by others; its mode is 0600 again", {{"file", path.string()}});
  std::filesystem::permissions(path, perms::owner_read | perms::owner_write);
}

AuditLine line_of(const std::string& project, const std::string& actor, const std::string& action, std::string subject,
                  json::object details = {}) {
  return {0, project, {}, actor, action, std::move(subject), std::move(details), {}};
}

// The path as the database can hold it, whatever bytes a stranger sent.
std::string printable(std::string_view path) {
  constexpr std::size_t kLongest = 200;
  std::string out;
  for (const char c : path.substr(0, kLongest))
    out += c > ' ' && c < 0x7f ? std::string(1, c) : percent_encode({&c, 1});
  return out;
}

Identity identity_of(const TokenRecord& token) { return {token.name, token.role, token.project}; }

}  // namespace

AdminToken Authenticator::ensure_admin(const DataFolder& data) {
  const std::filesystem::path file = data.token();
  if (!std::filesystem::exists(file)) return {make_admin(file)};
  keep_private(file, log_);
  const std::string token = token_in(file);
  const auto known = tokens_.find(token_hash(token));
  if (known && is_live(*known)) return {};
  if (tokens_.has_live(TokenRecord().project, std::string(to_string(Role::kAdmin)))) {
    log_.warning(
        "the token in the admin token's file is revoked, expired or unknown; use another admin's, or remove the file "
        "and start again to have a new one",
        {{"file", file.string()}});
    return {.taken = false};
  }
  if (known) {
    log_.warning("the admin token was revoked or has expired and no other admin has one; a new one is made",
                 {{"file", file.string()}});
    return {make_admin(file)};
  }
  put_admin(token);  // a first start was cut short, or the database is another one
  return {};
}

// The file before the database: a crash between the two is made good by the next start.
std::string Authenticator::make_admin(const std::filesystem::path& file) {
  const std::string token = make_token();
  std::filesystem::create_directories(file.parent_path());
  write_file_atomically(file, token + "\n", 0600);
  put_admin(token);
  return token;
}

void Authenticator::put_admin(const std::string& token) {
  TokenRecord admin;
  admin.hash = token_hash(token);
  admin.name = kAdminName;
  admin.role = to_string(Role::kAdmin);
  const json::object details{{"role", admin.role}};
  tokens_.replace(admin, line_of(admin.project, "server", "token.create", "token/" + admin.name, details));
}

bool Authenticator::is_live(const TokenRecord& token) const {
  return !token.revoked_at && (!token.expires_at || *token.expires_at > clock_.now());
}

std::optional<TokenRecord> Authenticator::look_up(const std::string& hash) {
  const Time now = clock_.now();
  std::uint64_t revocations = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(hash);
    if (known != known_.end() && now < known->second.until) return known->second.token;
    revocations = revocations_;
  }
  std::optional<TokenRecord> token = tokens_.find(hash);
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kMostRemembered) known_.clear();
  if (token && !token->revoked_at && revocations == revocations_) {
    known_[hash] = {*token, now + kRemembered};
  } else {
    known_.erase(hash);
  }
  return token;
}

std::optional<Identity> Authenticator::identify(std::string_view token) {
  if (!is_token(token)) return std::nullopt;
  const auto known = look_up(token_hash(token));
  if (!known || !is_live(*known)) return std::nullopt;
  return identity_of(*known);
}

Identity Authenticator::authorize(std::string_view token, std::string_view permission, std::string_view path) {
  if (permission.empty()) return {};
  const auto identity = identify(token);
  if (!identity) {
    note_unknown(permission, path);
    throw Error(ErrorCode::kUnauthenticated,
                token.empty()
                    ? "no token; send `Authorization: Bearer TOKEN`; an admin makes tokens with POST /api/v1/tokens"
                    : "the token is unknown, revoked or expired; ask an admin for a new one");
  }
  const auto role = find_role(identity->role);
  if (role && allows(*role, permission)) return *identity;
  note_refusal(*identity, permission, path);
  throw Error(ErrorCode::kForbidden, "role '" + identity->role + "' of '" + identity->name + "' does not allow " +
                                         std::string(permission) + "; ask an admin for a token whose role does");
}

void Authenticator::note_refusal(const Identity& identity, std::string_view permission, std::string_view path) {
  log_.warning(
      "a request was refused",
      {{"who", identity.name}, {"role", identity.role}, {"permission", permission}, {"path", printable(path)}});
  audit_.append(line_of(identity.project, identity.name, "request.refused", printable(path),
                        {{"permission", permission}, {"role", identity.role}}));
}

void Authenticator::note_unknown(std::string_view permission, std::string_view path) {
  const Time now = clock_.now();
  std::optional<Time> before;
  {
    // Anybody can send such requests, so they must not fill the log.
    const std::lock_guard lock(mutex_);
    if (unknown_noted_at_ && now - *unknown_noted_at_ < kUnknownNotedEvery) return;
    before = std::exchange(unknown_noted_at_, now);
  }
  log_.warning("a request without a valid token was refused; more of them within a minute are not noted",
               {{"permission", permission}, {"path", printable(path)}});
  try {
    audit_.append(line_of("default", "unknown", "request.refused", printable(path), {{"permission", permission}}));
  } catch (const Error&) {  // not noted, so the next one is
    const std::lock_guard lock(mutex_);
    unknown_noted_at_ = before;
    throw;
  }
}

std::string Authenticator::create(const std::string& project, const std::string& name, Role role,
                                  std::optional<Time> expires_at, const std::string& actor) {
  check_name(name, "name");
  if (expires_at && *expires_at <= clock_.now()) {
    throw Error(ErrorCode::kInvalidInput, "the time of expiry has passed: " + format_time(*expires_at), "expires_at");
  }
  const std::string token = make_token();
  TokenRecord record;
  record.hash = token_hash(token);
  record.project = project;
  record.name = name;
  record.role = to_string(role);
  record.expires_at = expires_at;
  json::object details{{"role", record.role}};
  if (expires_at) details["expires_at"] = format_time(*expires_at);
  tokens_.create(record, line_of(project, actor, "token.create", "token/" + name, std::move(details)));
  return token;
}

void Authenticator::revoke(const std::string& project, const std::string& name, const std::string& actor) {
  if (!tokens_.revoke(project, name, std::string(to_string(Role::kAdmin)),
                      line_of(project, actor, "token.revoke", "token/" + name))) {
    throw Error(ErrorCode::kNotFound, "there is no live token named '" + name + "'; GET /api/v1/tokens lists them",
                "name");
  }
  {
    const std::lock_guard lock(mutex_);
    ++revocations_;
    std::erase_if(known_, [&](const auto& known) {
      return known.second.token.project == project && known.second.token.name == name;
    });
  }
}

}  // namespace platform
