// Source: a configured connector of a project, or what agents report of a model. Plain values.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace platform {

/// Who may write its records.
enum class SourceKind {
  kRecords,   // its connector, or who pushes to it
  kFeedback,  // agents only, by way of the predictions that they answered; its name begins with kFeedbackPrefix
};
/// Names of such sources are taken for them alone: nobody makes one by hand.
inline constexpr std::string_view kFeedbackPrefix = "feedback-";

inline constexpr std::string_view kSourceKindNames[] = {"records", "feedback"};
constexpr std::string_view to_string(SourceKind kind) { return kSourceKindNames[static_cast<std::size_t>(kind)]; }
/// Throws kInvalidInput for an unknown name.
inline SourceKind source_kind_from(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kSourceKindNames); ++i)
    if (kSourceKindNames[i] == name) return static_cast<SourceKind>(i);
  throw Error(ErrorCode::kInvalidInput, "unknown kind of source: " + std::string(name));
}

struct Source {
  std::string project = "default";
  std::string name;
  std::string connector;  // a name of the connector table
  json::object settings;
  std::string profile;
  std::string schedule;
  std::string owner;
  std::string location;           // enterprise/site/area/line/cell
  std::string state = "stopped";  // stopped or running: what the operator asked for
  SourceKind kind = SourceKind::kRecords;
  Time created_at{};
};

/// An interval in which a source is known to have lost data.
struct SourceGap {
  Time from{};
  Time to{};
  std::string reason;
};

}  // namespace platform
