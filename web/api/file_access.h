// Which files people may have the server read for them: those below the folders that its administrator named. Whoever
// may make a source or start a run could otherwise read the admin token, the signing keys, or anything else that the
// server's user can read. Thread-safe: nothing changes after construction, links are followed at each question.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "platform/base/data_folder.h"
#include "platform/model/run.h"
#include "platform/model/source.h"

namespace web {

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
  /// The same question for one file whose path is free of links, and no link is followed: what a reader asks of the
  /// file that it opened.
  bool allows_real(const std::filesystem::path& file) const;
  /// Throws kInvalidInput for an empty path, kForbidden naming the path, the folders that may be read, and the field
  /// that holds it.
  void check(const std::filesystem::path& path, const std::string& field) const;
  /// The paths that a source's settings and profile name. The files of a folder come and go while the source runs; its
  /// reader asks allows_real of each.
  void check(const platform::Source& source) const;
  /// The files and profiles that the steps of a run not yet started name. Refuses as well a path made of a step's
  /// output, since nobody knows it yet.
  void check(const platform::Run& run) const;

 private:
  [[noreturn]] void refuse(const std::filesystem::path& path, const std::string& field) const;
  bool within(const std::filesystem::path& real, const std::filesystem::path& folder) const;
  void check_profile(const std::string& profile, const std::string& field) const;

  std::filesystem::path data_;  // canonical
  std::vector<std::filesystem::path> folders_;
};

}  // namespace web
