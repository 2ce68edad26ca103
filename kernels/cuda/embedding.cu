// Gradients of rows that are named more than once are added in the order of the names, so they repeat to the bit: the
// warp of the first name of a row adds them all.
#include "kernels/core/context.h"
#include "kernels/cuda/each.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/reduce.h"

namespace kernels::cuda {
namespace {

template <int N, typename W, typename T>
struct Lookup {
  GlobalView<const W> table;
  GlobalView<const std::int32_t> ids;
  GlobalView<T> y;
  FaultView faults;
  std::int64_t channels, table_rows;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t id = ids.load(i / channels);
    float values[N] = {};
    if (id >= table_rows) {
      note_fault(faults, Fault::kTokenId, id, table_rows);
    } else if (id >= 0) {
      load_floats(table, id * channels + i % channels, values);
    }
    store_floats(y, i, values);
  }
};

// The bag that entry n belongs to: the last b with offsets[b] <= n.
__device__ std::int64_t bag_of(const GlobalView<const std::int32_t>& offsets, std::int64_t bags, std::int64_t n) {
  std::int64_t low = 0, high = bags;
  while (high - low > 1) {
    const std::int64_t middle = (low + high) / 2;
    if (offsets.load(middle) <= n) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

template <typename T>
struct Bag {
  GlobalView<const float> table;
  GlobalView<const std::int32_t> ids, offsets;
  GlobalView<const float> weights;
  GlobalView<T> y;
  FaultView faults;
  std::int64_t channels, table_rows, entries;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t b = i / channels, c = i % channels;
    const std::int64_t begin = max(std::int64_t{0}, std::int64_t{offsets.load(b)});
    const std::int64_t end = min(entries, std::int64_t{offsets.load(b + 1)});
    float total = 0.0f;
    for (std::int64_t n = begin; n < end; ++n) {
      const std::int64_t id = ids.load(n);
      if (id < 0 || id >= table_rows) {
        note_fault(faults, Fault::kTokenId, id, table_rows);
      } else {
        total += weights.load(n) * table.load(id * channels + c);
      }
    }
    y[i] = narrow<T>(total);
  }
};

// target[ids[n]] += weight(n) * source[row(n)]: row(n) is n, or the bag of n; weight 1, or weights[n].
template <typename T, typename Target>
struct RowAdder {
  GlobalView<const std::int32_t> ids, offsets;  // offsets: of bags, or absent
  GlobalView<const float> weights;              // absent with them
  GlobalView<const T> source;
  GlobalView<Target> target;
  std::int64_t entries, channels, table_rows, bags;
  bool skips_negative;

  __device__ float value(std::int64_t n, std::int64_t c) const {
    if (!offsets.has_value()) return widen(source.load(n * channels + c));
    return weights.load(n) * widen(source.load(bag_of(offsets, bags, n) * channels + c));
  }
};

// A warp for every entry and every 32 channels; all but those of first entries leave at once.
template <typename T, typename Target>
__global__ void __launch_bounds__(kWarpThreads)
    add_rows_kernel(RowAdder<T, Target> adder, FaultView faults, Fault fault) {
  const std::int64_t entry = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.y) * kWarpThreads + lane;
  const std::int32_t id = adder.ids.load(entry);
  if (id < 0 || id >= adder.table_rows) {
    const bool wrong = id >= 0 || !adder.skips_negative;
    if (wrong && lane == 0) note_fault(faults, fault, id, adder.table_rows);
    return;
  }
  for (std::int64_t first = 0; first < entry; first += kWarpThreads) {
    const std::int64_t n = first + lane;
    if (__any_sync(kAllLanes, n < entry && adder.ids.load(n) == id)) return;
  }
  float total = 0.0f;
  for (std::int64_t first = entry; first < adder.entries; first += kWarpThreads) {
    const std::int64_t n = first + lane;
    unsigned same = __ballot_sync(kAllLanes, n < adder.entries && adder.ids.load(n) == id);
    for (; same != 0; same &= same - 1) {
      if (c < adder.channels) total += adder.value(first + __ffs(static_cast<int>(same)) - 1, c);
    }
  }
  if (c >= adder.channels) return;
  const std::int64_t place = id * adder.channels + c;
  adder.target[place] = narrow<Target>(widen(adder.target.load(place)) + total);
}

template <typename T, typename Target>
void add_rows(Context& context, const char* name, const RowAdder<T, Target>& adder, Fault fault) {
  Session& session = context.cuda_session();
  launch(session, name, add_rows_kernel<T, Target>,
         {dim3(static_cast<unsigned>(adder.entries), static_cast<unsigned>(divided_up(adder.channels, kWarpThreads))),
          dim3(kWarpThreads)},
         adder, session.faults(), fault);
}

}  // namespace

void embedding_forward(Context& context, const Tensor& table, const Tensor& ids, Tensor& y) {
  const std::int64_t channels = table.size(1);
  with_float_type(table.type(), [&](auto table_element) {
    with_float_type(y.type(), [&](auto element) {
      using W = decltype(table_element);
      using T = decltype(element);
      using Narrower = std::conditional_t<(sizeof(W) < sizeof(T)), W, T>;
      with_vector_width<Narrower>(channels, {table.raw_data(), y.raw_data()}, [&](auto width) {
        constexpr int kWidth = decltype(width)::value;
        Session& session = context.cuda_session();
        launch_each<kWidth>(session, "embedding_forward", y.count(),
                            Lookup<kWidth, W, T>{view_of<W>(table), view_of<std::int32_t>(ids), view_of<T>(y),
                                                 session.faults(), channels, table.size(0)});
      });
    });
  });
}

void embedding_backward(Context& context, const Tensor& ids, const Tensor& dy, Tensor& dtable) {
  with_float_type(dy.type(), [&](auto element) {
    using T = decltype(element);
    add_rows(context, "embedding_backward",
             RowAdder<T, float>{view_of<std::int32_t>(ids),
                                {},
                                {},
                                view_of<T>(dy),
                                view_of<float>(dtable),
                                ids.count(),
                                dtable.size(1),
                                dtable.size(0),
                                0,
                                true},
             Fault::kTokenId);
  });
}

void embedding_bag_forward(Context& context, const Tensor& table, const Tensor& ids, const Tensor& offsets,
                           const Tensor& weights, Tensor& y) {
  with_float_type(y.type(), [&](auto element) {
    using T = decltype(element);
    Session& session = context.cuda_session();
    launch_each<1>(
        session, "embedding_bag_forward", y.count(),
        Bag<T>{view_of<float>(table), view_of<std::int32_t>(ids), view_of<std::int32_t>(offsets),
               view_of<float>(weights), view_of<T>(y), session.faults(), table.size(1), table.size(0), ids.count()});
  });
}

void embedding_bag_backward(Context& context, const Tensor& ids, const Tensor& offsets, const Tensor& weights,
                            const Tensor& dy, Tensor& dtable) {
  with_float_type(dy.type(), [&](auto element) {
    using T = decltype(element);
    add_rows(context, "embedding_bag_backward",
             RowAdder<T, float>{view_of<std::int32_t>(ids), view_of<std::int32_t>(offsets), view_of<float>(weights),
                                view_of<T>(dy), view_of<float>(dtable), ids.count(), dtable.size(1), dtable.size(0),
                                offsets.count() - 1, false},
             Fault::kTokenId);
  });
}

void scatter_add_rows(Context& context, const Tensor& x, const Tensor& rows, Tensor& y) {
  with_float_type(x.type(), [&](auto element) {
    using T = decltype(element);
    add_rows(context, "scatter_add_rows",
             RowAdder<T, T>{view_of<std::int32_t>(rows),
                            {},
                            {},
                            view_of<T>(x),
                            view_of<T>(y),
                            rows.count(),
                            x.size(1),
                            y.size(0),
                            0,
                            false},
             Fault::kRowIndex);
  });
}

}  // namespace kernels::cuda
