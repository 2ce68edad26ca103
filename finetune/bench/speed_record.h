// The speeds that the repository remembers, in kernels/bench/results/cpu.json: which share of the rate of large
// products a training reached, by class of processor features, shape and type. A share says what the program is worth
// wherever it runs; tokens a second would say what the machine is worth. Plain values; one writer of a file at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "finetune/bench/train_speed.h"
#include "platform/base/json.h"

namespace finetune {

/// A share may be so much less than the recorded one; measurements of one program differ by less on a quiet machine.
inline constexpr double kAllowedLoss = 0.15;

struct RecordedSpeed {
  std::string features;  // one of kernels::cpu_feature_classes()
  std::string shape;
  std::string dtype;
  int threads = 1;
  double fraction_of_gemm = 0;
  double tokens_per_second = 0;  // this and what follows only tell how it came about
  double gemm_gflops = 0;
  std::string model;
  std::int64_t sequence = 0, batch = 0;

  /// Features, shape and dtype: what a record has once.
  bool is_about_the_same_as(const RecordedSpeed& other) const;
};

RecordedSpeed recorded_speed(const TrainSpeed& speed);

class SpeedRecord {
 public:
  /// Nothing is recorded.
  SpeedRecord() = default;
  /// Throws kInvalidInput naming the key at fault, or kConflict where two rows are about the same.
  static SpeedRecord from_json(const platform::json::value& document);
  /// Of a file; one that is not there holds nothing.
  static SpeedRecord read(const std::filesystem::path& file);

  std::optional<RecordedSpeed> find(const std::string& features, const std::string& shape,
                                    const std::string& dtype) const;
  /// Replaces what was known about the same; gives it, or nullopt.
  std::optional<RecordedSpeed> put(RecordedSpeed speed);
  /// In the order of features, shape and dtype.
  const std::vector<RecordedSpeed>& rows() const { return rows_; }
  platform::json::value to_json() const;
  void write(const std::filesystem::path& file) const;

 private:
  std::vector<RecordedSpeed> rows_;
};

enum class SpeedVerdict { kHolds, kLost, kNotRecorded };

/// kLost below (1 - kAllowedLoss) times the recorded share. Pure.
SpeedVerdict verdict_on(double fraction_of_gemm, const std::optional<RecordedSpeed>& recorded);
/// The same in words, with what is to be done: "fp32 nano on avx2 uses 31.2 % of ...".
std::string verdict_in_words(const RecordedSpeed& measured, const std::optional<RecordedSpeed>& recorded);

}  // namespace finetune
