// Typed identifiers: a RunId is not a DatasetId. The value is a UUID of version 7 (time-ordered, so that primary keys
// append) in its 36-character text form. Value type.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <utility>

namespace platform {

/// A fresh UUIDv7 from the kernel's random source. Thread-safe.
std::string new_uuid();
/// True for the 36-character lower-case form.
bool is_uuid(std::string_view text);

template <class Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string value) : value_(std::move(value)) {}
  static Id make() { return Id(new_uuid()); }
  const std::string& str() const { return value_; }
  bool empty() const { return value_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::string value_;
};

using RunId = Id<struct RunTag>;
using DatasetVersionId = Id<struct DatasetVersionTag>;
using ModelVersionId = Id<struct ModelVersionTag>;
using DeploymentId = Id<struct DeploymentTag>;

}  // namespace platform
