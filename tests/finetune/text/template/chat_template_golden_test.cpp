// Chat templates beside the renders of transformers, family by family, construct by construct, and hostile ones.
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>

#include "finetune/text/template/chat_encoding.h"
#include "platform/base/file.h"
#include "tests/support/golden_folder.h"

namespace finetune {
namespace {

namespace json = platform::json;

// The moment at which the golden renders were made.
class FrozenClock final : public platform::Clock {
 public:
  platform::Time now() const override { return platform::parse_time("2026-01-02T03:04:05Z"); }
};

// The value of `key`, or null.
json::value value_of(const json::object& object, std::string_view key) {
  const json::value* found = object.if_contains(key);
  return found ? *found : json::value(nullptr);
}

RenderedChat render(const ChatTemplate& chat, const json::object& fields, const json::object& variables) {
  const json::value messages = value_of(fields, "messages");
  return chat.render(messages.is_array() ? messages.get_array() : json::array(), value_of(fields, "tools"), variables,
                     FrozenClock());
}

std::string text_of(const json::value& value) { return std::string(value.as_string()); }

// Python's "TemplateError: text" is what raise_exception gives.
void expect_error(const TemplateError& error, const std::string& python, const std::string& name) {
  static const std::string kRaised = "TemplateError: ";
  if (!python.starts_with(kRaised)) return;
  EXPECT_TRUE(error.raised()) << name << ": " << error.what();
  EXPECT_EQ(error.reason(), python.substr(kRaised.size())) << name;
}

std::string error_of(const json::object& expected) {
  const json::value error = value_of(expected, "error");
  if (const auto* object = error.if_object()) return text_of(object->at("type")) + ": " + text_of(object->at("text"));
  return error.is_string() ? text_of(error) : "";
}

void check_case(const ChatTemplate& chat, const json::object& expected, const std::string& name) {
  const json::value variables = value_of(expected, "variables");
  const json::object none;
  try {
    const RenderedChat rendered = render(chat, expected, variables.is_object() ? variables.get_object() : none);
    const json::value wanted = value_of(expected, "rendered");
    ASSERT_TRUE(wanted.is_string()) << name << " should fail, but gives " << rendered.text;
    EXPECT_EQ(rendered.text, text_of(wanted)) << name;
    const json::value spans = value_of(expected, "generation_spans");
    if (!spans.is_array()) return;
    std::vector<ByteSpan> wanted_spans;
    for (const json::value& span : spans.get_array()) {
      wanted_spans.push_back({span.at(0).to_number<std::size_t>(), span.at(1).to_number<std::size_t>()});
    }
    EXPECT_EQ(rendered.generated, wanted_spans) << name;
  } catch (const TemplateError& error) {
    EXPECT_TRUE(value_of(expected, "rendered").is_null()) << name << ": " << error.what();
    expect_error(error, error_of(expected), name);
  }
}

std::size_t check_cases(const std::filesystem::path& program, const std::filesystem::path& cases) {
  if (!std::filesystem::exists(cases)) return 0;
  const ChatTemplate chat = ChatTemplate::parse(platform::read_file(program, 1 << 20));
  const json::value document = json::parse(platform::read_file(cases, std::uint64_t{1} << 30));
  const json::array& list = document.is_array() ? document.get_array() : document.at("cases").as_array();
  for (const json::value& expected : list) {
    check_case(chat, expected.as_object(), cases.string() + " " + text_of(expected.at("name")));
  }
  return list.size();
}

TEST(ChatTemplateGolden, RendersEveryFamilyAsTransformersDoes) {
  SKIP_WITHOUT_GOLDEN("templates");
  std::size_t checked = 0;
  for (const auto& folder : support::golden_cases("templates")) {
    if (!std::filesystem::exists(folder / "template.jinja")) continue;
    const std::size_t cases = check_cases(folder / "template.jinja", folder / "cases.json");
    const std::size_t masks = check_cases(folder / "template.generation.jinja", folder / "masks.json");
    std::cout << folder.filename().string() << ": " << cases << " renders, " << masks << " masks\n";
    checked += cases + masks;
  }
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0u);
}

void check_construct(const json::object& expected, const std::string& name) {
  const json::object context = value_of(expected, "context").as_object();
  try {
    const ChatTemplate chat = ChatTemplate::parse(text_of(expected.at("template")));
    const std::string text = render(chat, context, context).text;
    const json::value wanted = value_of(expected, "expected");
    ASSERT_TRUE(wanted.is_string()) << name << " should fail, but gives " << text;
    EXPECT_EQ(text, text_of(wanted)) << name;
  } catch (const TemplateError& error) {
    EXPECT_TRUE(value_of(expected, "expected").is_null()) << name << ": " << error.what();
    const json::value type = value_of(expected, "error_type");
    const json::value contained = value_of(expected, "error_contains");
    if (type.is_string()) expect_error(error, text_of(type) + ": " + text_of(contained), name);
  }
}

// The tokens and the assistant's part of them, for the tokenizers that are read.
std::size_t check_masks(const std::filesystem::path& masks) {
  if (!std::filesystem::exists(masks)) return 0;
  const json::value document = json::parse(platform::read_file(masks, std::uint64_t{1} << 30));
  const std::filesystem::path all = masks.parent_path().parent_path().parent_path();
  const Tokenizer tokenizer = Tokenizer::load(all / "tokenizers" / text_of(document.at("tokenizer")));
  for (const json::value& expected : document.at("cases").as_array()) {
    RenderedChat rendered{text_of(expected.at("rendered")), {}};
    for (const json::value& span : expected.at("generation_spans").as_array()) {
      rendered.generated.push_back({span.at(0).to_number<std::size_t>(), span.at(1).to_number<std::size_t>()});
    }
    const TokenSequence sequence = encode_render(tokenizer, rendered);
    const std::string name = masks.string() + " " + text_of(expected.at("name"));
    EXPECT_EQ(sequence.ids, json::value_to<std::vector<std::int32_t>>(expected.at("ids"))) << name;
    EXPECT_EQ(sequence.supervised, json::value_to<std::vector<std::uint8_t>>(expected.at("assistant_masks"))) << name;
  }
  return document.at("cases").as_array().size();
}

TEST(ChatTemplateGolden, SupervisesTheTokensThatTransformersMasks) {
  SKIP_WITHOUT_GOLDEN("templates");
  std::size_t checked = 0;
  for (const auto& folder : support::golden_cases("templates")) checked += check_masks(folder / "masks.json");
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0u);
}

TEST(ChatTemplateGolden, ComputesEveryConstructAsJinjaDoes) {
  SKIP_WITHOUT_GOLDEN("templates/constructs/cases.jsonl");
  std::size_t checked = 0;
  for (const auto& path : support::golden_paths("templates/constructs/cases.jsonl")) {
    const std::vector<json::value> cases = support::golden_lines(path);
    for (const json::value& expected : cases) check_construct(expected.as_object(), text_of(expected.at("name")));
    checked += cases.size();
  }
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0u);
}

TEST(ChatTemplateGolden, StopsEveryHostileTemplateEarly) {
  SKIP_WITHOUT_GOLDEN("templates/hostile.jsonl");
  const std::vector<json::value> cases =
      support::golden_lines(support::golden_paths("templates/hostile.jsonl").front());
  for (const json::value& hostile : cases) {
    const std::string name = text_of(hostile.at("name"));
    [[maybe_unused]] const auto begin = std::chrono::steady_clock::now();
    const json::value context = value_of(hostile.as_object(), "context");
    const json::object variables = context.is_object() ? context.get_object() : json::object();
    const auto attempt = [&] { render(ChatTemplate::parse(text_of(hostile.at("template"))), variables, variables); };
    EXPECT_THROW(attempt(), TemplateError) << name;
#if !defined(__SANITIZE_THREAD__)  // which takes two hundred times as long over each byte
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << name;
#endif
  }
  std::cout << "cases checked: " << cases.size() << "\n";
  EXPECT_GT(cases.size(), 0u);
}

}  // namespace
}  // namespace finetune
