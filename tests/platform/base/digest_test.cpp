#include "platform/base/digest.h"

#include <gtest/gtest.h>

#include <fstream>

#include "platform/base/error.h"
#include "platform/base/file.h"

namespace platform {
namespace {

// FIPS 180-2, appendix B.
TEST(Digest, AgreesWithThePublishedVectors) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Digest, OfAFileEqualsThatOfItsBytes) {
  const TemporaryFolder folder;
  const std::string bytes(700'001, 'x');
  write_file_atomically(folder.path() / "f", bytes);
  EXPECT_EQ(sha256_file_hex(folder.path() / "f"), sha256_hex(bytes));
}

TEST(Digest, RefusesATextThatIsNone) {
  EXPECT_NO_THROW(check_digest(digest_of("x")));
  EXPECT_THROW(check_digest("sha256:../../etc/passwd"), Error);
  EXPECT_THROW(check_digest("md5:" + std::string(64, 'a')), Error);
}

}  // namespace
}  // namespace platform
