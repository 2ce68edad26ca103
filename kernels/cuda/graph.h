// Graph: work recorded once and started again as one, without the host's cost of every launch. What the work reads and
// writes are the same places at every start: put new inputs there before (Tensor::copy_from), and read results after.
//
//   const Graph step = Graph::record(context, [&] { forward(...); backward(...); clipped_adamw_step(...); });
//   for (...) { inputs.copy_from(batch); step.launch(); }
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "kernels/core/context.h"

namespace kernels::cuda {

class Graph {
 public:
  /// Calls `work`, whose operations are recorded and not executed. Memory that it takes and gives back stays with the
  /// graph; tensors that it leaves may be used like others. Nothing in it may wait for the device: what copies to the
  /// host, synchronises or returns a number throws DeviceError, and the context is as it was before. Operations that
  /// need things made at their first use (matrix products) should have run once.
  static Graph record(Context& context, const std::function<void()>& work);

  Graph(Graph&& other) noexcept = default;
  Graph& operator=(Graph&& other) noexcept = default;

  /// Starts the recorded work on the stream of its context.
  void launch() const;

 private:
  struct State;
  explicit Graph(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace kernels::cuda
