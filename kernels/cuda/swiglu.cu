#include "kernels/core/context.h"
#include "kernels/cuda/activation_values.h"
#include "kernels/cuda/each.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

template <int N, typename T, Activation kActivation>
struct Forward {
  GlobalView<const T> gate, up;
  GlobalView<T> h;
  __device__ void operator()(std::int64_t i) const {
    float gates[N], ups[N];
    load_floats(gate, i, gates);
    load_floats(up, i, ups);
#pragma unroll
    for (int k = 0; k < N; ++k) gates[k] = activated<kActivation>(gates[k]).value * ups[k];
    store_floats(h, i, gates);
  }
};

template <int N, typename T, Activation kActivation>
struct Backward {
  GlobalView<const T> dh, gate, up;
  GlobalView<T> dgate, dup;
  __device__ void operator()(std::int64_t i) const {
    float gradients[N], gates[N], ups[N];
    load_floats(dh, i, gradients);
    load_floats(gate, i, gates);
    load_floats(up, i, ups);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const ActivationValue a = activated<kActivation>(gates[k]);
      gates[k] = gradients[k] * ups[k] * a.slope;
      ups[k] = gradients[k] * a.value;
    }
    store_floats(dgate, i, gates);
    store_floats(dup, i, ups);
  }
};

}  // namespace

void swiglu_forward(Context& context, const Tensor& gate, const Tensor& up, Tensor& h, Activation activation) {
  const std::int64_t count = gate.count();
  with_float_type(gate.type(), [&](auto element) {
    using T = decltype(element);
    with_vector_width<T>(count, {gate.raw_data(), up.raw_data(), h.raw_data()}, [&](auto width) {
      with_activation(activation, [&](auto chosen) {
        using Body = Forward<decltype(width)::value, T, decltype(chosen)::value>;
        launch_each<decltype(width)::value>(context.cuda_session(), "swiglu_forward", count,
                                            Body{view_of<T>(gate), view_of<T>(up), view_of<T>(h)});
      });
    });
  });
}

void swiglu_backward(Context& context, const Tensor& dh, const Tensor& gate, const Tensor& up, Tensor& dgate,
                     Tensor& dup, Activation activation) {
  const std::int64_t count = gate.count();
  with_float_type(gate.type(), [&](auto element) {
    using T = decltype(element);
    with_vector_width<T>(
        count, {dh.raw_data(), gate.raw_data(), up.raw_data(), dgate.raw_data(), dup.raw_data()}, [&](auto width) {
          with_activation(activation, [&](auto chosen) {
            using Body = Backward<decltype(width)::value, T, decltype(chosen)::value>;
            launch_each<decltype(width)::value>(
                context.cuda_session(), "swiglu_backward", count,
                Body{view_of<T>(dh), view_of<T>(gate), view_of<T>(up), view_of<T>(dgate), view_of<T>(dup)});
          });
        });
  });
}

}  // namespace kernels::cuda
