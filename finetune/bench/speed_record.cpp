#include "finetune/bench/speed_record.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <tuple>
#include <utility>

#include "platform/base/error.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr std::int64_t kFormat = 1;

auto key_of(const RecordedSpeed& row) { return std::tie(row.features, row.shape, row.dtype); }

std::string percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", 100 * share);
  return text.data();
}

json::object row_to_json(const RecordedSpeed& row) {
  return {{"features", row.features},
          {"shape", row.shape},
          {"dtype", row.dtype},
          {"threads", row.threads},
          {"fraction_of_gemm", row.fraction_of_gemm},
          {"tokens_per_second", row.tokens_per_second},
          {"gemm_gflops", row.gemm_gflops},
          {"model", row.model},
          {"sequence", row.sequence},
          {"batch", row.batch}};
}

RecordedSpeed row_from_json(const json::value& value, const std::string& where) {
  const json::object& object = platform::as_object(value, where);
  platform::refuse_unknown_keys(object,
                                {"features", "shape", "dtype", "threads", "fraction_of_gemm", "tokens_per_second",
                                 "gemm_gflops", "model", "sequence", "batch"},
                                where);
  const auto text = [&](const char* key) { return platform::require_string(object, key, where); };
  const auto number = [&](const char* key) { return platform::require_number(object, key, where); };
  const auto whole = [&](const char* key) { return platform::require_int(object, key, where); };
  RecordedSpeed row{.features = text("features"),
                    .shape = text("shape"),
                    .dtype = text("dtype"),
                    .threads = static_cast<int>(whole("threads")),
                    .fraction_of_gemm = number("fraction_of_gemm"),
                    .tokens_per_second = number("tokens_per_second"),
                    .gemm_gflops = number("gemm_gflops"),
                    .model = text("model"),
                    .sequence = whole("sequence"),
                    .batch = whole("batch")};
  if (row.threads >= 1 && row.fraction_of_gemm > 0) return row;
  throw Error(ErrorCode::kInvalidInput, where + ": threads and fraction_of_gemm must be above 0", where);
}

}  // namespace

bool RecordedSpeed::is_about_the_same_as(const RecordedSpeed& other) const { return key_of(*this) == key_of(other); }

RecordedSpeed recorded_speed(const TrainSpeed& speed) {
  return {.features = speed.cpu.feature_class,
          .shape = speed.options.shape.name,
          .dtype = speed.options.dtype,
          .threads = speed.threads,
          .fraction_of_gemm = speed.fraction_of_gemm(),
          .tokens_per_second = speed.tokens_per_second(),
          .gemm_gflops = speed.gemm_gflops(),
          .model = speed.cpu.model,
          .sequence = speed.options.sequence,
          .batch = speed.options.batch};
}

SpeedRecord SpeedRecord::from_json(const json::value& document) {
  constexpr const char* kWhere = "speed record";
  const json::object& object = platform::as_object(document, kWhere);
  platform::refuse_unknown_keys(object, {"format", "records"}, kWhere);
  if (const std::int64_t format = platform::require_int(object, "format", kWhere); format != kFormat)
    throw Error(ErrorCode::kInvalidInput, "the speed record has format " + std::to_string(format) + ", not 1",
                "format");
  SpeedRecord record;
  std::size_t number = 0;
  for (const json::value& value :
       platform::as_array(platform::require(object, "records", kWhere), std::string(kWhere) + ".records")) {
    const std::string where = "records[" + std::to_string(number++) + "]";
    if (record.put(row_from_json(value, where)))
      throw Error(ErrorCode::kConflict, where + " is about the same as a row before it; remove one of them", where);
  }
  return record;
}

SpeedRecord SpeedRecord::read(const std::filesystem::path& file) {
  return std::filesystem::exists(file) ? from_json(platform::read_json_file(file)) : SpeedRecord{};
}

std::optional<RecordedSpeed> SpeedRecord::find(const std::string& features, const std::string& shape,
                                               const std::string& dtype) const {
  for (const RecordedSpeed& row : rows_) {
    if (row.features == features && row.shape == shape && row.dtype == dtype) return row;
  }
  return std::nullopt;
}

std::optional<RecordedSpeed> SpeedRecord::put(RecordedSpeed speed) {
  const auto place =
      std::lower_bound(rows_.begin(), rows_.end(), speed,
                       [](const RecordedSpeed& a, const RecordedSpeed& b) { return key_of(a) < key_of(b); });
  if (place != rows_.end() && place->is_about_the_same_as(speed)) return std::exchange(*place, std::move(speed));
  rows_.insert(place, std::move(speed));
  return std::nullopt;
}

json::value SpeedRecord::to_json() const {
  json::array records;
  for (const RecordedSpeed& row : rows_) records.push_back(row_to_json(row));
  return json::object{{"format", kFormat}, {"records", std::move(records)}};
}

void SpeedRecord::write(const std::filesystem::path& file) const { platform::write_json_file(file, to_json()); }

SpeedVerdict verdict_on(double fraction_of_gemm, const std::optional<RecordedSpeed>& recorded) {
  if (!recorded) return SpeedVerdict::kNotRecorded;
  return fraction_of_gemm < (1 - kAllowedLoss) * recorded->fraction_of_gemm ? SpeedVerdict::kLost
                                                                            : SpeedVerdict::kHolds;
}

std::string verdict_in_words(const RecordedSpeed& measured, const std::optional<RecordedSpeed>& recorded) {
  const std::string command = "`anneal bench train --shape " + measured.shape + " --dtype " + measured.dtype +
                              " --record kernels/bench/results/cpu.json` on a quiet machine";
  const std::string said = "training " + measured.shape + " in " + measured.dtype + " uses " +
                           percent(measured.fraction_of_gemm) + " of the rate of large products";
  switch (verdict_on(measured.fraction_of_gemm, recorded)) {
    case SpeedVerdict::kNotRecorded:
      return "no record for " + measured.features + ": " + said + "; " + command + " writes it down";
    case SpeedVerdict::kLost:
      return "slower than recorded for " + measured.features + ": " + said + ", recorded are " +
             percent(recorded->fraction_of_gemm) + ". Run it again when nothing else runs; if it stays so, find the " +
             "change that made it slower (`anneal bench kernels` names the operation), or, where the loss is the " +
             "price of something, write it down by " + command;
    case SpeedVerdict::kHolds: break;
  }
  return "as recorded for " + measured.features + ": " + said + ", recorded are " + percent(recorded->fraction_of_gemm);
}

}  // namespace finetune
