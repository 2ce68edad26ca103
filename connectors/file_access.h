// Which files people may have a server and its workers read for them: those below the folders that the administrator
// named. Whoever may make a source or start a run could otherwise read the admin token, the signing keys, or anything
// else that their user can read. What is checked before a file is opened is for people, so that a mistake is told
// early; what counts is rule(), which a reader asks of the file that it has open. Thread-safe: nothing changes after
// construction, links are followed at each question.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "connectors/connector.h"
#include "platform/base/data_folder.h"
#include "platform/model/source.h"

namespace connectors {

class FileAccess {
 public:
  /// `folders`: what may be read; none = `data`/inbox. `data`/profiles may always be. A folder above the data folder
  /// opens nothing in it. Throws kInvalidInput for one of the server's own: its keys, token, database, blobs, logs.
  FileAccess(std::vector<std::filesystem::path> folders, const platform::DataFolder& data);

  /// What may be read, for people.
  const std::vector<std::filesystem::path>& folders() const { return folders_; }

  /// True for a file, or a folder with all its files, that lies below a folder of the list, where every link of the
  /// path leads.
  bool allows(const std::filesystem::path& path) const;
  /// The same question for one file whose path is free of links, and no link is followed.
  bool allows_real(const std::filesystem::path& file) const;
  /// allows_real for a reader; it needs this object no longer.
  FileRule rule() const;
  /// Throws kInvalidInput for an empty path, kForbidden naming the path, the folders that may be read, and the field
  /// that holds it.
  void check(const std::filesystem::path& path, const std::string& field) const;
  /// The paths that a source's settings and profile name. The files of a folder come and go while the source runs; its
  /// reader asks rule() of each.
  void check(const platform::Source& source) const;
  /// As for a path, if `profile` names a file and not a profile of the data folder or a ready one.
  void check_profile(const std::string& profile, const std::string& field) const;

 private:
  [[noreturn]] void refuse(const std::filesystem::path& path, const std::string& field) const;
  bool within(const std::filesystem::path& real, const std::filesystem::path& folder) const;

  std::filesystem::path data_;  // canonical
  std::vector<std::filesystem::path> folders_;
};

}  // namespace connectors
