#include "finetune/adapter/manifest.h"

#include <gtest/gtest.h>

#include <functional>

#include "finetune/adapter/sensor_schema.h"
#include "platform/base/digest.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

namespace json = platform::json;

SensorSchema good_schema() {
  SensorSchema schema;
  schema.fields.push_back({SensorField::Kind::kNumber, "torque", 1.0, 0.5, {}, {-1.0f, 0.0f, 1.0f}});
  schema.fields.push_back({SensorField::Kind::kCategory, "grade", 0.0, 1.0, {"H", "L"}, {}});
  return schema;
}

Manifest good_manifest() {
  Manifest manifest;
  manifest.task = Task::kClassify;
  manifest.labels = {"a", "b"};
  manifest.max_tokens = 64;
  manifest.sensors = to_json(good_schema());
  return manifest;
}

void expect_corrupt(const std::function<void()>& read, const std::string& word) {
  try {
    read();
    FAIL() << "accepted: " << word;
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kCorrupt) << error.what();
    EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
  }
}

void expect_refused_schema(const std::function<void(SensorSchema&)>& damage, const std::string& word) {
  SensorSchema schema = good_schema();
  damage(schema);
  expect_corrupt([&] { sensor_schema_from_json(to_json(schema)); }, word);
}

void expect_refused_manifest(const std::function<void(Manifest&)>& damage, const std::string& word) {
  Manifest manifest = good_manifest();
  damage(manifest);
  expect_corrupt([&] { manifest_from_json(to_json(manifest)); }, word);
}

TEST(SensorSchema, RefusesStatisticsThatNoTrainingCanHaveWritten) {
  EXPECT_EQ(sensor_schema_from_json(to_json(good_schema())).fields.size(), 2u);
  expect_refused_schema([](SensorSchema& schema) { schema.patch_size = 0; }, "patch_size");
  expect_refused_schema([](SensorSchema& schema) { schema.patch_size = 1'000'000'000; }, "patch_size");
  expect_refused_schema([](SensorSchema& schema) { schema.fields[0].deviation = 0; }, "torque");
  expect_refused_schema([](SensorSchema& schema) { schema.fields[0].edges = {0.0f, 0.0f}; }, "rise");
  expect_refused_schema([](SensorSchema& schema) { schema.fields[1].values = {"L", "H"}; }, "sorted");
  expect_refused_schema([](SensorSchema& schema) { schema.fields[1].values = {"H", "H"}; }, "sorted");
  expect_refused_schema([](SensorSchema& schema) { schema.fields.push_back(schema.fields[0]); }, "twice");
}

TEST(SensorSchema, AConstantColumnDividesByOneInEveryUnit) {
  EXPECT_EQ(usable_deviation(0, 0), 1.0);
  EXPECT_EQ(usable_deviation(1e9, 1e-6), 1.0);
  EXPECT_EQ(usable_deviation(1e-15, 1e-16), 1e-16);
}

TEST(Manifest, RefusesLabelsAndTargetsThatNoTrainingCanHaveWritten) {
  EXPECT_EQ(manifest_from_json(to_json(good_manifest())).max_tokens, 64);
  expect_refused_manifest([](Manifest& manifest) { manifest.labels.clear(); }, "two labels");
  expect_refused_manifest([](Manifest& manifest) { manifest.labels = {"a", "a"}; }, "twice");
  expect_refused_manifest([](Manifest& manifest) { manifest.target_deviation = 0; }, "deviation");
  expect_refused_manifest([](Manifest& manifest) { manifest.max_tokens = 0; }, "max_tokens");
}

TEST(Manifest, RefusesAFolderWithAFileThatNoDigestCovers) {
  const platform::TemporaryFolder folder;
  Manifest manifest = good_manifest();
  for (const std::string name : {"adapter_config.json", "adapter_model.safetensors", "sensor.safetensors"}) {
    platform::write_json_file(folder.path() / "anneal.json", to_json(manifest));
    expect_corrupt([&] { read_manifest(folder.path()); }, name);
    platform::write_file_atomically(folder.path() / name, "content");
    manifest.files[name] = platform::digest_of_file(folder.path() / name);
  }
  platform::write_json_file(folder.path() / "anneal.json", to_json(manifest));
  EXPECT_EQ(read_manifest(folder.path()).files.size(), 3u);
}

}  // namespace
}  // namespace finetune
