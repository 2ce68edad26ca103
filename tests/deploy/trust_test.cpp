#include "deploy/trust.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "platform/base/digest.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace {

using namespace std::chrono_literals;
using deploy::SeenMetadata;
using platform::Error;
using platform::ErrorCode;

const platform::Time kNow = platform::parse_time("2026-03-01T08:00:00Z");

deploy::Targets some_targets(std::int64_t version) {
  deploy::Targets targets;
  targets.version = version;
  targets.deployment = "d-" + std::to_string(version);
  targets.model = "tool-failure";
  targets.model_version = "3";
  targets.adapter_digest = platform::digest_of("adapter");
  targets.base_digest = platform::digest_of("base");
  targets.selector = "line=3";
  targets.soak_seconds = 5;
  targets.files["adapter/anneal.json"] = {platform::digest_of("{}"), 2};
  targets.files["base/config.json"] = {platform::digest_of("{}"), 2};
  return targets;
}

struct Signer {
  platform::TemporaryFolder folder;
  deploy::SigningKeys keys = deploy::SigningKeys::open(folder.path() / "keys");
  std::string targets(std::int64_t version) const { return deploy::sign_targets(keys, some_targets(version)); }
  std::string timestamp(const std::string& targets, std::int64_t targets_version, std::int64_t version,
                        platform::Time now = kNow) const {
    return deploy::sign_timestamp(keys, targets, targets_version, version, now, 60s);
  }
};

ErrorCode code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was refused";
  return ErrorCode::kInternal;
}

TEST(Trust, AcceptsWhatTheServerSigned) {
  const Signer signer;
  const std::string targets = signer.targets(4);
  const auto checked = deploy::check_metadata(signer.keys.root(), signer.timestamp(targets, 4, 9), targets, {}, kNow);
  EXPECT_EQ(checked.targets.model, "tool-failure");
  EXPECT_EQ(checked.targets.files.at("base/config.json").size, 2u);
  EXPECT_EQ(checked.seen.targets_version, 4);
  EXPECT_EQ(checked.seen.timestamp_version, 9);
}

TEST(Trust, RefusesEveryDocumentOfWhichOneByteDiffers) {
  const Signer signer;
  const std::string targets = signer.targets(4);
  const std::string timestamp = signer.timestamp(targets, 4, 9);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    std::string bad = targets;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_THROW(deploy::check_metadata(signer.keys.root(), timestamp, bad, {}, kNow), Error) << "targets byte " << i;
  }
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < timestamp.size(); ++i) {
    std::string bad = timestamp;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    try {
      deploy::check_metadata(signer.keys.root(), bad, targets, {}, kNow);
      ++accepted;
    } catch (const Error&) {
    }
  }
  EXPECT_EQ(accepted, 0u);
}

TEST(Trust, RefusesAKeyThatIsNotPinned) {
  const Signer ours, other;
  const std::string targets = other.targets(4);
  EXPECT_EQ(
      code_of([&] { deploy::check_metadata(ours.keys.root(), other.timestamp(targets, 4, 9), targets, {}, kNow); }),
      ErrorCode::kCorrupt);
}

TEST(Trust, RefusesADocumentSignedForAnotherRole) {
  const Signer signer;
  const std::string targets = signer.targets(4);
  const std::string impostor = signer.keys.sign(deploy::Role::kTargets, {{"type", "timestamp"}, {"version", 9}});
  EXPECT_EQ(code_of([&] { deploy::check_metadata(signer.keys.root(), impostor, targets, {}, kNow); }),
            ErrorCode::kCorrupt);
}

TEST(Trust, RefusesRollback) {
  const Signer signer;
  const std::string older = signer.targets(3);
  const SeenMetadata seen{9, 4, "", kNow};
  EXPECT_EQ(
      code_of([&] { deploy::check_metadata(signer.keys.root(), signer.timestamp(older, 3, 10), older, seen, kNow); }),
      ErrorCode::kConflict);
  const std::string newer = signer.targets(5);
  EXPECT_EQ(
      code_of([&] { deploy::check_metadata(signer.keys.root(), signer.timestamp(newer, 5, 8), newer, seen, kNow); }),
      ErrorCode::kConflict);
}

TEST(Trust, RefusesFreezeAlsoWhenTheClockWasSetBack) {
  const Signer signer;
  const std::string targets = signer.targets(4);
  const std::string timestamp = signer.timestamp(targets, 4, 9);
  EXPECT_EQ(code_of([&] { deploy::check_metadata(signer.keys.root(), timestamp, targets, {}, kNow + 61s); }),
            ErrorCode::kConflict);
  const SeenMetadata seen{9, 4, "", kNow + 61s};
  EXPECT_EQ(code_of([&] { deploy::check_metadata(signer.keys.root(), timestamp, targets, seen, kNow); }),
            ErrorCode::kConflict);
}

TEST(Trust, RefusesAMixtureOfTwoStates) {
  const Signer signer;
  const std::string four = signer.targets(4), five = signer.targets(5);
  EXPECT_EQ(code_of([&] { deploy::check_metadata(signer.keys.root(), signer.timestamp(five, 5, 9), four, {}, kNow); }),
            ErrorCode::kCorrupt);
  EXPECT_EQ(code_of([&] { deploy::check_metadata(signer.keys.root(), signer.timestamp(four, 5, 9), four, {}, kNow); }),
            ErrorCode::kCorrupt);
  const SeenMetadata seen{9, 4, platform::digest_of("another four"), kNow};
  EXPECT_EQ(
      code_of([&] { deploy::check_metadata(signer.keys.root(), signer.timestamp(four, 4, 9), four, seen, kNow); }),
      ErrorCode::kCorrupt);
}

TEST(Trust, RefusesPathsThatLeaveTheBundle) {
  const Signer signer;
  for (const char* path :
       {"../x", "adapter/../../x", "/etc/passwd", "adapter//x", "x", "adapter/", "base/a\\b", "adapter/./x"}) {
    auto targets = some_targets(1);
    targets.files[path] = {platform::digest_of("x"), 1};
    EXPECT_EQ(code_of([&] { deploy::targets_from_json(deploy::to_json(targets)); }), ErrorCode::kCorrupt) << path;
  }
}

TEST(Trust, RemembersWhatWasSeenOnDisk) {
  const Signer signer;
  const platform::TemporaryFolder agent;
  const std::string four = signer.targets(4), three = signer.targets(3);
  {
    deploy::MetadataStore store(agent.path());
    EXPECT_EQ(code_of([&] { store.accept("", "", kNow); }), ErrorCode::kConflict);
    store.pin(signer.keys.root());
    EXPECT_EQ(store.accept(signer.timestamp(four, 4, 1), four, kNow).version, 4);
  }
  deploy::MetadataStore store(agent.path());
  EXPECT_EQ(code_of([&] { store.accept(signer.timestamp(three, 3, 2), three, kNow); }), ErrorCode::kConflict);
  EXPECT_EQ(store.accept(signer.timestamp(four, 4, 2), four, kNow).version, 4);
  const Signer other;
  EXPECT_EQ(code_of([&] { store.pin(other.keys.root()); }), ErrorCode::kConflict);
}

TEST(Trust, TakesANewRootOnlyFromTheOldOne) {
  const Signer old_one, fresh;
  const auto roles = [&](const deploy::SigningKeys& keys) {
    platform::json::object all;
    for (const auto role : {deploy::Role::kRoot, deploy::Role::kTargets, deploy::Role::kTimestamp})
      all[deploy::to_string(role)] = platform::json::object{
          {"keys", platform::json::array{platform::json::string(keys.public_key(role))}}, {"threshold", 1}};
    return all;
  };
  const platform::json::object payload{{"type", "root"}, {"version", 2}, {"roles", roles(fresh.keys)}};
  const std::string by_new = fresh.keys.sign(deploy::Role::kRoot, payload),
                    by_old = old_one.keys.sign(deploy::Role::kRoot, payload);
  EXPECT_THROW(deploy::check_next_root(old_one.keys.root(), by_new), Error);
  auto both = platform::parse_json(by_new, "root").as_object();
  both["signatures"].as_array().push_back(platform::parse_json(by_old, "root").as_object()["signatures"].as_array()[0]);
  EXPECT_NO_THROW(deploy::check_next_root(old_one.keys.root(), platform::canonical_json(both)));
}

TEST(SigningKeys, AreMadeOnceAndReadableByTheirOwnerOnly) {
  const platform::TemporaryFolder folder;
  const auto first = deploy::SigningKeys::open(folder.path() / "keys"),
             second = deploy::SigningKeys::open(folder.path() / "keys");
  EXPECT_EQ(first.root(), second.root());
  EXPECT_EQ(first.public_key(deploy::Role::kTargets), second.public_key(deploy::Role::kTargets));
  struct stat status {};
  ASSERT_EQ(::stat((folder.path() / "keys" / "targets.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

}  // namespace
