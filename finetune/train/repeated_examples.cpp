#include "finetune/train/repeated_examples.h"

#include <functional>
#include <span>
#include <string_view>
#include <unordered_map>

namespace finetune {
namespace {

// A number that tells questions apart as their whole text would; a chance in 2^64 for two to be taken for one does not
// matter to a note.
class Fingerprint {
 public:
  void add(std::string_view text) {
    add(text.size());
    for (const char byte : text) step(static_cast<unsigned char>(byte));
  }
  void add(double value) { add_bytes(std::as_bytes(std::span(&value, 1))); }
  void add(std::size_t count) { add_bytes(std::as_bytes(std::span(&count, 1))); }
  void add(const std::vector<float>& values) {
    add(values.size());
    add_bytes(std::as_bytes(std::span(values)));
  }
  std::uint64_t value() const { return hash_; }

 private:
  void add_bytes(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) step(static_cast<unsigned char>(byte));
  }
  void step(unsigned char byte) { hash_ = (hash_ ^ byte) * 0x100000001b3u; }

  std::uint64_t hash_ = 0xcbf29ce484222325u;  // FNV-1a
};

std::uint64_t fingerprint_of(const platform::Example& example) {
  Fingerprint print;
  print.add(example.prompt);
  print.add(example.text);
  std::span<const platform::Message> asked = example.messages;
  if (!asked.empty() && asked.back().role == "assistant") asked = asked.first(asked.size() - 1);
  for (const platform::Message& message : asked) {
    print.add(message.role);
    print.add(message.content);
  }
  for (const auto& [name, value] : example.numbers) {
    print.add(name);
    print.add(value.has_value() ? std::size_t{1} : std::size_t{0});
    print.add(value.value_or(0));
  }
  for (const auto& [name, value] : example.categories) {
    print.add(name);
    print.add(value.has_value() ? std::size_t{1} : std::size_t{0});
    print.add(value.value_or(""));
  }
  for (const auto& [name, signal] : example.signals) {
    print.add(name);
    print.add(signal.values);
  }
  return print.value();
}

unsigned bit_of(platform::Split split) { return 1u << static_cast<unsigned>(split); }
bool several(unsigned parts) { return (parts & (parts - 1)) != 0; }

// The parts in which each key stands, a bit each.
template <typename Key>
using Parts = std::unordered_map<Key, unsigned>;

}  // namespace

RepeatedExamples repeated_in_parts(const std::vector<platform::Example>& examples) {
  Parts<std::string> ids;
  Parts<std::uint64_t> questions;
  std::vector<std::uint64_t> prints;
  for (const platform::Example& example : examples) {
    if (!example.id.empty()) ids[example.id] |= bit_of(example.split);
    questions[prints.emplace_back(fingerprint_of(example))] |= bit_of(example.split);
  }
  RepeatedExamples repeated;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    unsigned counted = 0;  // each is counted at its first example
    unsigned& with_id = examples[i].id.empty() ? counted : ids[examples[i].id];
    unsigned& with_question = questions[prints[i]];
    if (several(with_id)) {
      if (repeated.ids++ == 0) repeated.first_id = examples[i].id;
      with_id = 0;
      with_question = 0;
    } else if (several(with_question)) {
      if (repeated.questions++ == 0) repeated.first_question = examples[i].id;
      with_question = 0;
    }
  }
  return repeated;
}

std::optional<std::string> repeated_notice(const RepeatedExamples& repeated) {
  if (repeated.ids == 0 && repeated.questions == 0) return std::nullopt;
  std::string notice;
  if (repeated.ids > 0)
    notice = "ids that stand in more than one part of the data: " + std::to_string(repeated.ids) + ", the first is " +
             repeated.first_id;
  if (repeated.questions > 0) {
    notice += (notice.empty() ? "" : "; ") +
              ("the same prompt with the same values in more than one part: " + std::to_string(repeated.questions) +
               " times, the first is that of " + repeated.first_question);
  }
  return notice +
         "; what was learnt by heart counts as a success there: put all copies into one part, for example by " +
         "a common `group`";
}

}  // namespace finetune
