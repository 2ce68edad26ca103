// One process a folder: held from construction to the end of the object or of the process, however that ends (kill -9
// too). Child processes do not get it. Move-only; any thread.
//   const auto lock = FolderLock::take(folder);
//   if (!lock) throw Error(ErrorCode::kConflict, "another agent runs on " + folder.string() + "; ...");
#pragma once

#include <filesystem>
#include <optional>

#include "platform/base/file.h"

namespace platform {

class FolderLock {
 public:
  /// Locks the file `folder`/lock, which is made with mode 0600 and never removed; `folder` must exist. nullopt while
  /// somebody else holds it, in this process or another. Throws as throw_errno does.
  static std::optional<FolderLock> take(const std::filesystem::path& folder);

 private:
  explicit FolderLock(FileDescriptor file) : file_(std::move(file)) {}

  FileDescriptor file_;
};

}  // namespace platform
