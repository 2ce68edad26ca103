#include "platform/http/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "platform/base/file.h"
#include "platform/base/shortened.h"
#include "tests/support/http_fixture.h"

namespace {

using platform::Error;
using platform::ErrorCode;
using platform::Method;
using platform::Request;
using support::HttpFixture;

platform::RouteTable echo_routes() {
  platform::RouteTable table;
  table.add({Method::kGet, "/hello/{name}", "Greets", "",
             [](const Request& request) { return platform::text_response("hello " + request.param("name")); }});
  table.add({Method::kPost, "/echo", "Sends the body back", "things.write",
             [](const Request& request) { return platform::text_response(request.body); }, 1000});
  table.add({Method::kGet, "/fails", "Throws an error of ours", "", [](const Request&) -> platform::Response {
               throw Error(ErrorCode::kConflict, "the name is taken: a; choose another", "name");
             }});
  table.add({Method::kGet, "/breaks", "Throws something else", "",
             [](const Request&) -> platform::Response { throw std::runtime_error("secret detail"); }});
  table.add({Method::kGet, "/taken", "Throws what a database said", "", [](const Request&) -> platform::Response {
               throw Error(ErrorCode::kConflict, "the name is taken; choose another", "", "violates things_pkey");
             }});
  table.add({Method::kGet, "/stream", "Counts to three", "", [](const Request&) {
               return platform::event_response([](platform::EventSink& sink) {
                 for (int i = 1; i <= 3 && sink.send("count", std::to_string(i), std::to_string(i)); ++i) {
                 }
               });
             }});
  return table;
}

/// A connection that sends bytes as they are.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  bool connected() const { return connected_; }
  bool send(const std::string& bytes) {
    return ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  /// Everything until the server closes.
  std::string rest() {
    std::string all;
    char piece[4096];
    for (ssize_t got = 0; (got = ::recv(socket_.get(), piece, sizeof piece, 0)) > 0;)
      all.append(piece, static_cast<std::size_t>(got));
    return all;
  }

 private:
  platform::FileDescriptor socket_;
  bool connected_ = false;
};

/// Sends bytes as they are and returns everything until the server closes.
std::string raw(std::uint16_t port, const std::string& bytes) {
  RawClient client(port);
  if (!client.connected()) return "no connection";
  return client.send(bytes) ? client.rest() : "not sent";
}

/// A handler that stays until it is told to leave; outlives a server that gives it up.
struct Gate {
  std::atomic<int> inside{0};
  std::atomic<bool> open{false};
  platform::Route route() {
    return {Method::kGet, "/slow", "Waits", "", [this](const Request&) {
              ++inside;
              while (!open) std::this_thread::yield();
              return platform::text_response("finished");
            }};
  }
  void wait_for(int requests) const {
    while (inside < requests) std::this_thread::yield();
  }
};

TEST(HttpServer, AnswersManyRequestsOverOneConnection) {
  HttpFixture fixture(echo_routes());
  auto client = fixture.client();
  for (int i = 0; i < 50; ++i) {
    const auto response = client.get("/hello/line%20" + std::to_string(i));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "hello line " + std::to_string(i));
    EXPECT_FALSE(response.headers.at("X-Request-Id").empty());
    EXPECT_EQ(response.headers.at("X-Content-Type-Options"), "nosniff");
  }
}

TEST(HttpServer, AnswersAThousandRequestsOverThirtyTwoConnections) {
  HttpFixture fixture(echo_routes());
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 32; ++t) {
    threads.emplace_back([&, t] {
      auto client = fixture.client();
      for (int i = 0; i < 32; ++i) {
        const std::string body = std::to_string(t * 100 + i);
        if (client.post("/echo", body, "text/plain").body == body) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 32 * 32);
}

TEST(HttpServer, TurnsAnErrorIntoAProblemWithCodeAndPath) {
  HttpFixture fixture(echo_routes());
  const auto response = fixture.client().get("/fails");
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.headers.at("Content-Type"), "application/problem+json");
  const auto problem = response.json().as_object();
  EXPECT_EQ(problem.at("code").as_string(), "conflict");
  EXPECT_EQ(problem.at("path").as_string(), "name");
  EXPECT_EQ(problem.at("request_id").as_string(), response.headers.at("X-Request-Id"));
}

TEST(HttpServer, HidesTheTextOfAnUnknownException) {
  HttpFixture fixture(echo_routes());
  const auto response = fixture.client().get("/breaks");
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(response.body.find("secret"), std::string::npos);
}

TEST(HttpServer, TellsTheCauseOfAnErrorToTheLogUnderTheRequestsIdAndNotToTheClient) {
  const platform::TemporaryFolder folder;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen((folder.path() / "log").c_str(), "w+"),
                                                             std::fclose);
  HttpFixture fixture(echo_routes(), {}, platform::allow_everything, platform::Log(file.get()));
  const auto response = fixture.client().get("/taken", {{"X-Request-Id", "shift-7"}});
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.json().at("detail"), "the name is taken; choose another");
  EXPECT_EQ(response.body.find("things_pkey"), std::string::npos) << response.body;
  const auto line = platform::parse_json(platform::read_file(folder.path() / "log"), "log");
  EXPECT_EQ(line.at("cause"), "violates things_pkey");
  EXPECT_EQ(line.at("request_id"), "shift-7");
}

TEST(HttpServer, KnowsNoSuchAddressFromNoSuchMethod) {
  HttpFixture fixture(echo_routes());
  auto client = fixture.client();
  EXPECT_EQ(client.get("/nowhere").status, 404);
  const auto wrong = client.remove("/hello/a");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.at("Allow"), "GET, HEAD");
}

TEST(HttpServer, AnswersHeadWithTheLengthAndNoBody) {
  HttpFixture fixture(echo_routes());
  auto client = fixture.client();
  const auto response = client.request(Method::kHead, "/hello/you", "", "", {});
  EXPECT_EQ(response.headers.at("Content-Length"), "9");
  EXPECT_TRUE(response.body.empty());
  EXPECT_EQ(client.get("/hello/you").body, "hello you");
}

TEST(HttpServer, RefusesABodyOverTheRoutesLimit) {
  HttpFixture fixture(echo_routes());
  EXPECT_EQ(fixture.client().post("/echo", std::string(1000, 'x')).status, 200);
  EXPECT_EQ(fixture.client().post("/echo", std::string(1001, 'x')).status, 413);
  const std::string chunked =
      raw(fixture.server.port(), "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
                                     std::string(2000, 'x') + "\r\n0\r\n\r\n");
  EXPECT_TRUE(chunked.starts_with("HTTP/1.1 413")) << chunked;
}

TEST(HttpServer, ReadsAChunkedBody) {
  HttpFixture fixture(echo_routes());
  const std::string answer = raw(fixture.server.port(),
                                 "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: "
                                 "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n\r\nabcde")) << answer;
}

TEST(HttpServer, RefusesAnEncodedBodyBeforeItIsSentAndSaysWhatToDo) {
  HttpFixture fixture(echo_routes());
  const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n";
  for (const std::string coding : {"gzip", "GZIP", "identity, br", "identity\r\nContent-Encoding: gzip", "\xFF"}) {
    const std::string answer =
        raw(fixture.server.port(), head + "Content-Encoding: " + coding + "\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 415")) << coding << "\n" << answer;
    EXPECT_NE(answer.find("send it as it is, without that header"), std::string::npos) << answer;
    EXPECT_NE(answer.find("Accept-Encoding: identity\r\n"), std::string::npos) << answer;
    EXPECT_TRUE(platform::is_plain_text(answer)) << coding;
  }
  for (const std::string coding : {"identity", "Identity", ""}) {
    const std::string answer = raw(fixture.server.port(), head + "Content-Encoding: " + coding + "\r\n\r\nab");
    EXPECT_TRUE(answer.ends_with("\r\n\r\nab")) << coding << "\n" << answer;
  }
}

TEST(HttpServer, AsksForTheBodyOfAClientThatExpectsIt) {
  HttpFixture fixture(echo_routes());
  const std::string answer =
      raw(fixture.server.port(),
          "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")) << answer;
}

TEST(HttpServer, RefusesMalformedRequests) {
  HttpFixture fixture(echo_routes());
  const std::vector<std::pair<std::string, std::string>> cases{
      {"nonsense\r\n\r\n", "400"},
      {"GET /hello/a HTTP/1.1\r\nbroken header\r\n\r\n", "400"},
      {"GET /hello/%zz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"},
      {"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
      {"BREW /hello/a HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
      {"GET /hello/a HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n", "431"}};
  for (const auto& [bytes, status] : cases) {
    const std::string answer = raw(fixture.server.port(), bytes);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + status)) << bytes.substr(0, 60) << "\n" << answer;
  }
  EXPECT_EQ(fixture.client().get("/hello/b").status, 200);
}

TEST(HttpServer, RefusesAnAddressThatHoldsNoTextBeforeAnyRouteSeesIt) {
  HttpFixture fixture(echo_routes());
  for (const std::string target : {"/hello/%FF", "/hello/a%00b", "/hello/\xFF", "/nowhere/%C0%AF", "/hello/a?x=%ED%95",
                                   "/hello/a?%00=1", "/hello/%ED%A0%80", "/\xFF"}) {
    const std::string answer = raw(fixture.server.port(), "GET " + target +
                                                              " HTTP/1.1\r\nHost: a\r\nX-Request-Id: "
                                                              "shift-7\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400")) << target << "\n" << answer;
    EXPECT_NE(answer.find("\"code\":\"invalid_input\""), std::string::npos) << answer;
    EXPECT_NE(answer.find("\"request_id\":\"shift-7\""), std::string::npos) << answer;
    EXPECT_TRUE(platform::is_plain_text(answer)) << target;
  }
  EXPECT_EQ(fixture.client().get("/hello/%EA%B0%80?x=%EA%B0%80").body, "hello 가");
}

TEST(HttpServer, TimesOutAClientThatStopsInTheMiddleOfItsHeaders) {
  platform::ServerOptions options;
  options.header_timeout = std::chrono::milliseconds(100);
  options.idle_timeout = std::chrono::milliseconds(100);
  HttpFixture fixture(echo_routes(), options);
  EXPECT_TRUE(raw(fixture.server.port(), "GET /hello/a HTTP/1.1\r\nHo").starts_with("HTTP/1.1 408"));
  EXPECT_EQ(raw(fixture.server.port(), ""), "");
}

TEST(HttpServer, AsksTheAuthorizeFunctionWithTheRoutesPermission) {
  const auto authorize = [](const Request& request, std::string_view permission) -> platform::Identity {
    if (permission.empty()) return {};
    if (platform::bearer_token(request) != "right") throw Error(ErrorCode::kUnauthenticated, "unknown token");
    return {"kim", "engineer", "default"};
  };
  HttpFixture fixture(echo_routes(), {}, authorize);
  EXPECT_EQ(fixture.client().get("/hello/a").status, 200);
  const auto refused = fixture.client().post("/echo", "x");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.headers.at("WWW-Authenticate"), "Bearer");
  platform::HttpClientOptions options;
  options.token = "right";
  EXPECT_EQ(fixture.client(options).post("/echo", "x").status, 200);
}

TEST(HttpServer, FindsTheTokenHoweverItsSchemeIsWritten) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"Bearer x", "x"}, {"bearer x", "x"}, {"BEARER   x", "x"}, {"Basic x", ""},
      {"Bearerx", ""},   {"Bearer", ""},    {"x", ""},           {"", ""}};
  for (const auto& [value, token] : cases) {
    Request request;
    request.headers["Authorization"] = value;
    EXPECT_EQ(platform::bearer_token(request), token) << value;
  }
}

TEST(HttpServer, AsksForTheTokenBeforeItReadsTheBody) {
  const auto nobody = [](const Request&, std::string_view) -> platform::Identity {
    throw Error(ErrorCode::kUnauthenticated, "unknown token");
  };
  HttpFixture fixture(echo_routes(), {}, nobody);
  const std::string answer =
      raw(fixture.server.port(), "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\nonly the beginning");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401")) << answer;
}

TEST(HttpServer, HoldsNoMoreBodiesThanItsMemoryAllows) {
  platform::ServerOptions options;
  options.body_memory_bytes = 1000;
  HttpFixture fixture(echo_routes(), options);
  RawClient slow(fixture.server.port());
  const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 900\r\n";
  ASSERT_TRUE(slow.send(head + "Expect: 100-continue\r\n\r\n"));
  EXPECT_EQ(fixture.client().post("/echo", std::string(50, 'x')).status, 200);
  int status = 0;
  for (int i = 0; i < 2000 && status != 503; ++i)  // until the slow one's headers have arrived
    status = fixture.client().post("/echo", std::string(900, 'x')).status;
  EXPECT_EQ(status, 503);
  ASSERT_TRUE(slow.send(std::string(900, 'x')));
  EXPECT_TRUE(slow.rest().ends_with("x"));
  EXPECT_EQ(fixture.client().post("/echo", std::string(900, 'x')).status, 200);
}

TEST(HttpServer, ADirectRouteAnswersWhileEveryHandlerIsBusy) {
  Gate gate;
  platform::RouteTable table;
  table.add(gate.route());
  platform::Route direct{Method::kGet, "/healthz", "Lives", "",
                         [](const Request&) { return platform::text_response("ok"); }};
  direct.direct = true;
  table.add(direct);
  platform::ServerOptions options;
  options.handler_threads = 1;
  HttpFixture fixture(std::move(table), options);
  std::thread asking([&] { EXPECT_EQ(fixture.client().get("/slow").body, "finished"); });
  gate.wait_for(1);
  EXPECT_EQ(fixture.client().get("/healthz").body, "ok");
  gate.open = true;
  asking.join();
}

TEST(HttpServer, AnswersPipelinedRequestsInTheirOrder) {
  HttpFixture fixture(echo_routes());
  const std::string answers = raw(fixture.server.port(),
                                  "GET /hello/a HTTP/1.1\r\nHost: a\r\n\r\n"
                                  "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
                                  "GET /hello/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::size_t first = answers.find("hello a"), second = answers.find("\r\n\r\nhi"),
                    third = answers.find("hello b");
  ASSERT_NE(third, std::string::npos) << answers;
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
}

TEST(HttpServer, TimesOutAClientThatStopsInTheMiddleOfItsBody) {
  platform::ServerOptions options;
  options.body_timeout = std::chrono::milliseconds(100);
  HttpFixture fixture(echo_routes(), options);
  EXPECT_TRUE(raw(fixture.server.port(), "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
                  .starts_with("HTTP/1.1 408"));
}

TEST(HttpServer, GivesAClientUpThatDoesNotReadItsAnswer) {
  platform::RouteTable table;
  std::atomic<bool> asked{false};
  table.add({Method::kGet, "/much", "Answers with much", "", [&](const Request&) {
               asked = true;
               return platform::text_response(std::string(std::size_t{64} << 20, 'x'));
             }});
  platform::ServerOptions options;
  options.write_timeout = std::chrono::milliseconds(100);
  options.stop_grace = std::chrono::seconds(60);
  HttpFixture fixture(std::move(table), options);
  RawClient deaf(fixture.server.port());
  ASSERT_TRUE(deaf.send("GET /much HTTP/1.1\r\nHost: a\r\n\r\n"));
  while (!asked) std::this_thread::yield();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(fixture.server.stop());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_LT(deaf.rest().size(), std::size_t{64} << 20);
}

TEST(HttpServer, ServesNoMoreConnectionsThanItMay) {
  platform::ServerOptions options;
  options.max_connections = 1;
  HttpFixture fixture(echo_routes(), options);
  platform::HttpClientOptions hasty;
  hasty.timeout = std::chrono::milliseconds(200);
  {
    auto first = fixture.client();
    EXPECT_EQ(first.get("/hello/a").status, 200);
    EXPECT_THROW(fixture.client(hasty).get("/hello/b"), Error);
    EXPECT_EQ(first.get("/hello/a").status, 200);
  }
  EXPECT_EQ(fixture.client().get("/hello/b").status, 200);
}

TEST(HttpServer, StreamsEventsUntilTheProducerEnds) {
  HttpFixture fixture(echo_routes());
  std::string seen;
  auto client = fixture.client();
  client.events("/stream", [&](const platform::ServerEvent& event) {
    seen += event.event + event.id + "=" + event.data + " ";
    return true;
  });
  EXPECT_EQ(seen, "count1=1 count2=2 count3=3 ");
  EXPECT_EQ(client.get("/hello/a").status, 200);
}

TEST(HttpServer, FinishesARequestThatIsUnderWayWhenItStops) {
  Gate gate;
  platform::RouteTable table;
  table.add(gate.route());
  HttpFixture fixture(std::move(table));
  std::string body;
  std::thread asking([&] { body = fixture.client().get("/slow").body; });
  gate.wait_for(1);
  std::thread stopping([&] { EXPECT_TRUE(fixture.server.stop()); });
  while (RawClient(fixture.server.port()).connected()) std::this_thread::yield();  // it stops accepting first
  gate.open = true;
  asking.join();
  stopping.join();
  EXPECT_EQ(body, "finished");
}

TEST(HttpServer, LeavesARequestBehindThatDoesNotEnd) {
  static Gate gate;  // its handler outlives the server
  platform::RouteTable table;
  table.add(gate.route());
  platform::ServerOptions options;
  options.stop_grace = std::chrono::milliseconds(100);
  {
    HttpFixture fixture(std::move(table), options);
    RawClient asking(fixture.server.port());
    ASSERT_TRUE(asking.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"));
    gate.wait_for(1);
    EXPECT_FALSE(fixture.server.stop());
    EXPECT_EQ(asking.rest(), "");
  }
  gate.open = true;
}

TEST(HttpServer, NamesTheAddressThatIsTaken) {
  HttpFixture fixture(echo_routes());
  platform::ServerOptions options;
  options.port = fixture.server.port();
  EXPECT_THROW(HttpFixture(echo_routes(), options), Error);
}

}  // namespace
