#include "finetune/bases/grammar.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <stdexcept>

namespace finetune {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::size_t closing(std::string_view text, std::size_t open, char left, char right) {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == left) ++depth;
    if (text[i] == right && --depth == 0) return i;
  }
  throw std::logic_error("grammar: no closing bracket in: " + std::string(text));
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// "3-9.1": low, high, decimals.
std::string number(std::string_view range, Random& random) {
  const std::size_t dash = range.find('-', 1);
  const std::size_t dot = range.find('.', dash);
  double low = 0;
  double high = 0;
  int decimals = 0;
  std::from_chars(range.data(), range.data() + dash, low);
  const std::string_view upper = range.substr(dash + 1, dot == std::string_view::npos ? dot : dot - dash - 1);
  std::from_chars(upper.data(), upper.data() + upper.size(), high);
  if (dot == std::string_view::npos)
    return std::to_string(random.between(static_cast<std::int64_t>(low), static_cast<std::int64_t>(high)));
  std::from_chars(range.data() + dot + 1, range.data() + range.size(), decimals);
  return fixed(low + (high - low) * random.uniform(), decimals);
}

std::string abbreviated(const std::string& word, Random& random) {
  static const std::map<std::string, std::vector<std::string>, std::less<>> kShort = {
      {"replace", {"repl", "rplc", "c/o", "chg"}},
      {"replaced", {"repl", "repl'd", "rplcd"}},
      {"repair", {"rep", "rpr"}},
      {"pressure", {"press", "pres"}},
      {"temperature", {"temp", "tmp"}},
      {"hydraulic", {"hyd", "hydr"}},
      {"electrical", {"elec", "elect"}},
      {"required", {"req", "req'd", "rqd"}},
      {"engine", {"eng"}},
      {"left", {"lh", "l/h"}},
      {"right", {"rh", "r/h"}},
      {"not", {"nt"}},
      {"and", {"&", "+"}},
      {"with", {"w/", "wth"}},
      {"cylinder", {"cyl"}},
      {"bearing", {"brg", "bearng"}},
      {"broken", {"brkn", "broke"}},
      {"leaking", {"leakin", "lkg", "leakng"}},
      {"motor", {"mtr"}},
      {"conveyor", {"conv", "conveyer"}},
      {"transmission", {"trans"}},
      {"inspect", {"insp", "chk"}},
      {"check", {"chk", "ck"}},
      {"working", {"wrking", "workin"}},
      {"control", {"ctrl"}},
      {"valve", {"vlv"}},
      {"number", {"no.", "nbr"}},
      {"steering", {"strg", "steer"}},
      {"assembly", {"assy"}},
      {"minute", {"min"}},
      {"hours", {"hrs"}},
      {"front", {"frt", "fr"}},
      {"rear", {"rr"}},
      {"alarm", {"alm"}},
      {"damaged", {"dmgd", "damagd"}}};
  const auto found = kShort.find(word);
  return found == kShort.end() ? word : random.pick(found->second);
}

std::string with_typo(std::string word, Random& random) {
  if (word.size() < 4 || !std::all_of(word.begin(), word.end(), is_letter)) return word;
  const std::size_t at = 1 + random.below(word.size() - 2);
  switch (random.below(4)) {
    case 0: word.erase(at, 1); break;
    case 1: std::swap(word[at], word[at + 1 < word.size() ? at + 1 : at - 1]); break;
    case 2: word.insert(at, 1, word[at]); break;
    default: word[at] = static_cast<char>('a' + random.below(26)); break;
  }
  return word;
}

}  // namespace

std::uint64_t Random::next() {
  std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

double Random::normal() {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += uniform();
  return sum;
}

Grammar::Grammar(std::initializer_list<std::string_view> tables) {
  for (std::string_view table : tables) {
    std::vector<std::string>* current = nullptr;
    while (!table.empty()) {
      const std::size_t end = std::min(table.find('\n'), table.size());
      std::string_view line = table.substr(0, end);
      table.remove_prefix(std::min(end + 1, table.size()));
      if (trimmed(line).empty()) continue;
      if (line.front() != ' ') {
        const std::size_t colon = line.find(':');
        current = &lists_[std::string(line.substr(0, colon))];
        line.remove_prefix(colon + 1);
      }
      while (!line.empty()) {
        const std::size_t bar = std::min(line.find('|'), line.size());
        if (const std::string_view item = trimmed(line.substr(0, bar)); !item.empty()) current->emplace_back(item);
        line.remove_prefix(std::min(bar + 1, line.size()));
      }
    }
  }
  for (const auto& [name, items] : lists_) {
    for (const std::string& item : items) check(item);
  }
}

void Grammar::check(std::string_view text) const {
  std::map<std::string, bool, std::less<>> bound;
  for (std::size_t at = text.find('{'); at != std::string_view::npos; at = text.find('{', at + 1)) {
    const std::string_view inside = text.substr(at + 1, closing(text, at, '{', '}') - at - 1);
    if (inside.front() == '#') continue;
    const std::size_t equals = inside.find('=');
    const std::string_view name = equals == std::string_view::npos ? inside : inside.substr(equals + 1);
    if (equals != std::string_view::npos) bound[std::string(inside.substr(0, equals))] = true;
    if (name.front() != '#' && !bound.contains(name) && !lists_.contains(name))
      throw std::logic_error("grammar: no list '" + std::string(name) + "' for: " + std::string(text));
  }
}

const std::vector<std::string>& Grammar::list(std::string_view name) const {
  const auto found = lists_.find(name);
  if (found == lists_.end()) throw std::logic_error("grammar: no list '" + std::string(name) + "'");
  return found->second;
}

std::string Grammar::slot(std::string_view inside, Random& random, Names& names) const {
  const std::size_t equals = inside.find('=');
  if (equals != std::string_view::npos) {
    const std::string value = slot(inside.substr(equals + 1), random, names);
    names.insert_or_assign(std::string(inside.substr(0, equals)), value);
    return value;
  }
  if (inside.front() == '#') return number(inside.substr(1), random);
  if (const auto bound = names.find(inside); bound != names.end()) return bound->second;
  return expand(random.pick(list(inside)), random, names);
}

std::string Grammar::expand(std::string_view text, Random& random, Names& names) const {
  std::string result;
  bool capital = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '^') {
      capital = true;
    } else if (text[at] == '{') {
      const std::size_t end = closing(text, at, '{', '}');
      const std::string value = slot(text.substr(at + 1, end - at - 1), random, names);
      result += capital ? capitalised(value) : value;
      capital = false;
      at = end;
    } else if (text[at] == '[') {
      const std::size_t end = closing(text, at, '[', ']');
      if (random.chance(0.5)) result += expand(text.substr(at + 1, end - at - 1), random, names);
      at = end;
    } else {
      result += text[at];
    }
  }
  return result;
}

std::string Grammar::expand(std::string_view text, Random& random) const {
  Names names;
  return expand(text, random, names);
}

std::string Grammar::pick(std::string_view list_name, Random& random) const {
  return expand(random.pick(list(list_name)), random);
}

std::string fixed(double value, int decimals) {
  char buffer[64];
  const int length = std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
  const std::string text(buffer, static_cast<std::size_t>(length));
  return text.find_first_not_of("-0.") == std::string::npos && text.front() == '-' ? text.substr(1) : text;
}

std::string capitalised(std::string text) {
  if (!text.empty() && text.front() >= 'a' && text.front() <= 'z')
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
  return text;
}

std::string misspelt(std::string_view text, Random& random) {
  const double typo = random.pick(std::vector<double>{0, 0.02, 0.06, 0.12});
  const double shorten = random.pick(std::vector<double>{0, 0.2, 0.6});
  const bool drop_articles = random.chance(0.6);
  const bool upper = random.chance(0.12);
  std::string result;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    std::string word(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (drop_articles && (word == "the" || word == "a" || word == "an" || word == "is" || word == "has")) continue;
    if (random.chance(shorten)) word = abbreviated(word, random);
    if (random.chance(typo)) word = with_typo(std::move(word), random);
    if (!result.empty()) result += ' ';
    result += word;
  }
  if (upper)
    std::transform(result.begin(), result.end(), result.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return result;
}

}  // namespace finetune
