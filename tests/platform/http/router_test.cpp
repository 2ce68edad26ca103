#include "platform/http/router.h"

#include <gtest/gtest.h>

namespace {

using platform::Method;
using platform::Request;

platform::Route route(Method method, std::string pattern) {
  return {method, std::move(pattern), "does something", "things.read",
          [](const Request&) { return platform::empty_response(); }};
}

TEST(RouteTable, PrefersALiteralPartToAParameter) {
  platform::RouteTable table;
  table.add(route(Method::kGet, "/runs/{id}"));
  table.add(route(Method::kGet, "/runs/latest"));
  EXPECT_EQ(table.match(Method::kGet, "/runs/latest").route->pattern, "/runs/latest");
  EXPECT_EQ(table.match(Method::kGet, "/runs/7").params.at("id"), "7");
}

TEST(RouteTable, DecodesParametersAndKeepsTheSlashesOfARest) {
  platform::RouteTable table;
  table.add(route(Method::kGet, "/sources/{name}/files/{path...}"));
  const auto match = table.match(Method::kGet, "/sources/line%203%2Fa/files/x/y.csv");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.params.at("name"), "line 3/a");
  EXPECT_EQ(match.params.at("path"), "x/y.csv");
}

TEST(RouteTable, NamesTheMethodsOfAPathThatExists) {
  platform::RouteTable table;
  table.add(route(Method::kGet, "/a"));
  table.add(route(Method::kPost, "/a"));
  EXPECT_EQ(table.match(Method::kDelete, "/a").allowed.size(), 2u);
  EXPECT_TRUE(table.match(Method::kGet, "/b").allowed.empty());
  EXPECT_NE(table.match(Method::kHead, "/a").route, nullptr);
}

TEST(RouteTable, RefusesARouteThatStandsTwiceOrHasNoSummary) {
  platform::RouteTable table;
  table.add(route(Method::kGet, "/a"));
  EXPECT_THROW(table.add(route(Method::kGet, "/a")), platform::Error);
  platform::Route bare = route(Method::kGet, "/b");
  bare.summary.clear();
  EXPECT_THROW(table.add(bare), platform::Error);
  EXPECT_THROW(table.add(route(Method::kGet, "/x{y")), platform::Error);
}

TEST(RouteTable, DescribesEveryRouteInOpenApi) {
  platform::RouteTable table;
  table.add(route(Method::kGet, "/api/v1/sources/{name}"));
  table.add(route(Method::kPost, "/api/v1/sources/{name}"));
  const auto document = table.openapi("Anneal", "1");
  EXPECT_EQ(document.at("openapi").as_string(), "3.1.0");
  for (const platform::Route& known : table.routes()) {
    const std::string method = known.method == Method::kGet ? "get" : "post";
    const auto& operation = document.at("paths").at(known.pattern).at(method).as_object();
    EXPECT_EQ(operation.at("summary").as_string(), "does something");
    EXPECT_EQ(operation.at("parameters").as_array().size(), 1u);
  }
}

TEST(PercentCoding, GivesBackWhatWentIn) {
  const std::string text = "라인 3/a?b&c=%";
  EXPECT_EQ(platform::percent_decode(platform::percent_encode(text)), text);
  EXPECT_THROW(platform::percent_decode("%4"), platform::Error);
  EXPECT_THROW(platform::percent_decode("%zz"), platform::Error);
  EXPECT_THROW(platform::percent_decode("%00"), platform::Error);
  EXPECT_THROW(platform::percent_decode("%ED%95"), platform::Error) << "half a syllable";
}

}  // namespace
