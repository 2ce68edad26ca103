#include "web/api/datasets.h"

#include "platform/base/digest.h"
#include "tests/web/api_fixture.h"

namespace {

namespace json = platform::json;
using platform::Role;

class DatasetApiDb : public tests::ApiFixture {
 protected:
  void SetUp() override {
    ApiFixture::SetUp();
    datasets_ = std::make_unique<platform::DatasetStore>(database());
    blobs_ = std::make_unique<platform::BlobStore>(folder_.path() / "blobs");
    platform::RouteTable routes;
    web::add_dataset_routes(routes, {*datasets_, *blobs_});
    serve(std::move(routes));
  }
  platform::DatasetVersion add(const std::string& dataset, const std::string& lines) {
    platform::DatasetVersion version;
    version.dataset = dataset;
    version.blob = version.content_hash = blobs_->put(lines);
    version.counts = {{"train", 7}, {"test", 2}};
    version.schema = {{"task", "classify"}};
    version.statistics = {{"records", 9}};
    version.report = {{"dropped", 0}};
    version.lineage = {{"sources", {"line-3"}}};
    return datasets_->add_version(version);
  }

  platform::TemporaryFolder folder_;
  std::unique_ptr<platform::DatasetStore> datasets_;
  std::unique_ptr<platform::BlobStore> blobs_;
};

TEST_F(DatasetApiDb, ShowsVersionsWithWhatTheSnapshotFound) {
  add("cnc", "{\"a\":1}\n");
  add("cnc", "{\"a\":1}\n{\"a\":2}\n");
  add("robot", "{}\n");
  auto asking = client(Role::kViewer);
  const auto page = asking.get("/api/v1/datasets?limit=1").checked().json();
  EXPECT_EQ(page.at("items").at(0).at("versions"), json::value(2));
  EXPECT_EQ(page.at("next"), "after=cnc");
  EXPECT_EQ(asking.get("/api/v1/datasets?after=cnc").checked().json().at("items").at(0).at("name"), "robot");
  const auto versions = asking.get("/api/v1/datasets/cnc/versions").checked().json().at("items").as_array();
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].at("version"), json::value(2));
  EXPECT_EQ(versions[0].at("examples").at("train"), json::value(7));
  const auto version = asking.get("/api/v1/datasets/cnc/versions/1").checked().json();
  EXPECT_EQ(version.at("schema").at("task"), "classify");
  EXPECT_EQ(version.at("statistics").at("records"), json::value(9));
  EXPECT_EQ(version.at("report").at("dropped"), json::value(0));
  EXPECT_EQ(version.at("lineage").at("sources").at(0), "line-3");
  EXPECT_EQ(asking.get("/api/v1/datasets/cnc/versions/latest").checked().json().at("version"), json::value(2));
  for (const std::string path : {"nobody/versions", "nobody/versions/latest", "cnc/versions/9", "cnc/versions/x",
                                 "cnc/versions/1x", "cnc/versions/99999999999"}) {
    EXPECT_EQ(asking.get("/api/v1/datasets/" + path).status, 404) << path;
  }
}

TEST_F(DatasetApiDb, SendsTheExamplesAndTheRestOfThem) {
  const std::string lines = "{\"a\":1}\n{\"a\":2}\n";
  const auto version = add("cnc", lines);
  auto asking = client(Role::kViewer);
  const std::string target = "/api/v1/datasets/cnc/versions/1/examples";
  const auto whole = asking.get(target).checked();
  EXPECT_EQ(whole.body, lines);
  EXPECT_EQ(platform::digest_of(whole.body), version.content_hash);
  EXPECT_EQ(whole.headers.at("Content-Type"), "application/x-ndjson");
  EXPECT_NE(whole.headers.at("Content-Disposition").find("cnc-1.jsonl"), std::string::npos);
  EXPECT_EQ(asking.get(target, {{"Range", "bytes=8-"}}).checked().body, "{\"a\":2}\n");
  EXPECT_EQ(client_with("").get(target).status, 401);
  std::filesystem::remove(blobs_->path_of(version.blob));
  EXPECT_EQ(asking.get(target).status, 404);
}

}  // namespace
