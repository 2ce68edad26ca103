#include "deploy/bundle.h"

#include <gtest/gtest.h>

#include <fstream>

#include "deploy/selector.h"
#include "deploy/tar_stream.h"
#include "platform/base/digest.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace {

using namespace std::chrono_literals;
using platform::Error;

struct Plant {
  platform::TemporaryFolder folder;
  deploy::SigningKeys keys = deploy::SigningKeys::open(folder.path() / "keys");
  deploy::BlobFolder source{folder.path() / "source"};
  deploy::BlobFolder destination{folder.path() / "destination"};
  deploy::Targets targets;
  std::filesystem::path file = folder.path() / "tool.anneal";

  Plant() {
    targets.version = 1;
    for (const auto& [path, bytes] : {std::pair<std::string, std::string>{"adapter/a", "adapter bytes"},
                                      {"base/b", std::string(300'000, 'b')},
                                      {"base/c", std::string(300'000, 'b')}})
      add(path, bytes);
  }
  void add(const std::string& path, const std::string& bytes) {
    const std::string digest = platform::digest_of(bytes);
    targets.files[path] = {digest, bytes.size()};
    if (source.has(digest)) return;
    platform::write_file_atomically(source.partial(digest), bytes);
    source.admit(digest, bytes.size());
  }
  deploy::BundleMetadata metadata() const {
    const std::string signed_targets = deploy::sign_targets(keys, targets);
    return {keys.root(), deploy::sign_timestamp(keys, signed_targets, 1, 1, platform::SystemClock().now(), 60s),
            signed_targets};
  }
  void write() const {
    deploy::write_bundle(file, metadata(), [&](const std::string& digest) { return source.path(digest); });
  }
  deploy::Targets read() {
    return deploy::read_bundle(file, destination, [&](const deploy::BundleMetadata& read) {
      return deploy::check_metadata(keys.root(), read.timestamp, read.targets, {}, platform::SystemClock().now())
          .targets;
    });
  }
};

TEST(Bundle, CarriesEveryBlobOnceAndComesBackEqual) {
  Plant plant;
  plant.write();
  const auto targets = plant.read();
  EXPECT_EQ(targets.files, plant.targets.files);
  for (const auto& [path, file] : targets.files)
    EXPECT_EQ(platform::digest_of_file(plant.destination.path(file.digest)), file.digest) << path;
  EXPECT_LT(std::filesystem::file_size(plant.file), 20'000u);
}

TEST(Bundle, IsNotWrittenHalf) {
  Plant plant;
  std::filesystem::remove(plant.source.path(plant.targets.files["adapter/a"].digest));
  EXPECT_THROW(plant.write(), Error);
  EXPECT_FALSE(std::filesystem::exists(plant.file));
  EXPECT_FALSE(std::filesystem::exists(plant.file.string() + ".partial"));
}

TEST(BundleFuzz, RefusesDamageAnywhere) {
  Plant plant;
  plant.write();
  const std::string whole = platform::read_file(plant.file);
  for (std::size_t at = 0; at < whole.size(); at += 7) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    platform::write_file_atomically(plant.file, bad);
    plant.destination.keep_only({});
    try {
      EXPECT_EQ(plant.read().files, plant.targets.files) << "byte " << at;  // a bit that carries nothing
    } catch (const Error&) {
    }
    for (const auto& entry : std::filesystem::directory_iterator(plant.folder.path() / "destination"))
      if (entry.path().extension() != ".partial") {
        EXPECT_EQ(platform::sha256_file_hex(entry.path()), entry.path().filename().string());
      }
  }
  for (const std::size_t length : {std::size_t{0}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    platform::write_file_atomically(plant.file, whole.substr(0, length));
    plant.destination.keep_only({});
    EXPECT_THROW(plant.read(), Error) << length;
  }
}

// A bundle whose metadata is right and whose entries are `write`'s.
void write_hostile(const Plant& plant, const std::function<void(deploy::TarWriter&)>& write) {
  const auto metadata = plant.metadata();
  deploy::TarWriter tar(plant.file);
  for (const auto& [name, text] : {std::pair<std::string, std::string>{"root.json", metadata.root},
                                   {"timestamp.json", metadata.timestamp},
                                   {"targets.json", metadata.targets}}) {
    tar.begin(name, text.size());
    tar.write(text);
  }
  write(tar);
  tar.finish();
}

void entry(deploy::TarWriter& tar, const std::string& name, const std::string& bytes) {
  tar.begin(name, bytes.size());
  tar.write(bytes);
}

TEST(Bundle, RefusesEntriesThatItsTargetsDoNotName) {
  for (const std::string& name :
       {"blobs/" + std::string(64, 'a'), std::string("blobs/../../escaped"), std::string("/tmp/escaped"),
        std::string("../escaped"), std::string("root.json"), std::string("blobs/"), std::string("blobs")}) {
    Plant plant;
    write_hostile(plant, [&](deploy::TarWriter& tar) { entry(tar, name, "evil"); });
    EXPECT_THROW(plant.read(), Error) << name;
    EXPECT_TRUE(std::filesystem::is_empty(plant.folder.path() / "destination")) << name;
    EXPECT_FALSE(std::filesystem::exists(plant.folder.path() / "escaped")) << name;
  }
}

TEST(Bundle, RefusesABlobOfAnotherSizeOrContentAndOneThatComesTwice) {
  Plant plant;
  const std::string name = "blobs/" + plant.targets.files["adapter/a"].digest.substr(7);
  for (const std::string& bytes :
       {std::string("adapter bytes and more"), std::string("short"), std::string("adapter byteZ")}) {
    write_hostile(plant, [&](deploy::TarWriter& tar) { entry(tar, name, bytes); });
    EXPECT_THROW(plant.read(), Error) << bytes;
    EXPECT_FALSE(plant.destination.has(plant.targets.files["adapter/a"].digest)) << bytes;
  }
  write_hostile(plant, [&](deploy::TarWriter& tar) {
    entry(tar, name, "adapter bytes");
    entry(tar, name, "adapter bytes");
  });
  EXPECT_THROW(plant.read(), Error);
}

TEST(Bundle, RefusesWhatIsNoRegularFile) {
  for (const char type : {'1', '2', '3', '5', '6', 'x', 'L'}) {
    Plant plant;
    write_hostile(plant, [&](deploy::TarWriter& tar) {
      tar.begin("blobs/" + plant.targets.files["adapter/a"].digest.substr(7), 0, type);
    });
    try {
      plant.read();
      ADD_FAILURE() << type;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("no regular file"), std::string::npos) << error.what();
    }
  }
}

TEST(Bundle, RefusesTargetsWhosePathsLeaveTheFolder) {
  for (const std::string path : {"../adapter/a", "adapter/../../a", "/adapter/a", "adapter//a", "adapter/./a",
                                 "adapter/", "adapter\\..\\a", "other/a", "adapter/a\n"}) {
    Plant plant;
    plant.targets.files[path] = plant.targets.files["adapter/a"];
    const auto metadata = plant.metadata();
    EXPECT_THROW(deploy::check_metadata(plant.keys.root(), metadata.timestamp, metadata.targets, {},
                                        platform::SystemClock().now()),
                 Error)
        << path;
  }
}

TEST(Bundle, WritesNothingBeforeItsMetadataIsAccepted) {
  Plant plant;
  plant.write();
  EXPECT_THROW(deploy::read_bundle(plant.file, plant.destination,
                                   [](const deploy::BundleMetadata&) -> deploy::Targets {
                                     throw Error(platform::ErrorCode::kConflict, "no");
                                   }),
               Error);
  EXPECT_TRUE(std::filesystem::is_empty(plant.folder.path() / "destination"));
}

TEST(BlobFolder, ThrowsBytesAwayThatAreNotWhatTheirNameSays) {
  Plant plant;
  const std::string digest = platform::digest_of("good");
  platform::write_file_atomically(plant.destination.partial(digest), "evil");
  EXPECT_THROW(plant.destination.admit(digest, 4), Error);
  EXPECT_FALSE(plant.destination.has(digest));
  EXPECT_FALSE(std::filesystem::exists(plant.destination.partial(digest)));
}

TEST(Selector, MatchesLabelsNamesAndAll) {
  const deploy::Labels labels{{"line", "3"}, {"site", "ulsan"}};
  EXPECT_TRUE(deploy::selects("line=3", "edge-01", labels));
  EXPECT_TRUE(deploy::selects(" site=ulsan , line=3", "edge-01", labels));
  EXPECT_TRUE(deploy::selects("name=edge-01", "edge-01", labels));
  EXPECT_TRUE(deploy::selects("*", "edge-01", {}));
  EXPECT_FALSE(deploy::selects("line=4", "edge-01", labels));
  EXPECT_FALSE(deploy::selects("name=edge-02", "edge-01", labels));
  for (const char* bad : {"", "line", "=3", "line=", ","})
    EXPECT_THROW(deploy::selects(bad, "edge-01", labels), Error) << bad;
}

TEST(Selector, ReadsLabelsAndNamesThePartAtFault) {
  EXPECT_EQ(deploy::parse_labels(" line = 3 ,site=ulsan "), (deploy::Labels{{"line", "3"}, {"site", "ulsan"}}));
  EXPECT_TRUE(deploy::parse_labels("  ").empty());
  EXPECT_TRUE(deploy::selects("note=a=b", "edge-01", {{"note", "a=b"}}));
  EXPECT_FALSE(deploy::selects("line=3,name=edge-02", "edge-01", {{"line", "3"}}));
  try {
    deploy::parse_labels("line=3,broken");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("\"broken\""), std::string::npos) << error.what();
  }
}

}  // namespace
