#include "platform/base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>

namespace platform {

struct Metrics::State {
  prometheus::Registry registry;
  std::mutex mutex;
  std::map<std::string, prometheus::Family<prometheus::Counter>*> counters;
  std::map<std::string, prometheus::Family<prometheus::Gauge>*> gauges;
  std::map<std::string, prometheus::Family<prometheus::Histogram>*> histograms;
};

namespace {

const prometheus::Histogram::BucketBoundaries& seconds_buckets() {
  static const prometheus::Histogram::BucketBoundaries kBuckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                                0.25,   0.5,   1,      2.5,   5,    10,    30,   60};
  return kBuckets;
}

// One family a name; the builder of the wanted kind makes it at first use.
template <class Family, class Builder>
Family& family(std::map<std::string, Family*>& known, prometheus::Registry& registry, Builder build,
               const std::string& name, const std::string& help) {
  auto [at, fresh] = known.try_emplace(name, nullptr);
  if (fresh) at->second = &build().Name(name).Help(help).Register(registry);
  return *at->second;
}

}  // namespace

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::count(const std::string& name, const std::string& help, double by, const Labels& labels) {
  const std::lock_guard lock(state_->mutex);
  family(state_->counters, state_->registry, prometheus::BuildCounter, name, help).Add(labels).Increment(by);
}

void Metrics::gauge(const std::string& name, const std::string& help, double value, const Labels& labels) {
  const std::lock_guard lock(state_->mutex);
  family(state_->gauges, state_->registry, prometheus::BuildGauge, name, help).Add(labels).Set(value);
}

void Metrics::observe(const std::string& name, const std::string& help, double seconds, const Labels& labels) {
  const std::lock_guard lock(state_->mutex);
  family(state_->histograms, state_->registry, prometheus::BuildHistogram, name, help)
      .Add(labels, seconds_buckets())
      .Observe(seconds);
}

std::string Metrics::text() const { return prometheus::TextSerializer().Serialize(state_->registry.Collect()); }

}  // namespace platform
