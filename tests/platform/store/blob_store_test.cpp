#include "platform/store/blob_store.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>

#include "platform/base/error.h"

namespace platform {
namespace {

class BlobStoreTest : public testing::Test {
 protected:
  std::size_t files() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path()))
      count += entry.is_regular_file() ? 1 : 0;
    return count;
  }
  TemporaryFolder folder_;
  BlobStore store_{folder_.path() / "blobs"};
};

ErrorCode code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST_F(BlobStoreTest, GivesBackTheBytesUnderTheirDigestAndKeepsOneCopy) {
  const std::string bytes(600'000, 'b');
  const std::string digest = store_.put(bytes);
  EXPECT_EQ(digest, digest_of(bytes));
  EXPECT_EQ(store_.put(bytes), digest);
  EXPECT_EQ(store_.get(digest), bytes);
  EXPECT_EQ(store_.size(digest), bytes.size());
  EXPECT_EQ(files(), 1u);
}

TEST_F(BlobStoreTest, NoticesBytesThatWereChangedOnDisk) {
  const std::string digest = store_.put("right");
  write_file_atomically(store_.path_of(digest), "wrong");
  EXPECT_EQ(code_of([&] { store_.get(digest); }), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of([&] { store_.copy_to(digest, folder_.path() / "copy"); }), ErrorCode::kCorrupt);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "copy"));
}

TEST_F(BlobStoreTest, RottenBytesAreReplacedByGoodOnes) {
  const std::string digest = store_.put("right");
  write_file_atomically(store_.path_of(digest), "wrong");
  EXPECT_EQ(store_.put("right"), digest);
  EXPECT_EQ(store_.get(digest), "right");
  EXPECT_EQ(files(), 1u);
}

TEST_F(BlobStoreTest, AWriterThatIsLeftLeavesNothing) {
  {
    BlobWriter writer = store_.writer();
    writer.write("half");
  }
  EXPECT_EQ(files(), 0u);
}

TEST_F(BlobStoreTest, RefusesWhatIsNoDigestAndNamesWhatIsMissing) {
  EXPECT_EQ(code_of([&] { store_.path_of("sha256:../../etc/passwd"); }), ErrorCode::kInvalidInput);
  EXPECT_EQ(code_of([&] { store_.get(digest_of("never stored")); }), ErrorCode::kNotFound);
}

TEST_F(BlobStoreTest, AFolderComesBackWithItsFiles) {
  const std::filesystem::path source = folder_.path() / "source";
  std::filesystem::create_directories(source / "deep");
  write_file_atomically(source / "a.txt", "one");
  write_file_atomically(source / "deep/b.txt", "two");
  const std::string digest = store_.put_folder(source);
  EXPECT_EQ(store_.put_folder(source), digest);
  store_.get_folder(digest, folder_.path() / "back");
  EXPECT_EQ(read_file(folder_.path() / "back/a.txt"), "one");
  EXPECT_EQ(read_file(folder_.path() / "back/deep/b.txt"), "two");
  EXPECT_EQ(code_of([&] { store_.get_folder(digest, folder_.path() / "back"); }), ErrorCode::kConflict);
}

TEST_F(BlobStoreTest, AManifestCannotWriteOutsideItsFolder) {
  const std::string blob = store_.put("x");
  for (const char* name : {"../escaped", "/etc/escaped", "a/../../escaped", ""}) {
    const std::string manifest =
        store_.put(std::string("{\"files\":[{\"digest\":\"") + blob + "\",\"name\":\"" + name + "\",\"size\":1}]}");
    EXPECT_EQ(code_of([&] { store_.get_folder(manifest, folder_.path() / "out"); }), ErrorCode::kInvalidInput) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "escaped"));
}

TEST_F(BlobStoreTest, LinksAreNotStored) {
  std::filesystem::create_directories(folder_.path() / "linked");
  std::filesystem::create_symlink("/etc/passwd", folder_.path() / "linked/secret");
  EXPECT_EQ(code_of([&] { store_.put_folder(folder_.path() / "linked"); }), ErrorCode::kInvalidInput);
}

TEST_F(BlobStoreTest, AFullDiskIsAClearErrorAndLeavesNoBlob) {
  const std::filesystem::path small = folder_.path() / "small";
  std::filesystem::create_directories(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=1m,nr_inodes=64") != 0)
    GTEST_SKIP() << "cannot mount a small disk here";
  {
    BlobStore store(small / "blobs");
    const std::string kept = store.put("kept");
    EXPECT_EQ(code_of([&] { store.put(std::string(4 << 20, 'x')); }), ErrorCode::kDiskFull);
    EXPECT_EQ(store.get(kept), "kept");
    EXPECT_TRUE(std::filesystem::is_empty(small / "blobs/incoming"));
    // No room for a folder either.
    for (int i = 0; i < 4096; ++i) {
      if (::mkdir((small / std::to_string(i)).c_str(), 0700) != 0) break;
    }
    EXPECT_EQ(code_of([&] { BlobStore(small / "another/blobs"); }), ErrorCode::kDiskFull);
  }
  ::umount(small.c_str());
}

}  // namespace
}  // namespace platform
