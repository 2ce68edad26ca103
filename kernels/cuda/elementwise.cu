#include "kernels/core/context.h"
#include "kernels/cuda/activation_values.h"
#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/each.h"
#include "kernels/cuda/operations.h"

namespace kernels::cuda {
namespace {

// y = of(y, x, other) on N elements. Missing inputs count as zero. kReadsY says whether y's old values are used.
template <int N, typename T, typename Of>
struct Map {
  GlobalView<const T> x, other;
  GlobalView<T> y;
  Of of;
  __device__ void operator()(std::int64_t i) const {
    float values[N] = {}, inputs[N] = {}, others[N] = {};
    if constexpr (Of::kReadsY) load_floats(y, i, values);
    if (x.has_value()) load_floats(x, i, inputs);
    if (other.has_value()) load_floats(other, i, others);
#pragma unroll
    for (int k = 0; k < N; ++k) values[k] = of(values[k], inputs[k], others[k]);
    store_floats(y, i, values);
  }
};

template <typename Of>
void map(Context& context, const char* name, const Tensor* x, const Tensor* other, Tensor& y, const Of& of) {
  const void* first = x == nullptr ? nullptr : x->raw_data();
  const void* second = other == nullptr ? nullptr : other->raw_data();
  with_float_type(y.type(), [&](auto element) {
    using T = decltype(element);
    with_vector_width<T>(y.count(), {first, second, y.raw_data()}, [&](auto width) {
      constexpr int kWidth = decltype(width)::value;
      launch_each<kWidth>(context.cuda_session(), name, y.count(),
                          Map<kWidth, T, Of>{view_of<T>(x), view_of<T>(other), view_of<T>(y), of});
    });
  });
}

struct Add {
  static constexpr bool kReadsY = true;
  float factor;
  __device__ float operator()(float y, float x, float) const { return y + factor * x; }
};
struct Multiply {
  static constexpr bool kReadsY = false;
  __device__ float operator()(float, float x, float other) const { return x * other; }
};
struct Scale {
  static constexpr bool kReadsY = true;
  float factor;
  __device__ float operator()(float y, float, float) const { return y * factor; }
};
struct Softcap {
  static constexpr bool kReadsY = true;
  float cap;
  __device__ float operator()(float y, float, float) const { return cap * tanhf(y / cap); }
};
template <Activation kActivation>
struct Activated {
  static constexpr bool kReadsY = false;
  __device__ float operator()(float, float x, float) const { return activated<kActivation>(x).value; }
};
template <Activation kActivation>
struct ActivationGradient {
  static constexpr bool kReadsY = false;
  __device__ float operator()(float, float x, float dy) const { return dy * activated<kActivation>(x).slope; }
};

template <int N, typename From, typename To>
struct Cast {
  GlobalView<const From> x;
  GlobalView<To> y;
  __device__ void operator()(std::int64_t i) const {
    float values[N];
    load_floats(x, i, values);
    store_floats(y, i, values);
  }
};

template <int N, typename T, typename W>
struct AddBias {
  GlobalView<const W> bias;
  GlobalView<T> y;
  std::int64_t channels;
  float factor;
  __device__ void operator()(std::int64_t i) const {
    float values[N], biases[N];
    load_floats(y, i, values);
    load_floats(bias, i % channels, biases);
#pragma unroll
    for (int k = 0; k < N; ++k) values[k] += factor * biases[k];
    store_floats(y, i, values);
  }
};

template <int N, typename T>
struct MultiplyColumns {
  GlobalView<const T> x;
  GlobalView<const float> factors;
  GlobalView<T> y;
  std::int64_t channels;
  float beta;
  __device__ void operator()(std::int64_t i) const {
    float values[N], scales[N], before[N] = {};
    load_floats(x, i, values);
    load_floats(factors, i % channels, scales);
    if (beta != 0.0f) load_floats(y, i, before);
#pragma unroll
    for (int k = 0; k < N; ++k) values[k] = values[k] * scales[k] + beta * before[k];
    store_floats(y, i, values);
  }
};

template <typename T>
struct ColumnValue {
  GlobalView<const T> x;
  std::int64_t channels;
  __device__ float operator()(std::int64_t n, std::int64_t c) const { return widen(x.load(n * channels + c)); }
};
template <typename T>
struct ColumnProduct {
  GlobalView<const T> a, b;
  std::int64_t channels;
  __device__ float operator()(std::int64_t n, std::int64_t c) const {
    return widen(a.load(n * channels + c)) * widen(b.load(n * channels + c));
  }
};

// Row m of the index list on one side, row rows[m] of the table on the other.
template <int N, typename T, bool kToTable>
struct MoveRow {
  GlobalView<const T> x;
  GlobalView<const std::int32_t> rows;
  GlobalView<T> y;
  FaultView faults;
  std::int64_t channels, table_rows;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t m = i / channels, c = i % channels, row = rows.load(m);
    if (row < 0 || row >= table_rows) return note_fault(faults, Fault::kRowIndex, row, table_rows);
    if constexpr (kToTable) {
      y.store(row * channels + c, x.template load<N>(i));
    } else {
      y.store(i, x.template load<N>(row * channels + c));
    }
  }
};

template <bool kToTable>
void move_rows(Context& context, const char* name, const Tensor& x, const Tensor& rows, Tensor& y) {
  const std::int64_t channels = x.size(1), table_rows = kToTable ? y.size(0) : x.size(0);
  const std::int64_t count = rows.count() * channels;
  with_float_type(x.type(), [&](auto element) {
    using T = decltype(element);
    with_vector_width<T>(channels, {x.raw_data(), y.raw_data()}, [&](auto width) {
      constexpr int kWidth = decltype(width)::value;
      Session& session = context.cuda_session();
      launch_each<kWidth>(session, name, count,
                          MoveRow<kWidth, T, kToTable>{view_of<T>(x), view_of<std::int32_t>(rows), view_of<T>(y),
                                                       session.faults(), channels, table_rows});
    });
  });
}

}  // namespace

void add(Context& context, const Tensor& x, Tensor& y, float factor) {
  map(context, "add", &x, nullptr, y, Add{factor});
}
void multiply(Context& context, const Tensor& a, const Tensor& b, Tensor& y) {
  map(context, "multiply", &a, &b, y, Multiply{});
}
void scale(Context& context, Tensor& y, float factor) { map(context, "scale", nullptr, nullptr, y, Scale{factor}); }
void softcap(Context& context, Tensor& y, float cap) { map(context, "softcap", nullptr, nullptr, y, Softcap{cap}); }

void activation_forward(Context& context, Activation activation, const Tensor& x, Tensor& y) {
  with_activation(activation, [&](auto chosen) {
    map(context, "activation_forward", &x, nullptr, y, Activated<decltype(chosen)::value>{});
  });
}
void activation_backward(Context& context, Activation activation, const Tensor& dy, const Tensor& x, Tensor& dx) {
  with_activation(activation, [&](auto chosen) {
    map(context, "activation_backward", &x, &dy, dx, ActivationGradient<decltype(chosen)::value>{});
  });
}

void cast(Context& context, const Tensor& x, Tensor& y) {
  with_float_type(x.type(), [&](auto from) {
    with_float_type(y.type(), [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      using Narrower = std::conditional_t<(sizeof(From) < sizeof(To)), From, To>;
      with_vector_width<Narrower>(x.count(), {x.raw_data(), y.raw_data()}, [&](auto width) {
        constexpr int kWidth = decltype(width)::value;
        launch_each<kWidth>(context.cuda_session(), "cast", x.count(),
                            Cast<kWidth, From, To>{view_of<From>(x), view_of<To>(y)});
      });
    });
  });
}

void add_bias(Context& context, const Tensor& bias, Tensor& y, float factor) {
  with_float_type(y.type(), [&](auto element) {
    with_float_type(bias.type(), [&](auto bias_element) {
      using T = decltype(element);
      using W = decltype(bias_element);
      with_vector_width<T>(y.size(1), {bias.raw_data(), y.raw_data()}, [&](auto width) {
        constexpr int kWidth = decltype(width)::value;
        launch_each<kWidth>(context.cuda_session(), "add_bias", y.count(),
                            AddBias<kWidth, T, W>{view_of<W>(bias), view_of<T>(y), y.size(1), factor});
      });
    });
  });
}

void sum_rows(Context& context, const Tensor& x, Tensor& total, float factor) {
  with_float_type(x.type(), [&](auto element) {
    using T = decltype(element);
    add_column_sums(context, "sum_rows", x.size(0), x.size(1), ColumnValue<T>{view_of<T>(x), x.size(1)},
                    view_of<float>(total), factor);
  });
}

void multiply_columns(Context& context, const Tensor& x, const Tensor& factors, Tensor& y, float beta) {
  with_float_type(x.type(), [&](auto element) {
    using T = decltype(element);
    with_vector_width<T>(x.size(1), {x.raw_data(), factors.raw_data(), y.raw_data()}, [&](auto width) {
      constexpr int kWidth = decltype(width)::value;
      launch_each<kWidth>(
          context.cuda_session(), "multiply_columns", x.count(),
          MultiplyColumns<kWidth, T>{view_of<T>(x), view_of<float>(factors), view_of<T>(y), x.size(1), beta});
    });
  });
}

void dot_columns(Context& context, const Tensor& a, const Tensor& b, Tensor& total) {
  with_float_type(a.type(), [&](auto element) {
    using T = decltype(element);
    add_column_sums(context, "dot_columns", a.size(0), a.size(1),
                    ColumnProduct<T>{view_of<T>(a), view_of<T>(b), a.size(1)}, view_of<float>(total));
  });
}

void gather_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y) {
  move_rows<false>(context, "gather_rows", x, rows, y);
}
void scatter_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y) {
  move_rows<true>(context, "scatter_rows", x, rows, y);
}

}  // namespace kernels::cuda
