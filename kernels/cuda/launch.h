// launch(): the one way in which kernels are started, natively and under emulation.
#pragma once

#include <cuda_runtime.h>

#include <string>
#include <tuple>
#include <utility>

#include "kernels/cuda/session.h"

namespace kernels::cuda {

struct LaunchShape {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;  // SharedPlan::bytes()
};

inline std::string to_string(const LaunchShape& shape) {
  const auto text = [](const dim3& d) {
    return "[" + std::to_string(d.x) + ", " + std::to_string(d.y) + ", " + std::to_string(d.z) + "]";
  };
  return "grid " + text(shape.grid) + ", block " + text(shape.block) + ", " + std::to_string(shape.shared_bytes) +
         " bytes of shared memory";
}

inline void check_launch(cudaError_t error, const Session& session, const char* name, const LaunchShape& shape) {
  if (error == cudaSuccess) return;
  check(error, std::string(name) + " on " + session.name() + ", " + to_string(shape));
}

#if defined(ANNEAL_CUDA_EMULATION)
namespace detail {

template <typename T>
void number_argument(T& argument, int number) {
  if constexpr (requires { argument.set_argument(number); }) argument.set_argument(number);
}

template <typename Kernel, typename Arguments, std::size_t... I>
void emulate(const char* name, Kernel kernel, const LaunchShape& shape, cudaStream_t stream, Arguments& arguments,
             std::index_sequence<I...>) {
  (number_argument(std::get<I>(arguments), static_cast<int>(I) + 1), ...);
  cuda_emulation::Launch launch;
  launch.kernel = name;
  launch.grid = shape.grid;
  launch.block = shape.block;
  launch.shared_bytes = shape.shared_bytes;
  cuda_emulation::submit(stream, [launch, kernel, arguments] {
    cuda_emulation::run_grid(launch, [&] { kernel(std::get<I>(arguments)...); });
  });
}

}  // namespace detail
#else
namespace detail {

template <typename Arguments, std::size_t... I>
cudaError_t start(const void* kernel, const LaunchShape& shape, cudaStream_t stream, Arguments& arguments,
                  std::index_sequence<I...>) {
  void* pointers[] = {&std::get<I>(arguments)..., nullptr};
  return cudaLaunchKernel(kernel, shape.grid, shape.block, pointers, shape.shared_bytes, stream);
}

}  // namespace detail
#endif

/// Starts `kernel` on the session's stream; a grid with nothing in it starts nothing. `name` is the operation's and
/// must be a literal. Throws DeviceError that names kernel, device and shape.
template <typename... Parameters, typename... Arguments>
void launch(Session& session, const char* name, void (*kernel)(Parameters...), const LaunchShape& shape,
            Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments));
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  session.note_launch(name);
  std::tuple<Parameters...> values(std::forward<Arguments>(arguments)...);
  constexpr auto kIndices = std::index_sequence_for<Parameters...>{};
#if defined(ANNEAL_CUDA_EMULATION)
  check_launch(cuda_emulation::check_shape(shape.grid, shape.block, shape.shared_bytes), session, name, shape);
  detail::emulate(name, kernel, shape, session.stream().handle(), values, kIndices);
#else
  constexpr std::size_t kWithoutAsking = std::size_t{48} << 10;
  const auto* address = reinterpret_cast<const void*>(kernel);
  check(cudaSetDevice(session.device()), session.name());
  if (shape.shared_bytes > kWithoutAsking) {
    check_launch(cudaFuncSetAttribute(address, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(shape.shared_bytes)),
                 session, name, shape);
  }
  check_launch(detail::start(address, shape, session.stream().handle(), values, kIndices), session, name, shape);
  if (session.checks_every_launch() && !session.stream().is_recording())
    check_launch(cudaStreamSynchronize(session.stream().handle()), session, name, shape);
#endif
}

}  // namespace kernels::cuda
