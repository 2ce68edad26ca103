#include "deploy/agent/agent.h"

#include <gtest/gtest.h>

#include "deploy/agent/front_door.h"
#include "deploy/trust.h"
#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/http/client.h"

namespace {

using platform::Error;

class AgentOnOneFolder : public testing::Test {
 protected:
  deploy::AgentOptions options() {
    deploy::AgentOptions options;
    options.name = "edge-01";
    options.data = folder_.path() / "agent";
    options.port = 0;
    options.root = folder_.path() / "root.json";
    return options;
  }
  void SetUp() override {
    platform::write_file_atomically(folder_.path() / "root.json",
                                    deploy::SigningKeys::open(folder_.path() / "keys").root());
  }
  platform::TemporaryFolder folder_;
  platform::SystemClock clock_;
};

TEST_F(AgentOnOneFolder, RefusesToStartBesideAnotherAndNamesItsAddress) {
  const auto first = std::make_unique<deploy::Agent>(options(), clock_, platform::Log::silent());
  platform::write_file_atomically(options().data / "agent-address", first->address() + "\n");
  try {
    deploy::Agent second(options(), clock_, platform::Log::silent());
    FAIL() << "a second agent runs on the same folder";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kConflict);
    EXPECT_NE(std::string(error.what()).find(first->address() + ";"), std::string::npos) << error.what();
  }
  EXPECT_EQ(platform::HttpClient(first->address()).get("/healthz").status, 200);
}

TEST_F(AgentOnOneFolder, StartsWhereAnotherHasEnded) {
  std::make_unique<deploy::Agent>(options(), clock_, platform::Log::silent()).reset();
  EXPECT_NO_THROW(deploy::Agent(options(), clock_, platform::Log::silent()));
}

TEST_F(AgentOnOneFolder, AnswersNoWebPageOfAnotherOrigin) {
  deploy::Agent agent(options(), clock_, platform::Log::silent());
  platform::HttpClient client(agent.address());
  EXPECT_EQ(client.get("/healthz", {{"Origin", "http://evil.example"}}).status, 403);
  EXPECT_EQ(client.get("/healthz", {{"Origin", agent.address()}}).status, 200);
  EXPECT_EQ(client.get("/openapi.json").status, 200);
}

TEST(FrontDoor, LetsNoWebPageAndNoForeignNameIn) {
  EXPECT_TRUE(deploy::names_this_agent("localhost:8471", "127.0.0.1", {}));
  EXPECT_TRUE(deploy::names_this_agent("[::1]:8471", "127.0.0.1", {}));
  EXPECT_TRUE(deploy::names_this_agent("10.0.0.7:8471", "10.0.0.7", {}));
  EXPECT_TRUE(deploy::names_this_agent("press-3:8471", "10.0.0.7", {"Press-3"}));
  EXPECT_TRUE(deploy::names_this_agent("10.0.0.7", "0.0.0.0", {}));
  for (const char* host : {"", "evil.example", "127.0.0.1.evil.example:8471", "10.0.0.7"})
    EXPECT_FALSE(deploy::names_this_agent(host, "127.0.0.1", {})) << host;
  EXPECT_FALSE(deploy::names_this_agent("evil.example", "0.0.0.0", {}));

  const auto door = deploy::front_door("127.0.0.1", {});
  const auto asked = [&](platform::Headers headers) {
    platform::Request request;
    request.headers = std::move(headers);
    door(request, "");
  };
  EXPECT_NO_THROW(asked({{"Host", "127.0.0.1:8471"}}));
  EXPECT_NO_THROW(asked({{"Host", "127.0.0.1:8471"}, {"Origin", "http://127.0.0.1:8471"}}));
  for (const char* origin : {"http://evil.example", "null", "http://127.0.0.1:80", ""})
    EXPECT_THROW(asked({{"Host", "127.0.0.1:8471"}, {"Origin", origin}}), Error) << origin;
  EXPECT_THROW(asked({{"Host", "evil.example"}, {"Origin", "http://evil.example"}}), Error);
}

}  // namespace
