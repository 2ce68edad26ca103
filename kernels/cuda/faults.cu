#include "kernels/cuda/faults.h"

namespace kernels::cuda {

void throw_fault(Fault fault, std::int64_t value, std::int64_t bound) {
  const std::string number = std::to_string(value), limit = std::to_string(bound);
  switch (fault) {
    case Fault::kRowIndex: throw_invalid("gather or scatter of rows", "row " + number + " is not one of " + limit);
    case Fault::kTarget: throw_invalid("cross_entropy", "target " + number + " is not one of " + limit + " classes");
    case Fault::kTokenId: throw_invalid("embedding", "id " + number + " is not in a table of " + limit);
    case Fault::kSequences:
      throw_invalid("attention", "cu_seqlens must rise from 0 to " + limit + ", entry " + number + " does not");
    case Fault::kCacheLength:
      throw_invalid("attention_decode", "length " + number + " is not in a block_table of " + limit + " tokens");
    case Fault::kPage: throw_invalid("attention_decode", "page " + number + " is not one of " + limit);
    case Fault::kNoLogit: throw_invalid("sample_token", "none of " + limit + " logits of row " + number + " is finite");
    case Fault::kNone: break;
  }
  throw_invalid("cuda", "an unknown fault " + std::to_string(static_cast<int>(fault)));
}

}  // namespace kernels::cuda
