// GrammarAutomaton: which bytes may follow a text that a ByteGrammar has begun. Its states are made as they are met; a
// state stands for all texts that may be continued in the same ways, so the same place in an open string is one state
// however long the string is. One thread.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "finetune/generate/byte_grammar.h"

namespace finetune {

class GrammarAutomaton {
 public:
  using State = std::int32_t;
  static constexpr State kDead = -1;

  explicit GrammarAutomaton(std::shared_ptr<const ByteGrammar> grammar);

  State start() const { return start_; }
  /// Throws kInvalidInput where the grammar is too ambiguous to be followed: a text that can be read in more than 5,000
  /// ways at once, a lookup of 50,000 parts, 300 million parts of one answer, more than about 200 MB at once.
  State next(State state, unsigned char byte);
  /// The text may end here.
  bool accepts(State state) const { return at(state).accepts; }
  /// No byte may follow.
  bool is_last(State state) const { return at(state).bytes.none(); }
  /// The shortest text that may follow before the end, the bytewise first of equals: what is left of it after its first
  /// bytes is the same of the state behind them.
  std::string rest(State state) const;
  /// Of every state's rest, an upper bound in bytes.
  std::size_t longest_rest() const { return grammar_->part(grammar_->root()).longest_rest; }

  /// So much is known that it is time to forget it.
  bool crowded() const;
  /// Forgets all states but this one and returns its new name.
  State compacted(State state);

 private:
  using Frame = std::int32_t;  // -1: behind the end
  /// A part that is open, how far it is, and what follows it.
  struct OpenPart {
    ByteGrammar::Node node = 0;
    std::int32_t place = 0;
    Frame then = -1;
    bool operator==(const OpenPart&) const = default;
  };
  struct OpenPartHash {
    std::size_t operator()(const OpenPart& open) const {
      std::uint64_t mixed = static_cast<std::uint32_t>(open.node) * 0x9e3779b97f4a7c15ull;
      mixed = (mixed ^ static_cast<std::uint32_t>(open.place)) * 0xbf58476d1ce4e5b9ull;
      return static_cast<std::size_t>((mixed ^ (mixed >> 29) ^ static_cast<std::uint32_t>(open.then)) *
                                      0x94d049bb133111ebull);
    }
  };
  struct Place {
    std::vector<Frame> ways;  // ascending; each has a part on top that takes bytes
    bool accepts = false;
    std::bitset<256> bytes;  // that may follow
    std::vector<std::pair<unsigned char, State>> few;
    std::unique_ptr<std::array<State, 256>> many;
  };

  const Place& at(State state) const { return states_[static_cast<std::size_t>(state)]; }
  const ByteGrammar::Part& part(Frame frame) const {
    return grammar_->part(frames_[static_cast<std::size_t>(frame)].node);
  }
  Frame frame_of(OpenPart open);
  std::int32_t step(Frame frame, unsigned char byte) const;
  void open(Frame frame, Place& place);
  void open_one(Frame frame, Place& place);
  void open_members(const OpenPart& top, const ByteGrammar::Part& part);
  State state_of(Place place);
  State computed(State state, unsigned char byte);
  void remember(State from, unsigned char byte, State to);

  std::shared_ptr<const ByteGrammar> grammar_;
  std::vector<OpenPart> frames_;
  std::unordered_map<OpenPart, Frame, OpenPartHash> frame_ids_;
  std::vector<std::uint32_t> seen_;  // by frame: the last round in which it was opened
  std::vector<Frame> waiting_;       // to be opened in this round
  std::size_t opened_ = 0;           // parts, in this answer
  std::size_t kept_ways_ = 0;        // of all states
  std::uint32_t round_ = 0;
  std::vector<Place> states_;
  std::map<std::pair<bool, std::vector<Frame>>, State> state_ids_;
  State start_ = 0;
};

}  // namespace finetune
