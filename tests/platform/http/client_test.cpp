#include "platform/http/client.h"

#include <gtest/gtest.h>

#include <atomic>

#include "platform/base/file.h"
#include "tests/support/http_fixture.h"

namespace {

using platform::Error;
using platform::ErrorCode;
using platform::Method;
using platform::Request;

TEST(HttpClient, ResumesADownloadAtTheByteItStopped) {
  const platform::TemporaryFolder folder;
  std::string bytes(3'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 + i / 256);
  platform::write_file_atomically(folder.path() / "blob", bytes);
  std::vector<std::string> ranges;
  platform::RouteTable table;
  table.add({Method::kGet, "/blob", "A file", "", [&](const Request& request) {
               ranges.push_back(request.header("Range").value_or(""));
               return platform::file_response(folder.path() / "blob", "application/octet-stream", "abc");
             }});
  support::HttpFixture fixture(std::move(table));
  auto client = fixture.client();
  const auto partial = folder.path() / "partial";
  EXPECT_THROW(client.download("/blob", partial, [](std::uint64_t have, std::uint64_t) { return have < 1'000'000; }),
               Error);
  const auto stopped_at = std::filesystem::file_size(partial);
  ASSERT_GE(stopped_at, 1'000'000u);
  ASSERT_LT(stopped_at, bytes.size());
  EXPECT_EQ(client.download("/blob", partial), bytes.size());
  EXPECT_EQ(platform::read_file(partial), bytes);
  EXPECT_EQ(client.download("/blob", partial), bytes.size());  // complete already
  EXPECT_EQ(platform::read_file(partial), bytes);
  EXPECT_EQ(ranges[1], "bytes=" + std::to_string(stopped_at) + "-");
}

TEST(HttpClient, AsksForPartsOfAFile) {
  const platform::TemporaryFolder folder;
  platform::write_file_atomically(folder.path() / "f", "0123456789");
  platform::RouteTable table;
  table.add({Method::kGet, "/f", "A file", "",
             [&](const Request&) { return platform::file_response(folder.path() / "f", "text/plain"); }});
  support::HttpFixture fixture(std::move(table));
  auto client = fixture.client();
  EXPECT_EQ(client.get("/f", {{"Range", "bytes=2-4"}}).body, "234");
  EXPECT_EQ(client.get("/f", {{"Range", "bytes=-3"}}).body, "789");
  EXPECT_EQ(client.get("/f", {{"Range", "bytes=8-"}}).headers.at("Content-Range"), "bytes 8-9/10");
  EXPECT_EQ(client.get("/f", {{"Range", "bytes=10-"}}).status, 416);
  EXPECT_EQ(client.get("/f", {{"Range", "lines=1-2"}}).body, "0123456789");
  EXPECT_EQ(client.get("/f", {{"Range", "bytes=7-18446744073709551615"}}).body, "789");
}

TEST(HttpClient, IsNotSentAFileAgainThatItHas) {
  const platform::TemporaryFolder folder;
  platform::write_file_atomically(folder.path() / "f", "0123456789");
  platform::RouteTable table;
  table.add({Method::kGet, "/f", "A file", "",
             [&](const Request&) { return platform::file_response(folder.path() / "f", "text/plain", "v7"); }});
  support::HttpFixture fixture(std::move(table));
  auto client = fixture.client();
  const platform::HttpResponse same = client.get("/f", {{"If-None-Match", "\"v6\", \"v7\""}});
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  EXPECT_EQ(client.get("/f", {{"If-None-Match", "\"v70\""}}).body, "0123456789");
}

TEST(HttpClient, TriesAgainWhenTheServerIsBusyIfTheRequestMayBeRepeated) {
  std::atomic<int> calls{0};
  const auto refuse_twice = [&](const Request&) -> platform::Response {
    if (++calls < 3) return {503, {{"Retry-After", "0"}}, std::string()};
    return platform::text_response("done");
  };
  platform::RouteTable table;
  table.add({Method::kPost, "/busy", "Refuses twice", "", refuse_twice});
  table.add({Method::kGet, "/busy", "Refuses twice", "", refuse_twice});
  support::HttpFixture fixture(std::move(table));
  platform::HttpClientOptions options;
  options.retries = 3;
  EXPECT_EQ(fixture.client(options).get("/busy").body, "done");
  EXPECT_EQ(calls.exchange(0), 3);
  EXPECT_EQ(fixture.client(options).post("/busy", "x", "text/plain", {{"Idempotency-Key", "k"}}).body, "done");
  EXPECT_EQ(calls.exchange(0), 3);
  EXPECT_EQ(fixture.client(options).post("/busy", "x").status, 503) << "the server may have done it before it failed";
  EXPECT_EQ(calls, 1);
}

TEST(HttpClient, RefusesAnEventWithoutAnEnd) {
  platform::RouteTable table;
  table.add({Method::kGet, "/stream", "Never ends a line", "", [](const Request&) {
               return platform::event_response([](platform::EventSink& sink) {
                 while (sink.write(std::string(1 << 20, 'x'))) {
                 }
               });
             }});
  support::HttpFixture fixture(std::move(table));
  try {
    fixture.client().events("/stream", [](const platform::ServerEvent&) { return true; });
    FAIL();
  } catch (const Error& failed) {
    EXPECT_EQ(failed.code(), ErrorCode::kTooLarge) << failed.what();
  }
}

TEST(HttpClient, NamesTheHostItCannotReach) {
  std::string address;
  {
    support::HttpFixture fixture{platform::RouteTable()};
    address = fixture.server.address();
  }
  platform::HttpClient client(address);
  try {
    client.get("/x");
    FAIL();
  } catch (const Error& failed) {
    EXPECT_EQ(failed.code(), ErrorCode::kUnavailable);
    EXPECT_NE(std::string(failed.what()).find(address.substr(7)), std::string::npos) << failed.what();
  }
}

TEST(HttpClient, ThrowsTheErrorThatTheServerThrew) {
  platform::RouteTable table;
  table.add({Method::kGet, "/x", "Fails", "", [](const Request&) -> platform::Response {
               throw Error(ErrorCode::kConflict, "gate not passed: v3", "alias");
             }});
  support::HttpFixture fixture(std::move(table));
  try {
    fixture.client().get("/x").checked();
    FAIL();
  } catch (const Error& failed) {
    EXPECT_EQ(failed.code(), ErrorCode::kConflict);
    EXPECT_EQ(failed.path(), "alias");
    EXPECT_STREQ(failed.what(), "gate not passed: v3");
  }
}

TEST(HttpClient, RefusesAnAddressThatIsNone) {
  EXPECT_THROW(platform::HttpClient("localhost"), Error);
  EXPECT_THROW(platform::HttpClient("ftp://host"), Error);
}

TEST(HttpClient, RefusesAUsersPasswordInTheAddressWithoutTellingIt) {
  try {
    platform::HttpClient("http://anna:s3cret@plant:8080");
    FAIL();
  } catch (const Error& refused) {
    EXPECT_EQ(refused.code(), ErrorCode::kInvalidInput);
    EXPECT_EQ(std::string(refused.what()).find("s3cret"), std::string::npos) << refused.what();
  }
}

TEST(HttpClient, SendsNothingThatWouldBeginALineOfItsOwn) {
  std::atomic<int> asked = 0;
  platform::RouteTable table;
  table.add({Method::kGet, "/x", "Counts", "", [&](const Request&) {
               ++asked;
               return platform::empty_response();
             }});
  support::HttpFixture fixture(std::move(table));
  auto client = fixture.client();
  const auto refused = [&](const std::string& target, const platform::Headers& headers) {
    try {
      client.get(target, headers);
      return false;
    } catch (const Error& error) {
      return error.code() == ErrorCode::kInvalidInput;
    }
  };
  for (const std::string end : {"\r", "\n", "\r\nX-Role: admin", " HTTP/1.1", "\x7f"})
    EXPECT_TRUE(refused("/x" + end, {})) << end;
  EXPECT_TRUE(refused("/x" + std::string(1, '\0'), {}));
  for (const std::string& value : {std::string("a\rb"), std::string("a\nb"), std::string("a\0b", 3)}) {
    EXPECT_TRUE(refused("/x", {{"X-A", value}}));
    EXPECT_TRUE(refused("/x", {{"X-A" + value, "a"}}));
  }
  EXPECT_TRUE(refused("/x", {{"X A", "a"}}));
  EXPECT_TRUE(refused("/x", {{"X-A: b", "a"}}));
  EXPECT_EQ(asked, 0);
  EXPECT_FALSE(refused("/x?a=%0d%0a", {{"X-A", "a b"}}));
  EXPECT_EQ(asked, 1);
}

}  // namespace
