#include "finetune/bases/corpus_documents.h"

namespace finetune {
namespace {

const std::vector<std::string> kSkills = {
    "push_left",    "push_right",  "rotate_left",    "rotate_right", "lift_table",   "lift_shelf",  "lift_drawer",
    "place_drawer", "place_shelf", "push_in_drawer", "open_drawer",  "close_drawer", "slider_left", "slider_right",
    "light_on",     "light_off",   "led_on",         "led_off",      "stack",        "unstack"};
const std::vector<std::string> kPlaces = {"village", "forest", "castle", "cave",     "tavern", "harbour",
                                          "desert",  "swamp",  "temple", "dungeon",  "market", "mountain",
                                          "farm",    "ship",   "tower",  "graveyard"};

std::string instructions(const Grammar& grammar, Random& random) {
  static const std::vector<std::string> kForms = {"instruction: {}\nskill: ", "{} -> ",
                                                  "Command: {} Task: ", "\"{}\" = ", "user: {}\nrobot: "};
  const std::string& form = random.pick(kForms);
  std::string text;
  for (std::int64_t i = random.between(2, 8); i > 0; --i) {
    const std::string& skill = random.pick(kSkills);
    std::string line = form;
    line.replace(line.find("{}"), 2, grammar.pick("skill_" + skill, random));
    text += line + skill + "\n";
  }
  text.pop_back();
  return text;
}

std::string plan(const Grammar& grammar, Random& random) {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> kPlans = {
      {"Turn on the {o=home_object}", {"Walk to {r=room}", "Find {o}", "Walk to {o}", "Touch {o}", "Switch on {o}"}},
      {"Clean the {o=home_object}",
       {"Walk to {r=room}", "Find towel", "Grab towel", "Walk to {o}", "Wipe {o}", "Put back towel"}},
      {"Bring the {o=home_object} to the {r=room}",
       {"Find {o}", "Walk to {o}", "Grab {o}", "Walk to {r}", "Put {o} on {p=place}"}},
      {"Read a book in the {r=room}",
       {"Walk to {r}", "Find book", "Grab book", "Find chair", "Sit on chair", "Read book"}},
      {"Wash the {o=home_object}",
       {"Find {o}", "Grab {o}", "Walk to bathroom", "Turn on tap", "Find soap", "Wash {o}", "Turn off tap"}},
      {"Store the {c=colour} {t=thing} in the {p=place}",
       {"Find {c} {t}", "Grasp {c} {t}", "Lift {c} {t}", "Move to {p}", "Place {c} {t} in {p}", "Release"}},
      {"Open the window of the {r=room}", {"Walk to {r}", "Find window", "Walk to window", "Open window"}},
      {"Deliver pallet to station {n=#1-20}",
       {"Drive to storage", "Lift pallet", "Drive to station {n}", "Lower pallet", "Drive to charger"}}};
  const auto& [title, steps] = random.pick(kPlans);
  Grammar::Names names;
  std::string text = "Task: " + grammar.expand(title, random, names) + "\n";
  for (std::size_t i = 0; i < steps.size(); ++i)
    text += "Step " + std::to_string(i + 1) + ": " + grammar.expand(steps[i], random, names) + "\n";
  text.pop_back();
  return text;
}

std::string wall_follower(const Grammar&, Random& random) {
  std::string text = "Robot keeps the wall on its left, one metre away.\n";
  for (std::int64_t i = random.between(3, 8); i > 0; --i) {
    const double front = 0.3 + 3 * random.uniform();
    const double left = 0.3 + 2 * random.uniform();
    const char* move = front < 0.9  ? "sharp right turn"
                       : left < 0.7 ? "slight right turn"
                       : left > 1.2 ? "slight left turn"
                                    : "move forward";
    text += "front " + fixed(front, 2) + " left " + fixed(left, 2) + " -> " + move + "\n";
  }
  text.pop_back();
  return text;
}

std::string room_text(const Grammar& grammar, Random& random) {
  std::string text;
  for (std::int64_t i = random.between(1, 4); i > 0; --i) {
    const std::string& place = random.pick(kPlaces);
    text += "Room: " + capitalised(grammar.pick("detail_" + place, random)) + ". ";
    if (random.chance(0.5)) text += capitalised(grammar.pick("detail_" + place, random)) + ". ";
    if (random.chance(0.4)) text += grammar.expand("A {creature} and a {job} are here. ", random);
    text += "Category: " + place + "\n";
  }
  text.pop_back();
  return text;
}

std::string characters(const Grammar& grammar, Random& random) {
  std::string text;
  for (std::int64_t i = random.between(2, 5); i > 0; --i) {
    switch (random.below(3)) {
      case 0:
        text += grammar.expand("I am a {creature}. {creature_line}. {creature_line}. -> creature\n", random);
        break;
      case 1: text += grammar.expand("I am a {job}. {job_line}. {job_line}. -> person\n", random); break;
      default:
        text += grammar.expand("I am a {item}. I lie in the {place_kind} and wait for an owner. -> object\n", random);
        break;
    }
  }
  text.pop_back();
  return text;
}

std::string quest(const Grammar& grammar, Random& random) {
  return grammar.expand(
      "Quest: {k=job}'s lost {i=item}\nGiver: a {k} in the {p=place_kind}\nGoal: find the {i} in the {q=place_kind} "
      "and bring it back to the {p}.\nEnemy: {c=creature}, level {#1-60}\n"
      "Reward: {#10-900} gold\nLog: player enters {q}. player fights {c}. player takes {i}. player returns to {p}. {k} "
      "pays the reward. Quest complete.",
      random);
}

std::string player_telemetry(const Grammar&, Random& random) {
  std::string text =
      "league from actions per minute: under 60 bronze, under 100 silver, under 150 gold, under 200 platinum, else "
      "diamond\n";
  for (std::int64_t i = random.between(3, 7); i > 0; --i) {
    const auto apm = random.between(25, 280);
    const char* league = apm < 60    ? "bronze"
                         : apm < 100 ? "silver"
                         : apm < 150 ? "gold"
                         : apm < 200 ? "platinum"
                                     : "diamond";
    text += "player " + std::to_string(random.between(100, 9999)) + " apm " + std::to_string(apm) + " hours " +
            std::to_string(random.between(1, 40)) + " -> " + league + "\n";
  }
  text.pop_back();
  return text;
}

std::string recall(const Grammar& grammar, Random& random) {
  return grammar.expand(
      "Certain {y=#2012-2025} cars of maker {name}: the {s=system} {f=fault}. If the {s} fails, the risk of {r=risk} "
      "rises. {#10-99000} vehicles are affected.\n"
      "Remedy: {remedy}.\nComponent: {s}\nDefect: {f}\nConsequence: {r}\nModel year: {y}",
      random);
}

std::string dialogue(const Grammar& grammar, Random& random) {
  static const std::vector<std::string> kTalks = {
      "Q: Which machine stopped?\nA: {u=unit} {n=#1-20}.\nQ: Why did {u} {n} stop?\nA: The {p=part} failed.\nQ: What "
      "do you do?\nA: I {action} the {p}.",
      "Record: {u=unit} {n=#1-20} in {s=site}, temperature {t=#20-120} degC, state {l=log_level}.\nQ: Where is the "
      "{u}?\nA: In {s}.\nQ: How hot is it?\nA: {t} degC.\nQ: Which number has it?\nA: {n}.",
      "{a=name} replaced the {p=part} of the {u=unit}. {b=name} checked the {q=part} of the {v=unit}.\nQ: What did {a} "
      "replace?\nA: The {p} of the {u}.\nQ: What did {b} check?\nA: The {q} of the {v}.",
      "The {c=colour} {t=thing} is on the {p=place}. The {d=colour} {w=thing} is in the {q=place}.\nQ: Where is the "
      "{d} {w}?\nA: In the {q}.\nQ: What is on the {p}?\nA: The {c} {t}.",
      "기록: {l=ko_line}, 온도 {t=#20-120}도, 압력 {p=#1-12} bar.\n질문: 온도는?\n답: {t}도.\n질문: 압력은?\n답: {p} "
      "bar.\n질문: 어느 설비?\n답: {l}.",
      "{l=ko_line}에서 {a=부품} 이상이 있어 {b=조치}. 담당 {n=name}.\n질문: 어떤 부품?\n답: {a}.\n질문: 담당자는?\n답: "
      "{n}."};
  return grammar.expand(random.pick(kTalks), random);
}

std::string event_log(const Grammar& grammar, Random& random) {
  std::string text;
  std::int64_t second = random.between(0, 80000);
  const std::string unit = grammar.expand("{unit}-{#1-40}", random);
  for (std::int64_t i = random.between(4, 10); i > 0; --i) {
    second += random.between(1, 300);
    const auto two = [](std::int64_t v) { return (v < 10 ? "0" : "") + std::to_string(v); };
    text += two(second / 3600 % 24) + ":" + two(second / 60 % 60) + ":" + two(second % 60) + " " +
            grammar.pick("log_level", random) + " " + unit + " ";
    text += grammar.expand(
                random.pick(std::vector<std::string>{
                    "{part} temperature {#20-120} degC", "started by {person}", "stopped", "alarm {#100-999} on {part}",
                    "alarm {#100-999} cleared", "cycle {#1-900} done in {#5-90.1} s", "{part} pressure {#1-12.1} bar",
                    "load {#5-110} %", "door opened", "material {material}", "robot picks {colour} {thing}"}),
                random) +
            "\n";
  }
  text.pop_back();
  return text;
}

std::string signal_catalogue(const Grammar& grammar, Random& random) {
  std::string text;
  for (std::int64_t i = random.between(2, 6); i > 0; --i) {
    const std::string row = grammar.pick(random.chance(0.5) ? "signal" : "machine_signal", random);
    const std::size_t first = row.find(';');
    const std::size_t second = row.find(';', first + 1);
    const std::size_t third = row.find(';', second + 1);
    text += row.substr(0, first) + " : measured value of the " + row.substr(0, first) + ", from " +
            row.substr(second + 1, third - second - 1) + " to " + row.substr(third + 1) +
            " -> {\"type\": \"sensor\", \"unit\": \"" + row.substr(first + 1, second - first - 1) + "\"}\n";
  }
  text.pop_back();
  return text;
}

}  // namespace

const std::vector<DocumentKind>& story_documents() {
  static const std::vector<DocumentKind> kKinds = {
      {instructions, 7},     {plan, 4},   {wall_follower, 2}, {room_text, 4}, {characters, 2},      {quest, 2},
      {player_telemetry, 2}, {recall, 4}, {dialogue, 7},      {event_log, 4}, {signal_catalogue, 3}};
  return kKinds;
}

}  // namespace finetune
