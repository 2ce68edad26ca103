#include "finetune/bench/zip_file.h"

#include <gtest/gtest.h>

#include <random>

#include "platform/base/error.h"
#include "tests/finetune/bench/zip_archive.h"

namespace finetune {
namespace {

using platform::ErrorCode;

const std::string kText = "name,value\n" + std::string(3000, 'a') + "\n";

ErrorCode code_of(const std::string& archive, std::uint64_t limit = kMostUnzippedBytes) {
  try {
    unzipped(archive, "sets/rows.zip", limit);
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("sets/rows.zip"), std::string::npos) << error.what();
    return error.code();
  }
  ADD_FAILURE() << "the archive was read";
  return ErrorCode::kInternal;
}

struct Damage {
  const char* what;
  void (*change)(support::ZipEntry&);
  ErrorCode code;
};

TEST(ZipFile, GivesTheBytesOfADeflatedAndOfAStoredFileBehindAComment) {
  EXPECT_EQ(unzipped(support::zip_archive(kText), "rows.zip"), kText);
  support::ZipEntry stored = support::entry_of(kText, kText);
  stored.method = 0;
  EXPECT_EQ(unzipped(support::zip_archive(stored, kText, "a comment PK\5\6"), "rows.zip"), kText);
  EXPECT_EQ(unzipped(support::zip_archive(""), "rows.zip"), "");
}

TEST(ZipFile, RefusesWhatContradictsItselfAndWhatItDoesNotRead) {
  const std::string packed = support::deflated(kText);
  for (const Damage& damage : {
           Damage{"a length too short", [](support::ZipEntry& entry) { entry.size -= 1; }, ErrorCode::kCorrupt},
           Damage{"a length too long", [](support::ZipEntry& entry) { entry.size += 1; }, ErrorCode::kCorrupt},
           Damage{"packed bytes too few", [](support::ZipEntry& entry) { entry.packed -= 1; }, ErrorCode::kCorrupt},
           Damage{"packed bytes too many", [](support::ZipEntry& entry) { entry.packed += 1; }, ErrorCode::kCorrupt},
           Damage{"packed bytes beyond the file", [](support::ZipEntry& entry) { entry.packed = 1 << 30; },
                  ErrorCode::kCorrupt},
           Damage{"another checksum", [](support::ZipEntry& entry) { entry.crc ^= 1; }, ErrorCode::kCorrupt},
           Damage{"a place beyond the file", [](support::ZipEntry& entry) { entry.local = 0xFFFFFFF0; },
                  ErrorCode::kCorrupt},
           Damage{"a place in the middle", [](support::ZipEntry& entry) { entry.local = 7; }, ErrorCode::kCorrupt},
           Damage{"two lengths of a stored file", [](support::ZipEntry& entry) { entry.method = 0; },
                  ErrorCode::kCorrupt},
           Damage{"encryption", [](support::ZipEntry& entry) { entry.flags = 1; }, ErrorCode::kInvalidInput},
           Damage{"another method", [](support::ZipEntry& entry) { entry.method = 14; }, ErrorCode::kInvalidInput},
           Damage{"ZIP64", [](support::ZipEntry& entry) { entry.size = 0xFFFFFFFF; }, ErrorCode::kInvalidInput},
           Damage{"two files", [](support::ZipEntry& entry) { entry.entries = 2; }, ErrorCode::kInvalidInput},
           Damage{"no file", [](support::ZipEntry& entry) { entry.entries = 0; }, ErrorCode::kInvalidInput},
       }) {
    support::ZipEntry entry = support::entry_of(kText, packed);
    damage.change(entry);
    EXPECT_EQ(code_of(support::zip_archive(entry, packed)), damage.code) << damage.what;
  }
}

TEST(ZipFile, BelievesNoSizeThatTheFileCannotHold) {
  const std::string packed = support::deflated(kText);
  support::ZipEntry bomb = support::entry_of(kText, packed);
  bomb.size = 0xFFFFFFF0;  // 4 GiB out of some bytes
  EXPECT_EQ(code_of(support::zip_archive(bomb, packed), ~std::uint64_t{0}), ErrorCode::kCorrupt);
  const std::string zeros(4 << 20, '\0');
  EXPECT_EQ(code_of(support::zip_archive(zeros), (4 << 20) - 1), ErrorCode::kTooLarge);
  EXPECT_EQ(unzipped(support::zip_archive(zeros), "rows.zip", 4 << 20), zeros);
}

TEST(ZipFile, RefusesEveryBeginningOfAnArchive) {
  const std::string archive = support::zip_archive(kText);
  for (std::size_t length = 0; length < archive.size(); ++length)
    EXPECT_EQ(code_of(archive.substr(0, length)), ErrorCode::kCorrupt) << length;
}

TEST(ZipFileFuzz, DamagedBytesGiveTheTextOrAnError) {
  std::mt19937 random(20261125);
  const std::string archive = support::zip_archive(kText);
  for (int i = 0; i < 20000; ++i) {
    std::string damaged = archive;
    for (int hits = 0; hits < 3; ++hits) damaged[random() % damaged.size()] = static_cast<char>(random());
    try {
      EXPECT_EQ(unzipped(damaged, "rows.zip", 1 << 20), kText);
    } catch (const platform::Error&) {
    }
  }
}

}  // namespace
}  // namespace finetune
