#include "kernels/cuda/graph.h"

#include <cuda_runtime.h>

#include <vector>

#include "kernels/core/tensor.h"
#include "kernels/cuda/cuda_error.h"
#include "kernels/cuda/device_memory.h"

namespace kernels::cuda {

struct Graph::State {
  std::shared_ptr<DeviceMemory> memory;
  int pool = 0;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;

  ~State() {
    cudaStreamSynchronize(memory->stream().handle());  // a start may still be running
    if (executable != nullptr) cudaGraphExecDestroy(executable);
    if (graph != nullptr) cudaGraphDestroy(graph);
    memory->drop_pool(pool);
  }
};

namespace {

// Between these two the stream records. The workspace of the context is put aside, because a later operation may give
// it away while the graph still writes there.
class Recording {
 public:
  Recording(Context& context, DeviceMemory& memory)
      : context_(context), memory_(memory), workspace_(context.exchange_workspace({})) {
    pool_ = memory_.begin_pool();
    const cudaError_t error = cudaStreamBeginCapture(memory_.stream().handle(), cudaStreamCaptureModeRelaxed);
    if (error == cudaSuccess) return;
    restore();
    memory_.drop_pool(pool_);
    check(error, "record a graph");
  }
  ~Recording() {
    if (recording_) end();
  }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  int pool() const { return pool_; }

  /// Null when something in the work made the recording invalid.
  cudaGraph_t end() {
    recording_ = false;
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(memory_.stream().handle(), &graph) != cudaSuccess) {
      cudaGetLastError();
      graph = nullptr;
    }
    restore();
    return graph;
  }

 private:
  void restore() {
    context_.exchange_workspace(std::move(workspace_));
    memory_.end_pool();
  }

  Context& context_;
  DeviceMemory& memory_;
  std::vector<Tensor> workspace_;
  int pool_ = 0;
  bool recording_ = true;
};

}  // namespace

Graph Graph::record(Context& context, const std::function<void()>& work) {
  if (!context.is_cuda())
    throw DeviceError("a graph is recorded on a CUDA device, not on " + to_string(context.device()));
  auto state = std::make_shared<State>();
  state->memory = std::static_pointer_cast<DeviceMemory>(context.memory());
  {
    Recording recording(context, *state->memory);
    state->pool = recording.pool();
    work();
    state->graph = recording.end();
  }
  if (state->graph == nullptr)
    throw DeviceError("record a graph on " + to_string(context.device()) +
                      ": something in the work cannot be recorded");
  check(cudaGraphInstantiate(&state->executable, state->graph, 0), "make a graph ready");
  return Graph(std::move(state));
}

void Graph::launch() const {
  check(cudaGraphLaunch(state_->executable, state_->memory->stream().handle()), "start a graph");
}

}  // namespace kernels::cuda
