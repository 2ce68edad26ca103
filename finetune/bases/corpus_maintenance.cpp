#include <algorithm>

#include "finetune/bases/corpus_documents.h"
#include "finetune/bases/lexicon.h"

namespace finetune {
namespace {

// One observation and the failure mode that it follows from.
struct Observation {
  std::string text;
  const FailureMode* mode;
};

Observation observe(const Grammar& grammar, Random& random, const FailureMode& mode) {
  Grammar::Names names;
  names["unit"] = grammar.pick("unit", random);
  std::string text = grammar.expand(random.pick(grammar.list(std::string("fm_") + mode.code)), random, names);
  if (random.chance(0.15)) text = names["unit"] + ": " + text;
  return {misspelt(text, random), &mode};
}

Observation observe_any(const Grammar& grammar, Random& random) {
  return observe(grammar, random, random.pick(failure_modes()));
}

std::string label(const FailureMode& mode, int catalogue) {
  return catalogue == 0 ? mode.name : catalogue == 1 ? mode.plain : catalogue == 2 ? mode.code : mode.korean;
}

// Several observations with their labels in one form, as a trained classifier's log would read.
std::string labelled_list(const Grammar& grammar, Random& random) {
  static const std::vector<std::string> kForms = {
      "Failure mode of: {} -> ", "{} => ", "observation: {}\nfailure mode: ", "text: {} | label: ", "{} ## ",
      "Work order: {}\nCode: ",  "{},",    "Q: What failed? \"{}\"\nA: "};
  const std::string& form = random.pick(kForms);
  const int catalogue = static_cast<int>(random.below(4));
  std::string text;
  for (std::int64_t i = random.between(2, 9); i > 0; --i) {
    const Observation seen = observe_any(grammar, random);
    std::string line = form;
    line.replace(line.find("{}"), 2, seen.text);
    text += line + label(*seen.mode, catalogue) + "\n";
  }
  text.pop_back();
  return text;
}

std::string grouped_by_mode(const Grammar& grammar, Random& random) {
  std::string text;
  for (std::int64_t group = random.between(1, 3); group > 0; --group) {
    const FailureMode& mode = random.pick(failure_modes());
    text += std::string(mode.name) + " (" + mode.code + ", " + mode.plain + "):\n";
    for (std::int64_t i = random.between(3, 7); i > 0; --i) text += "- " + observe(grammar, random, mode).text + "\n";
  }
  text.pop_back();
  return text;
}

std::string same_or_different(const Grammar& grammar, Random& random) {
  std::string text = "Same failure mode?\n";
  for (std::int64_t i = random.between(2, 5); i > 0; --i) {
    const Observation first = observe_any(grammar, random);
    const Observation second =
        random.chance(0.5) ? observe(grammar, random, *first.mode) : observe_any(grammar, random);
    text += first.text + " / " + second.text + ": ";
    text += first.mode == second.mode ? std::string("yes, ") + first.mode->plain
                                      : std::string("no, ") + first.mode->plain + " and " + second.mode->plain;
    text += "\n";
  }
  text.pop_back();
  return text;
}

std::string choose_one(const Grammar& grammar, Random& random) {
  std::string text;
  for (std::int64_t i = random.between(1, 3); i > 0; --i) {
    const Observation seen = observe_any(grammar, random);
    std::vector<const FailureMode*> options = {seen.mode};
    while (options.size() < 4) {
      const FailureMode* other = &random.pick(failure_modes());
      if (std::find(options.begin(), options.end(), other) == options.end()) options.push_back(other);
    }
    std::swap(options[0], options[random.below(4)]);
    text += "Note: " + seen.text + "\nOptions:";
    for (const FailureMode* option : options) text += std::string(" ") + option->name + ";";
    text += "\nAnswer: " + std::string(seen.mode->name) + "\n";
  }
  text.pop_back();
  return text;
}

std::string work_order(const Grammar& grammar, Random& random) {
  const Observation seen = observe_any(grammar, random);
  Grammar::Names names;
  const std::string head =
      grammar.expand("WO {#10000-99999} | {site} | ^{shift} | reported by {person}\n", random, names);
  const std::string tail =
      grammar.expand("\nAction: {action} {part}. Time {#0-9.1} h, parts {#0-4}. Done by {name}.", random, names);
  return head + "Problem: " + seen.text + "\nFailure mode: " + seen.mode->name + "\nCategory: " + seen.mode->plain +
         tail;
}

std::string korean_list(const Grammar& grammar, Random& random) {
  static const std::vector<std::string> kCodes = {"ELE", "LEK", "VIB", "NOI", "OHE", "BRD", "STD", "PLU",
                                                  "FTS", "UST", "FTF", "LOO", "AIR", "CON", "COR", "SER"};
  static const std::vector<std::string> kHeads = {"고장 내용과 고장 유형", "정비 일지", "작업 지시", "설비 이상 기록"};
  std::string text = random.pick(kHeads) + "\n";
  const bool english = random.chance(0.25);
  for (std::int64_t i = random.between(2, 8); i > 0; --i) {
    const std::string& code = random.pick(kCodes);
    const auto mode = std::find_if(failure_modes().begin(), failure_modes().end(),
                                   [&](const FailureMode& m) { return code == m.code; });
    text += grammar.pick("ko_line", random) + ": " + grammar.pick("ko_" + code, random) + " -> " +
            (english ? mode->name : mode->korean);
    if (random.chance(0.4)) text += ". " + grammar.expand("{부품} {조치}", random);
    text += "\n";
  }
  text.pop_back();
  return text;
}

std::string shift_report(const Grammar& grammar, Random& random) {
  std::string text = grammar.expand("^{shift} report, {site}, day {#1-365}. ", random);
  for (std::int64_t i = random.between(2, 5); i > 0; --i) {
    const Observation seen = observe_any(grammar, random);
    text += grammar.expand("At {#0-23}:{#10-59} the {person} wrote: ", random) + seen.text + ". That is " +
            seen.mode->plain + ". ";
    text += grammar.expand(random.pick(std::vector<std::string>{
                               "We had to {action} the {part}. ", "{name} will {action} the {part} tomorrow. ",
                               "Stopped for {#5-240} minutes. ", "Spare {part} ordered. "}),
                           random);
  }
  text.pop_back();
  return text;
}

}  // namespace

const std::vector<DocumentKind>& maintenance_documents() {
  static const std::vector<DocumentKind> kKinds = {{labelled_list, 16}, {grouped_by_mode, 6}, {same_or_different, 4},
                                                   {choose_one, 4},     {work_order, 5},      {korean_list, 8},
                                                   {shift_report, 5}};
  return kKinds;
}

}  // namespace finetune
