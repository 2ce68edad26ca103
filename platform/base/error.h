// The one exception type of everything above the kernels. It carries a stable code (the REST `code` field and the
// exit code follow from it), a message for a tired operator, and optionally the field it is about and the next action.
// Value type; safe to copy between threads.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace platform {

enum class ErrorCode {
  kInvalidInput,     // the caller's input is wrong; repeating it will not help
  kUnauthenticated,  // no or unknown token
  kForbidden,        // known, but not allowed
  kNotFound,
  kConflict,     // against the present state: duplicate name, gate not passed, lost lease
  kTooLarge,     // over a stated limit
  kCorrupt,      // bytes on disk or wire do not match their digest, signature or format
  kCancelled,    // stopped on request; resumable
  kUnavailable,  // database or peer away; safe to repeat later
  kDiskFull,
  kInternal,  // a bug of ours
};

class Error : public std::runtime_error {
 public:
  /// `message`: what failed, then the value, then the next action, e.g.
  /// "artifact signature does not verify: edge-07/3; check the key in agent.yaml".
  Error(ErrorCode code, const std::string& message, std::string path = {}, std::string cause = {})
      : std::runtime_error(message), code_(code), path_(std::move(path)), cause_(std::move(cause)) {}

  ErrorCode code() const { return code_; }
  /// JSON path or YAML key of the field at fault ("with.rank", "[3].event_time"); empty if there is none.
  const std::string& path() const { return path_; }
  /// What another program said, such as the database: tables, statements, addresses. For the log and for the terminal
  /// of who runs the program, never for an answer. Empty if there is nothing.
  const std::string& cause() const { return cause_; }

 private:
  ErrorCode code_;
  std::string path_;
  std::string cause_;
};

/// The message and, of an Error, the cause behind it.
std::string in_full(const std::exception& error);

/// Stable snake_case name, e.g. "invalid_input".
std::string_view to_string(ErrorCode code);
/// HTTP status that a REST answer with this code carries.
int http_status(ErrorCode code);
/// True if the same call may succeed later without a change (kUnavailable, kDiskFull).
bool retryable(ErrorCode code);
/// Process exit code: 2 where the user's input is wrong, 1 otherwise.
int exit_code(ErrorCode code);

}  // namespace platform
