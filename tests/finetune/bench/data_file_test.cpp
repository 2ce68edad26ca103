#include "finetune/bench/data_file.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"

namespace finetune {
namespace {

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput);
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

TEST(DataTable, ReadsQuotesNewlinesAndAByteOrderMark) {
  DataTable table("\xEF\xBB\xBFid,text , last\r\n1,\"a, \"\"b\"\"\nc\",\r\n\r\n2,plain,?\n", "t.csv");
  EXPECT_EQ(table.names(), (std::vector<std::string>{"id", "text", "last"}));
  ASSERT_TRUE(table.next());
  EXPECT_EQ(table.cells(), (std::vector<std::string>{"1", "a, \"b\"\nc", ""}));
  EXPECT_EQ(table.line(), 2);
  EXPECT_EQ(table.number_if_known(2), std::nullopt);
  ASSERT_TRUE(table.next());
  EXPECT_EQ(table.line(), 5) << "a cell and a blank line lie between";
  EXPECT_EQ(table.number_if_known(2), std::nullopt);
  EXPECT_EQ(table.number(0), 2);
  EXPECT_FALSE(table.next());
}

TEST(DataTable, NamesFileAndLineOfWhatDoesNotFit) {
  EXPECT_EQ(message_of([] {
              DataTable table("a,b\n1,2\n1,x\n", "set/t.csv");
              while (table.next()) table.number(1);
            }),
            "set/t.csv:3: a number is expected, not \"x\"");
  EXPECT_EQ(message_of([] {
              DataTable table("a,b\n1,2\n1\n", "t.csv");
              while (table.next()) continue;
            }),
            "t.csv:3: the row has 1 cells, the header 2");
  EXPECT_EQ(message_of([] {
              DataTable table("a,b\n\n1,\"2\n3,4\n", "t.csv");
              table.next();
            }),
            "t.csv:3: a quote is never closed");
  EXPECT_EQ(message_of([] { DataTable("a,b\n", "t.csv").column("c"); }),
            "t.csv:1: there is no column \"c\"; there are: a, b");
  EXPECT_EQ(message_of([] { DataTable("\n", "t.csv"); }), "t.csv:1: the table has no line of names");
  EXPECT_EQ(message_of([] { number_in("inf", "t.csv", 4); }), "t.csv:4: a number is expected, not \"inf\"");
}

TEST(DataTable, TakesRaggedRowsWhereItIsAllowed) {
  DataTable table("a,b\n1\n1,2,3\n", "t.csv", true);
  ASSERT_TRUE(table.next());
  EXPECT_EQ(message_of([&] { table.number(1); }), "t.csv:2: the row ends before its cell 2");
  ASSERT_TRUE(table.next());
  EXPECT_EQ(table.number(2), 3);
}

TEST(DataFile, TextsOfOthersOpenNoSlots) {
  EXPECT_EQ(without_slots("a {{ b }} {{{"), "a { { b }} { {{");
  EXPECT_EQ(without_slots("{{{{"), "{ {{ {");
}

}  // namespace
}  // namespace finetune
