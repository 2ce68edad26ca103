#include "deploy/targets.h"

#include <filesystem>
#include <string_view>
#include <utility>

#include "platform/base/digest.h"
#include "platform/base/error.h"

namespace deploy {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr std::string_view kWhat = "targets";

[[noreturn]] void refuse(std::string_view why) {
  throw Error(ErrorCode::kCorrupt, "targets metadata is refused: " + std::string(why));
}

void check_path(const std::string& path) {
  const bool known = path.starts_with("adapter/") || path.starts_with("base/");
  const std::filesystem::path parsed(path);
  bool safe = known && path.size() < 512 && !path.ends_with('/') && path.find("//") == std::string::npos &&
              path.find('\\') == std::string::npos;
  for (const auto& part : parsed) safe = safe && part != ".." && part != ".";
  for (const char byte : path) safe = safe && static_cast<unsigned char>(byte) >= 0x20;
  if (!safe) refuse("a file's path leaves the bundle: \"" + path + "\"");
}

TargetFile file_from(const json::value& value) {
  const json::object& file = platform::as_object(value, kWhat);
  platform::refuse_unknown_keys(file, {"digest", "size"}, kWhat);
  const std::int64_t size = platform::require_int(file, "size", kWhat);
  TargetFile target{platform::require_string(file, "digest", kWhat), static_cast<std::uint64_t>(size)};
  platform::check_digest(target.digest);
  if (size < 0) refuse("a file's size is negative");
  return target;
}

Targets read(const json::value& value) {
  const json::object& object = platform::as_object(value, kWhat);
  platform::refuse_unknown_keys(object,
                                {"type", "version", "deployment", "model", "model_version", "adapter_digest",
                                 "base_digest", "selector", "soak_seconds", "files"},
                                kWhat);
  Targets targets;
  targets.version = platform::require_int(object, "version", kWhat);
  targets.deployment = platform::require_string(object, "deployment", kWhat);
  targets.model = platform::require_string(object, "model", kWhat);
  targets.model_version = platform::require_string(object, "model_version", kWhat);
  targets.adapter_digest = platform::require_string(object, "adapter_digest", kWhat);
  targets.base_digest = platform::require_string(object, "base_digest", kWhat);
  targets.selector = platform::require_string(object, "selector", kWhat);
  targets.soak_seconds = platform::require_int(object, "soak_seconds", kWhat);
  if (targets.version < 1 || targets.soak_seconds < 0) refuse("version or soak_seconds is out of range");
  for (const auto& entry : platform::as_object(platform::require(object, "files", kWhat), kWhat)) {
    const std::string path(entry.key());
    check_path(path);
    targets.files.emplace(path, file_from(entry.value()));
  }
  return targets;
}

}  // namespace

json::object to_json(const Targets& targets) {
  json::object files;
  for (const auto& [path, file] : targets.files)
    files[path] = json::object{{"digest", file.digest}, {"size", file.size}};
  return {{"type", "targets"},
          {"version", targets.version},
          {"deployment", targets.deployment},
          {"model", targets.model},
          {"model_version", targets.model_version},
          {"adapter_digest", targets.adapter_digest},
          {"base_digest", targets.base_digest},
          {"selector", targets.selector},
          {"soak_seconds", targets.soak_seconds},
          {"files", std::move(files)}};
}

// Format errors of a signed document are corruption, whatever the reader calls them.
Targets targets_from_json(const json::value& value) {
  try {
    return read(value);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCorrupt) throw;
    refuse(error.what());
  }
}

}  // namespace deploy
