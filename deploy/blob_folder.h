// Content-addressed files of a plant machine: FOLDER/<64 hex>, complete and verified, and FOLDER/<64 hex>.partial while
// a download is under way. Nothing becomes a blob before its bytes have been hashed. Any thread; two writers of one
// digest must not run at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

namespace deploy {

class BlobFolder {
 public:
  /// Makes the folder if it is missing.
  explicit BlobFolder(std::filesystem::path folder);

  bool has(const std::string& digest) const;
  std::filesystem::path path(const std::string& digest) const;
  std::filesystem::path partial(const std::string& digest) const;
  /// Hashes the partial file and makes it the blob. Throws kCorrupt, and removes the partial file, if size or digest
  /// differ.
  void admit(const std::string& digest, std::uint64_t size);
  /// Throws kCorrupt if the blob's bytes are not what its name says; the bad blob is removed then.
  void verify(const std::string& digest, std::uint64_t size);
  /// Removes every blob and partial file whose digest is not in `kept`.
  void keep_only(const std::set<std::string>& kept);

 private:
  std::filesystem::path folder_;
};

}  // namespace deploy
