#include "finetune/generate/grammar_automaton.h"

#include <algorithm>

#include "platform/base/error.h"

namespace finetune {
namespace {

using Kind = ByteGrammar::Kind;
using Part = ByteGrammar::Part;

constexpr std::size_t kMostWays = 5000, kFew = 8;
constexpr std::size_t kMostParts = 50'000, kMostOfAnswer = 300'000'000;
// Of what is kept: where it is forgotten between two tokens, and where no token can be found within it.
constexpr std::size_t kManyStates = 20'000, kManyFrames = 500'000, kManyWays = 2'000'000;
constexpr std::size_t kMostStates = 400'000, kMostFrames = 2'000'000, kMostKeptWays = 10'000'000;

[[noreturn]] void refuse_ambiguity() {
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        "the form of the answer can be read in too many ways at once; give it fewer alternatives and "
                        "repetitions inside repetitions",
                        "schema");
}

// The shortest text from a place in a part to the part's end.
std::string rest_in(const ByteGrammar& grammar, const Part& part, std::int32_t place) {
  const auto at = static_cast<std::size_t>(place);
  const auto shortest = [&](ByteGrammar::Node node) -> const std::string& { return grammar.part(node).shortest; };
  std::string rest;
  switch (part.kind) {
    case Kind::kLiteral: return part.bytes.substr(at);
    case Kind::kSequence:
      for (std::size_t i = at; i < part.parts.size(); ++i) rest += shortest(part.parts[i]);
      return rest;
    case Kind::kRepeat:
      for (std::int32_t i = place; i < part.least; ++i) rest += shortest(i == 0 ? part.parts[0] : part.separated[0]);
      return rest;
    case Kind::kMembers: {
      bool first = (place & 1) == 0;
      for (std::size_t i = at >> 1; i < part.parts.size(); ++i) {
        if (!part.required[i]) continue;
        rest += shortest(first ? part.parts[i] : part.separated[i]);
        first = false;
      }
      return rest;
    }
    default: return PlaceInPart::rest(part, place);
  }
}

}  // namespace

GrammarAutomaton::GrammarAutomaton(std::shared_ptr<const ByteGrammar> grammar) : grammar_(std::move(grammar)) {
  Place place;
  ++round_;
  open(frame_of({grammar_->root(), 0, -1}), place);
  start_ = state_of(std::move(place));
}

GrammarAutomaton::Frame GrammarAutomaton::frame_of(OpenPart open) {
  const auto [found, added] = frame_ids_.try_emplace(open, static_cast<Frame>(frames_.size()));
  if (added) {
    frames_.push_back(open);
    seen_.push_back(0);
  }
  return found->second;
}

std::int32_t GrammarAutomaton::step(Frame frame, unsigned char byte) const {
  const Part& top = part(frame);
  const std::int32_t place = frames_[static_cast<std::size_t>(frame)].place;
  if (top.kind != Kind::kLiteral) return PlaceInPart::next(top, place, byte);
  return static_cast<unsigned char>(top.bytes[static_cast<std::size_t>(place)]) == byte ? place + 1 : -1;
}

// Adds to `place` all ways in which the frame's text may go on. Not by recursion: repetitions of repetitions go deep.
void GrammarAutomaton::open(Frame frame, Place& place) {
  waiting_.push_back(frame);
  for (std::size_t parts = 0; !waiting_.empty(); ++parts, ++opened_) {
    if (parts > kMostParts || opened_ > kMostOfAnswer || frames_.size() > kMostFrames) refuse_ambiguity();
    const Frame next = waiting_.back();
    waiting_.pop_back();
    open_one(next, place);
  }
}

void GrammarAutomaton::open_one(Frame frame, Place& place) {
  if (frame < 0) {
    place.accepts = true;
    return;
  }
  if (std::exchange(seen_[static_cast<std::size_t>(frame)], round_) == round_) return;
  const OpenPart top = frames_[static_cast<std::size_t>(frame)];
  const Part& part = grammar_->part(top.node);
  const auto at = static_cast<std::size_t>(top.place);
  switch (part.kind) {
    case Kind::kSequence: {
      if (at == part.parts.size()) return waiting_.push_back(top.then);
      const Frame then = at + 1 == part.parts.size() ? top.then : frame_of({top.node, top.place + 1, top.then});
      return waiting_.push_back(frame_of({part.parts[at], 0, then}));
    }
    case Kind::kChoice:
      for (const ByteGrammar::Node node : part.parts) waiting_.push_back(frame_of({node, 0, top.then}));
      return;
    case Kind::kRepeat: {
      if (top.place >= part.least) waiting_.push_back(top.then);
      if (part.most >= 0 && top.place >= part.most) return;
      const std::int32_t count = part.most >= 0 ? top.place + 1 : std::min(top.place + 1, std::max(part.least, 1));
      const Frame then = frame_of({top.node, count, top.then});
      return waiting_.push_back(frame_of({(top.place == 0 ? part.parts : part.separated)[0], 0, then}));
    }
    case Kind::kMembers: return open_members(top, part);
    default: break;
  }
  const bool ends = part.kind == Kind::kLiteral ? at == part.bytes.size() : PlaceInPart::may_end(part, top.place);
  if (ends) waiting_.push_back(top.then);
  if (part.kind == Kind::kLiteral && ends) return;
  place.ways.push_back(frame);
  if (place.ways.size() > kMostWays) refuse_ambiguity();
}

// The place of members: twice the next one, and 1 where another stands before it.
void GrammarAutomaton::open_members(const OpenPart& top, const Part& part) {
  const bool behind_another = (top.place & 1) != 0;
  for (auto i = static_cast<std::size_t>(top.place >> 1); i < part.parts.size(); ++i) {
    const Frame then = frame_of({top.node, static_cast<std::int32_t>(i + 1) << 1 | 1, top.then});
    waiting_.push_back(frame_of({(behind_another ? part.separated : part.parts)[i], 0, then}));
    if (part.required[i]) return;
  }
  waiting_.push_back(top.then);
}

GrammarAutomaton::State GrammarAutomaton::state_of(Place place) {
  if (place.ways.empty() && !place.accepts) return kDead;
  std::sort(place.ways.begin(), place.ways.end());
  const auto [found, added] = state_ids_.try_emplace({place.accepts, place.ways}, static_cast<State>(states_.size()));
  if (!added) return found->second;
  for (const Frame way : place.ways) {
    const Part& top = part(way);
    if (top.kind == Kind::kLiteral) {
      place.bytes.set(static_cast<unsigned char>(
          top.bytes[static_cast<std::size_t>(frames_[static_cast<std::size_t>(way)].place)]));
      continue;
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
      if (step(way, static_cast<unsigned char>(byte)) >= 0) place.bytes.set(byte);
    }
  }
  kept_ways_ += place.ways.size();
  states_.push_back(std::move(place));
  if (states_.size() > kMostStates || kept_ways_ > kMostKeptWays) refuse_ambiguity();
  return found->second;
}

GrammarAutomaton::State GrammarAutomaton::computed(State state, unsigned char byte) {
  Place place;
  ++round_;
  const std::vector<Frame> ways = at(state).ways;
  for (const Frame way : ways) {
    const std::int32_t then = step(way, byte);
    if (then < 0) continue;
    const OpenPart top = frames_[static_cast<std::size_t>(way)];
    open(frame_of({top.node, then, top.then}), place);
  }
  return state_of(std::move(place));
}

void GrammarAutomaton::remember(State from, unsigned char byte, State to) {
  Place& place = states_[static_cast<std::size_t>(from)];
  if (place.many == nullptr && place.few.size() == kFew) {
    place.many = std::make_unique<std::array<State, 256>>();
    place.many->fill(kDead);
    for (const auto& [known, then] : place.few) (*place.many)[known] = then;
  }
  if (place.many != nullptr)
    (*place.many)[byte] = to;
  else
    place.few.emplace_back(byte, to);
}

GrammarAutomaton::State GrammarAutomaton::next(State state, unsigned char byte) {
  const Place& place = at(state);
  if (!place.bytes[byte]) return kDead;
  if (place.many != nullptr && (*place.many)[byte] != kDead) return (*place.many)[byte];
  for (std::size_t i = 0; place.many == nullptr && i < place.few.size(); ++i) {
    if (place.few[i].first == byte) return place.few[i].second;
  }
  const State to = computed(state, byte);
  remember(state, byte, to);
  return to;
}

std::string GrammarAutomaton::rest(State state) const {
  const Place& place = at(state);
  if (place.accepts) return {};
  std::string best;
  bool any = false;
  for (const Frame way : place.ways) {
    std::string text;
    for (Frame frame = way; frame >= 0; frame = frames_[static_cast<std::size_t>(frame)].then)
      text += rest_in(*grammar_, part(frame), frames_[static_cast<std::size_t>(frame)].place);
    if (!any || (text.size() != best.size() ? text.size() < best.size() : text < best)) best = std::move(text);
    any = true;
  }
  return best;
}

bool GrammarAutomaton::crowded() const {
  return states_.size() > kManyStates || frames_.size() > kManyFrames || kept_ways_ > kManyWays;
}

GrammarAutomaton::State GrammarAutomaton::compacted(State state) {
  std::vector<std::vector<OpenPart>> stacks;  // the outermost first
  for (const Frame way : at(state).ways) {
    stacks.emplace_back();
    for (Frame frame = way; frame >= 0; frame = frames_[static_cast<std::size_t>(frame)].then)
      stacks.back().push_back(frames_[static_cast<std::size_t>(frame)]);
    std::reverse(stacks.back().begin(), stacks.back().end());
  }
  Place place;
  place.accepts = accepts(state);
  frames_.clear();
  frame_ids_.clear();
  seen_.clear();
  states_.clear();
  state_ids_.clear();
  round_ = 0;
  kept_ways_ = 0;
  for (const std::vector<OpenPart>& stack : stacks) {
    Frame frame = -1;
    for (const OpenPart& open : stack) frame = frame_of({open.node, open.place, frame});
    place.ways.push_back(frame);
  }
  start_ = state_of(std::move(place));
  return start_;
}

}  // namespace finetune
