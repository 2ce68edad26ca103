// JSON schemas as forms of answers: read within limits, or an Error; what is read writes a document and follows it.
#include <boost/json.hpp>

#include "finetune/generate/grammar_automaton.h"
#include "finetune/generate/json_schema.h"
#include "tests/fuzz/planted_bug.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  try {
    finetune::GrammarAutomaton automaton(finetune::grammar_of_schema(platform::parse_json(text, "schema")));
    finetune::GrammarAutomaton::State state = automaton.start();
    const std::string shortest = automaton.rest(state);
    boost::json::parse_options deep;
    deep.max_depth = 256;
    boost::json::parse(shortest, {}, deep);
    for (std::size_t i = 0; i < std::min<std::size_t>(shortest.size(), 200); ++i) {
      for (unsigned byte = 0; byte < 256; byte += 16)
        automaton.next(state, static_cast<unsigned char>(byte | (i & 15)));
      state = automaton.next(state, static_cast<unsigned char>(shortest[i]));
      if (state == finetune::GrammarAutomaton::kDead || automaton.rest(state) != shortest.substr(i + 1))
        __builtin_trap();
      if (automaton.crowded()) state = automaton.compacted(state);
    }
    fuzz::planted_bug(shortest.size() == 5);
  } catch (const platform::Error&) {
  }
  return 0;
}
