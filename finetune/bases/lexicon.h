// The word tables of the corpus, one a domain, in the notation of Grammar. Constant data; any thread.
#pragma once

#include <string>
#include <vector>

namespace finetune {

/// A way for a machine to fail: the code of its list fm_<code>, and its names in several catalogues.
struct FailureMode {
  const char* code;
  const char* name;
  const char* korean;
  const char* plain;
};

const std::vector<FailureMode>& failure_modes();

extern const char* const kMaintenanceLexicon;
extern const char* const kKoreanLexicon;
extern const char* const kRobotLexicon;
extern const char* const kGameLexicon;
extern const char* const kVehicleLexicon;
extern const char* const kGeneralLexicon;

}  // namespace finetune
