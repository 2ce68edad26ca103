#include "finetune/model/rotary_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;
namespace json = platform::json;

constexpr const char* kWhere = "rope_scaling";
constexpr std::array<std::string_view, 6> kTypes = {"default", "dynamic", "linear", "llama3", "longrope", "yarn"};

[[noreturn]] void refuse(const std::string& key, const std::string& what) {
  throw Error(ErrorCode::kInvalidInput, "config.json: " + std::string(kWhere) + "." + key + " " + what,
              std::string(kWhere) + "." + key);
}

double positive(const json::object& block, std::string_view key, double fallback) {
  const double value = platform::number_or(block, key, fallback, kWhere);
  if (!(value > 0) || !std::isfinite(value)) refuse(std::string(key), "must be above 0");
  return value;
}

std::string type_of(const json::object& block) {
  const std::string old = platform::string_or(block, "type", "default", kWhere);
  std::string type = platform::string_or(block, "rope_type", old, kWhere);
  if (type == "su") type = "longrope";
  if (std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end()) return type;
  std::string listed;
  for (const auto name : kTypes) listed += (listed.empty() ? "" : ", ") + std::string(name);
  refuse("rope_type", "is not supported: \"" + type + "\"; supported: " + listed);
}

std::vector<double> factors(const json::object& block, std::string_view key, std::int64_t head_dim) {
  const json::value* found = platform::find(block, key);
  if (found == nullptr || !found->is_array() || found->get_array().size() != static_cast<std::size_t>(head_dim / 2))
    refuse(std::string(key), "must be a list of " + std::to_string(head_dim / 2) + " numbers");
  std::vector<double> values;
  for (const json::value& each : found->get_array()) {
    if (!each.is_number() || !(each.to_number<double>() > 0)) refuse(std::string(key), "must hold numbers above 0");
    values.push_back(each.to_number<double>());
  }
  return values;
}

// m in the yarn paper: how much sharper attention must be over a text stretched by `factor`.
double sharpness(double factor, double scale) { return factor <= 1.0 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0; }

double yarn_attention_factor(const json::object& block, double factor) {
  if (platform::find(block, "attention_factor") != nullptr) return positive(block, "attention_factor", 1.0);
  const double scale = platform::number_or(block, "mscale", 0.0, kWhere);
  const double all = platform::number_or(block, "mscale_all_dim", 0.0, kWhere);
  if (scale != 0 && all != 0) return sharpness(factor, scale) / sharpness(factor, all);
  return sharpness(factor, 1.0);
}

void read_yarn(const json::object& block, RotaryConfig& rotary) {
  rotary.beta_fast = positive(block, "beta_fast", 32.0);
  rotary.beta_slow = positive(block, "beta_slow", 1.0);
  rotary.truncate = platform::bool_or(block, "truncate", true, kWhere);
  rotary.attention_factor = yarn_attention_factor(block, rotary.factor);
}

void read_longrope(const json::object& block, std::int64_t max_positions, std::int64_t head_dim, RotaryConfig& rotary) {
  rotary.short_factor = factors(block, "short_factor", head_dim);
  rotary.long_factor = factors(block, "long_factor", head_dim);
  const auto original = static_cast<double>(rotary.original_max_positions);
  const double factor = positive(block, "factor", static_cast<double>(max_positions) / std::max(original, 1.0));
  const double usual = factor <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(factor) / std::log(original));
  rotary.attention_factor = positive(block, "attention_factor", usual);
}

double dynamic_theta(const RotaryConfig& rotary, std::int64_t head_dim, std::int64_t length) {
  const auto trained = static_cast<double>(rotary.original_max_positions), size = static_cast<double>(head_dim);
  const double stretched = std::max(static_cast<double>(length), trained);
  return rotary.theta * std::pow(rotary.factor * stretched / trained - (rotary.factor - 1.0), size / (size - 2.0));
}

// Slow rotations are divided by the factor, fast ones kept, those between blended.
double llama3_scaled(double frequency, const RotaryConfig& rotary) {
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  const auto original = static_cast<double>(rotary.original_max_positions);
  if (wavelength > original / rotary.low_frequency_factor) return frequency / rotary.factor;
  if (wavelength < original / rotary.high_frequency_factor) return frequency;
  const double blend = (original / wavelength - rotary.low_frequency_factor) /
                       (rotary.high_frequency_factor - rotary.low_frequency_factor);
  return (1.0 - blend) * frequency / rotary.factor + blend * frequency;
}

// The channel that turns `rotations` times within the original length.
double channel_of(double rotations, const RotaryConfig& rotary, std::int64_t head_dim) {
  const double original = static_cast<double>(rotary.original_max_positions);
  return static_cast<double>(head_dim) * std::log(original / (rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(rotary.theta));
}

double yarn_scaled(double frequency, std::int64_t channel, const RotaryConfig& rotary, std::int64_t head_dim) {
  double low = channel_of(rotary.beta_fast, rotary, head_dim), high = channel_of(rotary.beta_slow, rotary, head_dim);
  if (rotary.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(head_dim - 1));
  if (low == high) high += 0.001;
  const double ramp = std::clamp((static_cast<double>(channel) - low) / (high - low), 0.0, 1.0);
  return frequency / rotary.factor * ramp + frequency * (1.0 - ramp);
}

}  // namespace

RotaryConfig rotary_from_json(const json::object& block, double theta, std::int64_t max_positions,
                              std::int64_t head_dim) {
  RotaryConfig rotary;
  rotary.theta = platform::number_or(block, "rope_theta", theta, kWhere);
  if (!(rotary.theta > 0) || !std::isfinite(rotary.theta))
    throw Error(ErrorCode::kInvalidInput, "config.json: rope_theta must be above 0", "rope_theta");
  rotary.type = type_of(block);
  if (platform::number_or(block, "partial_rotary_factor", 1.0, kWhere) != 1.0)
    refuse("partial_rotary_factor", "other than 1 is not supported");
  rotary.original_max_positions = platform::int_or(block, "original_max_position_embeddings", 0, kWhere);
  if (rotary.type == "default") return rotary;
  if (rotary.original_max_positions == 0 && rotary.type != "llama3") rotary.original_max_positions = max_positions;
  if (rotary.type == "dynamic") rotary.original_max_positions = max_positions;
  if (rotary.original_max_positions < 1) refuse("original_max_position_embeddings", "must be given and above 0");
  if (rotary.type == "longrope") {
    read_longrope(block, max_positions, head_dim, rotary);
    return rotary;
  }
  const double stretch = static_cast<double>(max_positions) / static_cast<double>(rotary.original_max_positions);
  if (rotary.type != "yarn" && platform::find(block, "factor") == nullptr) refuse("factor", "is missing");
  rotary.factor = positive(block, "factor", stretch);
  rotary.low_frequency_factor = positive(block, "low_freq_factor", 1.0);
  rotary.high_frequency_factor = positive(block, "high_freq_factor", 4.0);
  if (rotary.type == "llama3" && rotary.low_frequency_factor >= rotary.high_frequency_factor)
    refuse("low_freq_factor", "must be below high_freq_factor");
  if (rotary.type == "yarn") read_yarn(block, rotary);
  return rotary;
}

std::vector<float> inverse_frequencies(const RotaryConfig& rotary, std::int64_t head_dim, std::int64_t length) {
  const double theta = rotary.type == "dynamic" ? dynamic_theta(rotary, head_dim, length) : rotary.theta;
  const bool beyond = length > rotary.original_max_positions;
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < head_dim / 2; ++i) {
    double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    if (rotary.type == "linear") frequency /= rotary.factor;
    if (rotary.type == "llama3") frequency = llama3_scaled(frequency, rotary);
    if (rotary.type == "yarn") frequency = yarn_scaled(frequency, i, rotary, head_dim);
    if (rotary.type == "longrope")
      frequency /= (beyond ? rotary.long_factor : rotary.short_factor)[static_cast<std::size_t>(i)];
    frequencies.push_back(static_cast<float>(frequency));
  }
  return frequencies;
}

}  // namespace finetune
