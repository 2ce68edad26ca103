// Counters, gauges and histograms of one process, printed as Prometheus text at /metrics. A Metrics object is made in
// the composition root and handed down; thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>

namespace platform {

class Metrics {
 public:
  Metrics();
  ~Metrics();

  using Labels = std::map<std::string, std::string>;
  /// Names follow Prometheus: anneal_<what>_<unit>[_total]. The first call of a name sets its help text.
  void count(const std::string& name, const std::string& help, double by = 1, const Labels& labels = {});
  void gauge(const std::string& name, const std::string& help, double value, const Labels& labels = {});
  /// Seconds, in buckets from 0.5 ms to 60 s.
  void observe(const std::string& name, const std::string& help, double seconds, const Labels& labels = {});
  /// Text exposition format.
  std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace platform
