#include "kernels/bench/cpu_description.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace kernels {
namespace {

std::string cpuinfo(const std::string& flags) {
  return "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: A Processor @ 3 GHz\nflags\t\t: fpu vme " + flags +
         " rdpid\nbugs\t\t: \n\nprocessor\t: 1\nmodel name\t: A Processor @ 3 GHz\nflags\t\t: fpu vme\n";
}

constexpr const char* kAvx512 = "fma avx2 avx512f avx512dq avx512bw avx512vl";

TEST(CpuDescription, ClassIsTheMostCapableOneAllOfWhoseFlagsAreThere) {
  const std::string wide(kAvx512);
  for (const auto& [flags, name, multiplies] :
       {std::tuple{wide + " avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8", "amx", true},
        std::tuple{wide + " avx512_bf16 avx512_vnni", "avx512-bf16", true},
        std::tuple{wide + " avx512_vnni", "avx512-vnni", false}, std::tuple{wide, "avx512", false},
        std::tuple{std::string("avx2 fma avx_vnni"), "avx2", false}, std::tuple{std::string("sse2"), "plain", false}}) {
    const CpuDescription cpu = describe_cpu(cpuinfo(flags));
    EXPECT_EQ(cpu.feature_class, name) << flags;
    EXPECT_EQ(cpu.multiplies_bfloat16, multiplies) << flags;
    EXPECT_EQ(cpu.model, "A Processor @ 3 GHz");
  }
}

TEST(CpuDescription, AFlagThatOnlyBeginsLikeAnotherDoesNotCount) {
  EXPECT_EQ(describe_cpu(cpuinfo("avx512f avx512dq avx512bw avx512vl avx512_vnni2 avx2 fma")).feature_class, "avx512");
  EXPECT_EQ(describe_cpu(cpuinfo("avx512_bf16 avx512f avx2 fma")).feature_class, "avx2") << "without 512-bit bytes";
}

TEST(CpuDescription, KnowsArmByItsFeatures) {
  const CpuDescription cpu =
      describe_cpu("processor\t: 0\nFeatures\t: fp asimd evtstrm i8mm bf16\nCPU part\t: 0xd40\n");
  EXPECT_EQ(cpu.feature_class, "neon-bf16");
  EXPECT_TRUE(cpu.multiplies_bfloat16);
  EXPECT_EQ(cpu.model, "unknown");
  EXPECT_EQ(describe_cpu("Features : fp asimd\n").feature_class, "neon");
  EXPECT_EQ(describe_cpu("").feature_class, "plain");
}

TEST(CpuDescription, OfThisMachineIsAClassOfTheList) {
  const auto& classes = cpu_feature_classes();
  EXPECT_EQ(classes.size(), 8u);
  EXPECT_NE(std::find(classes.begin(), classes.end(), this_cpu().feature_class), classes.end());
}

}  // namespace
}  // namespace kernels
