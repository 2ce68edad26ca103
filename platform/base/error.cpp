#include "platform/base/error.h"

#include <array>

namespace platform {
namespace {

struct Row {
  ErrorCode code;
  std::string_view name;
  int status;
};

constexpr std::array<Row, 11> kRows{{
    {ErrorCode::kInvalidInput, "invalid_input", 400},
    {ErrorCode::kUnauthenticated, "unauthenticated", 401},
    {ErrorCode::kForbidden, "forbidden", 403},
    {ErrorCode::kNotFound, "not_found", 404},
    {ErrorCode::kConflict, "conflict", 409},
    {ErrorCode::kTooLarge, "too_large", 413},
    {ErrorCode::kCorrupt, "corrupt", 422},
    {ErrorCode::kCancelled, "cancelled", 409},
    {ErrorCode::kUnavailable, "unavailable", 503},
    {ErrorCode::kDiskFull, "disk_full", 507},
    {ErrorCode::kInternal, "internal", 500},
}};

const Row& row(ErrorCode code) {
  for (const Row& candidate : kRows) {
    if (candidate.code == code) return candidate;
  }
  return kRows.back();
}

}  // namespace

std::string_view to_string(ErrorCode code) { return row(code).name; }
int http_status(ErrorCode code) { return row(code).status; }
bool retryable(ErrorCode code) { return code == ErrorCode::kUnavailable || code == ErrorCode::kDiskFull; }
std::string in_full(const std::exception& error) {
  const auto* ours = dynamic_cast<const Error*>(&error);
  const bool more = ours != nullptr && !ours->cause().empty();
  return more ? std::string(error.what()) + " (" + ours->cause() + ")" : error.what();
}
int exit_code(ErrorCode code) { return http_status(code) < 500 && code != ErrorCode::kCancelled ? 2 : 1; }

}  // namespace platform
