#include "tests/support/cuda_emulation/warp.h"

namespace cuda_emulation {
namespace {

struct Exchanged {
  const char* call;
  Shuffle kind;
  unsigned operand;
  int width;
  Fold fold;
  std::uint64_t value, result;
};

// Where a lane's value comes from, by the manual's rules for sub-warps of `width` lanes.
unsigned source_lane(const Exchanged& own, unsigned lane) {
  const auto width = static_cast<unsigned>(own.width);
  const unsigned base = lane / width * width;
  switch (own.kind) {
    case Shuffle::kIndex: return base + own.operand % width;
    case Shuffle::kUp: return lane - base >= own.operand ? lane - own.operand : lane;
    case Shuffle::kDown: return lane - base + own.operand < width ? lane + own.operand : lane;
    case Shuffle::kXor: return (lane ^ own.operand) < base + width ? lane ^ own.operand : lane;
  }
  return lane;
}

void shuffle_lanes(void* const payloads[kWarpSize], unsigned) {
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    auto* own = static_cast<Exchanged*>(payloads[lane]);
    if (own == nullptr) continue;
    const unsigned source = source_lane(*own, lane);
    if (payloads[source] == nullptr) {
      violate(std::string(own->call) + ": lane " + std::to_string(lane) + " reads lane " + std::to_string(source) +
              ", which is not in the mask or not there");
    }
    own->result = static_cast<const Exchanged*>(payloads[source])->value;
  }
}

void fold_lanes(void* const payloads[kWarpSize], unsigned) {
  bool any = false;
  std::uint64_t total = 0;
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    const auto* own = static_cast<const Exchanged*>(payloads[lane]);
    if (own == nullptr) continue;
    total = any ? own->fold(total, own->value) : own->value;
    any = true;
  }
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    if (payloads[lane] != nullptr) static_cast<Exchanged*>(payloads[lane])->result = total;
  }
}

}  // namespace

std::uint64_t shuffle(const char* call, Shuffle kind, unsigned mask, std::uint64_t value, unsigned operand, int width,
                      const Site& site) {
  if (width < 1 || width > 32 || (width & (width - 1)) != 0)
    violate(std::string(call) + ": width " + std::to_string(width) + " is not a power of two up to 32");
  Exchanged own{call, kind, operand, width, nullptr, value, 0};
  warp_wait(call, mask, site, &own, shuffle_lanes, false);
  return own.result;
}

std::uint64_t fold_warp(const char* call, unsigned mask, std::uint64_t value, Fold fold, const Site& site) {
  Exchanged own{call, Shuffle::kIndex, 0, 32, fold, value, 0};
  warp_wait(call, mask, site, &own, fold_lanes, false);
  return own.result;
}

unsigned ballot(const char* call, unsigned mask, bool predicate, const Site& site) {
  const unsigned bit = 1u << current_thread().lane;
  return static_cast<unsigned>(fold_warp(
      call, mask, predicate ? bit : 0u, [](std::uint64_t a, std::uint64_t b) { return a | b; }, site));
}

}  // namespace cuda_emulation
