// `anneal simulate`: the milling machine behind a REST API on 127.0.0.1, as a plant gateway would serve it.
//   GET /records?after=N&limit=M -> {"items": [...], "next": N}   records after sequence N that exist by now
//   GET /status                  -> {"machine", "sequence"}
// Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "connectors/simulators/milling_machine.h"

namespace connectors {

struct PlantOptions {
  MillingOptions machine;
  std::int64_t history = 5000;    // records that exist from the start
  double records_per_second = 1;  // further ones; 0 = none
  std::uint16_t port = 0;         // 0 = any free one
};

class PlantServer {
 public:
  /// Serving when it returns. Throws kUnavailable if the port is taken.
  explicit PlantServer(PlantOptions options);
  ~PlantServer();
  std::string address() const;  // http://127.0.0.1:PORT
  std::int64_t sequence() const;
  /// Settings of a rest_poll source that reads this plant.
  platform::json::object source_settings() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The `simulate` command: serves until SIGINT or SIGTERM. Returns the exit code.
int simulate_command(const std::vector<std::string>& arguments);

}  // namespace connectors
