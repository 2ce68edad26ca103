// A block works on 64 rows of one adapter (or on 64 columns, for gradients), a warp on 16 of them. The next part of x
// is read while a tile is multiplied, and waits in registers; the narrow side is small and comes from cache. Rows of
// adapters that are not neighbours are found through the order of the batch.
#include "kernels/cuda/low_rank.h"

#include <algorithm>

#include "kernels/core/random.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/tile_multiply.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = 128, kTile = 64, kWarpRows = 16;
constexpr std::int64_t kPieceColumns = 256;       // summed at a time, so that blocks may share a long row
constexpr std::int64_t kPieceRows = 1024;         // of one adapter, summed at a time by gradients
constexpr int kSegmentsPerLaunch = 40;            // arguments of a kernel are at most 4 KiB
constexpr std::int64_t kNarrow = 16, kWide = 64;  // ranks that a block works on

// 128 bytes of a row.
template <typename T>
constexpr int kDepth = 128 / static_cast<int>(sizeof(T));

struct Segment {
  std::int64_t first_row, rows, first_rank, rank;
  std::int64_t first_unit;  // of work, in this launch
  std::uint64_t seed, threshold;
  float factor, kept;

  // Element `index` of the adapter's own rows, as ops/lora.h drops it.
  __device__ float dropped(std::int64_t index, float value) const {
    if (threshold == 0) return value;
    const bool keep = (random_bits(seed, static_cast<std::uint64_t>(index)) >> 32) >= threshold;
    return keep ? kept * value : 0.0f;
  }
};

struct Segments {
  Segment list[kSegmentsPerLaunch];
  int count;
};

__device__ int segment_of(const Segments& segments, std::int64_t unit) {
  int s = 0;
  while (s + 1 < segments.count && segments.list[s + 1].first_unit <= unit) ++s;
  return s;
}

struct Order {
  GlobalView<const std::int32_t> rows;
  __device__ std::int64_t row(std::int64_t place) const { return rows.has_value() ? rows.load(place) : place; }
};

// The stack of adapters' matrices, in float32 or in T.
template <typename T>
struct Stack {
  GlobalView<const float> wide;
  GlobalView<const T> narrow;
  std::int64_t columns;
  bool is_a;
  __device__ float at(const Segment& segment, std::int64_t column, std::int64_t rank) const {
    const std::int64_t i =
        segment.first_rank * columns + (is_a ? rank * columns + column : column * segment.rank + rank);
    return wide.has_value() ? wide.load(i) : widen(narrow.load(i));
  }
};

// N neighbours of x in a row of the batch, zero outside of the matrix.
template <int N, typename T>
struct Rows {
  GlobalView<const T> x;
  Order order;
  std::int64_t columns;
  __device__ Vector<T, N> load(const Segment& segment, std::int64_t row, std::int64_t end, std::int64_t column) const {
    Vector<T, N> values{};
    if (row >= end || column >= columns) return values;
    values = x.template load<N>(order.row(segment.first_row + row) * columns + column);
    if (segment.threshold == 0) return values;
#pragma unroll
    for (int k = 0; k < N; ++k)
      values[k] = narrow<T>(segment.dropped(row * columns + column + k, widen(static_cast<T>(values[k]))));
    return values;
  }
};

template <typename T>
struct ToLowRank {
  GlobalView<T> low;
  GlobalView<float> partial;  // [pieces, places, low_columns] where blocks share rows, else absent
  Stack<T> stack;
  std::int64_t low_columns, places;
};

// low[n, r] = the sum of pieces of kPieceColumns columns, in order, whether one block adds them up or several do.
template <int N, int kFragments, typename T>
__global__ void __launch_bounds__(kThreads, 3) to_low_rank_kernel(Segments segments, Rows<N, T> rows, ToLowRank<T> to) {
  constexpr int kSteps = kDepth<T>, kStride = tile_stride<T>(kSteps), kRanks = 8 * kFragments;
  constexpr int kLeft = kTile * kSteps / N / kThreads, kRight = kRanks * kSteps / kThreads;
  constexpr std::int64_t kStepsPerPiece = kPieceColumns / kSteps;
  SharedMemory shared;
  const Tile<T> left{shared.array<T>(kTile * kStride), kStride}, right{shared.array<T>(kRanks * kStride), kStride};
  const Segment& segment = segments.list[segment_of(segments, blockIdx.x)];
  const std::int64_t first = (blockIdx.x - segment.first_unit) * kTile, end = min(segment.rows, first + kTile);
  const std::int64_t first_rank = static_cast<std::int64_t>(blockIdx.y) * kRanks;
  if (first_rank >= segment.rank) return;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarpThreads;

  Vector<T, N> next_left[kLeft];
  const auto fetch = [&](std::int64_t column) {
#pragma unroll
    for (int i = 0; i < kLeft; ++i) {
      const int index = (i * kThreads + thread) * N;
      next_left[i] = rows.load(segment, first + index / kSteps, end, column + index % kSteps);
    }
  };
  const auto put_down = [&](std::int64_t column) {
#pragma unroll 4
    for (int i = 0; i < kRight; ++i) {
      const int index = i * kThreads + thread;
      const int r = to.stack.is_a ? index / kSteps : index % kRanks;
      const int c = to.stack.is_a ? index % kSteps : index / kRanks;
      const bool inside = first_rank + r < segment.rank && column + c < rows.columns;
      right.elements.store(r * kStride + c,
                           narrow<T>(inside ? to.stack.at(segment, column + c, first_rank + r) : 0.0f));
    }
#pragma unroll
    for (int i = 0; i < kLeft; ++i) {
      const int index = (i * kThreads + thread) * N;
      left.elements.store(index / kSteps * kStride + index % kSteps, next_left[i]);
    }
  };

  const std::int64_t all_steps = divided_up(rows.columns, kSteps);
  const bool shares = to.partial.has_value();
  const std::int64_t begin_step = shares ? blockIdx.z * kStepsPerPiece : 0;
  const std::int64_t end_step = shares ? min(all_steps, begin_step + kStepsPerPiece) : all_steps;
  float total[kFragments][4] = {}, sum[kFragments][4] = {};
  fetch(begin_step * kSteps);
  for (std::int64_t step = begin_step; step < end_step; ++step) {
    put_down(step * kSteps);
    __syncthreads();
    if (step + 1 < end_step) fetch((step + 1) * kSteps);
    multiply_tile<false, false>(sum, left, warp * kWarpRows, right, kSteps);
    __syncthreads();
    if ((step + 1) % kStepsPerPiece != 0 && step + 1 != end_step) continue;
#pragma unroll
    for (int f = 0; f < kFragments; ++f) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        total[f][i] += sum[f][i];
        sum[f][i] = 0.0f;
      }
    }
  }
#pragma unroll
  for (int f = 0; f < kFragments; ++f) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const FragmentPlace place = fragment_place(i);
      const std::int64_t row = first + warp * kWarpRows + place.row, r = first_rank + 8 * f + place.column;
      if (row >= end || r >= segment.rank) continue;
      const std::int64_t at = segment.first_row + row;
      if (shares) {
        to.partial.store((blockIdx.z * to.places + at) * to.low_columns + r, total[f][i]);
      } else {
        to.low.store(rows.order.row(at) * to.low_columns + r, narrow<T>(total[f][i]));
      }
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    add_pieces_kernel(Segments segments, Order order, ToLowRank<T> to, std::int64_t pieces) {
  const Segment& segment = segments.list[segment_of(segments, blockIdx.x)];
  const std::int64_t first = (blockIdx.x - segment.first_unit) * kTile, end = min(segment.rows, first + kTile);
  for (std::int64_t i = threadIdx.x; i < (end - first) * segment.rank; i += kThreads) {
    const std::int64_t at = segment.first_row + first + i / segment.rank, r = i % segment.rank;
    float total = 0.0f;
    for (std::int64_t piece = 0; piece < pieces; ++piece)
      total += to.partial.load((piece * to.places + at) * to.low_columns + r);
    to.low.store(order.row(at) * to.low_columns + r, narrow<T>(total));
  }
}

template <typename T>
struct FromLowRank {
  GlobalView<const T> low;
  GlobalView<T> y;
  Stack<T> stack;
  Order order;
  std::int64_t low_columns;
};

template <int N, typename T>
__global__ void __launch_bounds__(kThreads) from_low_rank_kernel(Segments segments, FromLowRank<T> from) {
  constexpr int kStride = tile_stride<T>(kDepth<T>), kResultStride = kTile + 4, kFragments = kTile / 8;
  SharedMemory shared;
  const Tile<T> left{shared.array<T>(kTile * kStride), kStride}, right{shared.array<T>(kTile * kStride), kStride};
  const SharedArray<float> result = shared.array<float>(kTile * kResultStride);
  const Segment& segment = segments.list[segment_of(segments, blockIdx.x)];
  const std::int64_t columns = from.stack.columns;
  const std::int64_t first = (blockIdx.x - segment.first_unit) * kTile, end = min(segment.rows, first + kTile);
  const std::int64_t first_column = static_cast<std::int64_t>(blockIdx.y) * kTile;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarpThreads;
  float sum[kFragments][4] = {};
  for (std::int64_t first_rank = 0; first_rank < segment.rank; first_rank += kDepth<T>) {
    const int depth = static_cast<int>(min(std::int64_t{kDepth<T>}, (segment.rank - first_rank + 15) / 16 * 16));
    __syncthreads();  // the tiles of the ranks before are done with
    for (int i = thread; i < kTile * depth; i += kThreads) {
      const std::int64_t row = first + i / depth, r = first_rank + i % depth;
      T value{};
      if (row < end && r < segment.rank)
        value = from.low.load(from.order.row(segment.first_row + row) * from.low_columns + r);
      left.elements.store(i / depth * kStride + i % depth, value);
      const int k = from.stack.is_a ? i / kTile : i % depth, c = from.stack.is_a ? i % kTile : i / depth;
      const bool inside = first_rank + k < segment.rank && first_column + c < columns;
      right.elements.store(c * kStride + k,
                           narrow<T>(inside ? from.stack.at(segment, first_column + c, first_rank + k) : 0.0f));
    }
    __syncthreads();
    multiply_tile<false, false>(sum, left, warp * kWarpRows, right, depth);
  }
#pragma unroll
  for (int f = 0; f < kFragments; ++f) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const FragmentPlace place = fragment_place(i);
      result.store((warp * kWarpRows + place.row) * kResultStride + 8 * f + place.column, sum[f][i]);
    }
  }
  __syncthreads();
  for (int i = thread * N; i < kTile * kTile; i += kThreads * N) {
    const std::int64_t row = first + i / kTile, column = first_column + i % kTile;
    if (row >= end || column >= columns) continue;
    const std::int64_t at = from.order.row(segment.first_row + row) * columns + column;
    float values[N];
    load_floats(from.y, at, values);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const float product = result.load(i / kTile * kResultStride + i % kTile + k);
      values[k] += segment.factor * segment.dropped(row * columns + column + k, product);
    }
    store_floats(from.y, at, values);
  }
}

template <typename T>
struct LowRankGradient {
  GlobalView<const T> low;
  GlobalView<float> partial;  // [units, slot]
  std::int64_t low_columns, slot;
  bool is_a;
};

// partial[unit] = x^T low over the unit's rows, laid out as the adapter's matrix.
template <int N, int kFragments, typename T>
__global__ void __launch_bounds__(kThreads, 3)
    gradient_kernel(Segments segments, Rows<N, T> rows, LowRankGradient<T> to) {
  constexpr int kSteps = kDepth<T>, kRanks = 8 * kFragments;
  constexpr int kLeftStride = tile_stride<T>(kTile), kRightStride = tile_stride<T>(kRanks);
  constexpr int kLeft = kTile * kSteps / N / kThreads, kRight = kRanks * kSteps / kThreads;
  SharedMemory shared;
  const Tile<T> left{shared.array<T>(kSteps * kLeftStride), kLeftStride};
  const Tile<T> right{shared.array<T>(kSteps * kRightStride), kRightStride};
  const Segment& segment = segments.list[segment_of(segments, blockIdx.x)];
  const std::int64_t first = (blockIdx.x - segment.first_unit) * kPieceRows;
  const std::int64_t end = min(segment.rows, first + kPieceRows);
  const std::int64_t first_column = static_cast<std::int64_t>(blockIdx.y) * kTile;
  const std::int64_t first_rank = static_cast<std::int64_t>(blockIdx.z) * kRanks;
  if (first_rank >= segment.rank) return;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarpThreads;

  Vector<T, N> next_left[kLeft];
  const auto fetch = [&](std::int64_t begin) {
#pragma unroll
    for (int i = 0; i < kLeft; ++i) {
      const int index = (i * kThreads + thread) * N;
      next_left[i] = rows.load(segment, begin + index / kTile, end, first_column + index % kTile);
    }
  };
  float sum[kFragments][4] = {};
  fetch(first);
  for (std::int64_t begin = first; begin < end; begin += kSteps) {
#pragma unroll 4
    for (int i = 0; i < kRight; ++i) {
      const int index = i * kThreads + thread;
      const std::int64_t row = begin + index / kRanks, r = first_rank + index % kRanks;
      T value{};
      if (row < end && r < segment.rank)
        value = to.low.load(rows.order.row(segment.first_row + row) * to.low_columns + r);
      right.elements.store(index / kRanks * kRightStride + index % kRanks, value);
    }
#pragma unroll
    for (int i = 0; i < kLeft; ++i) {
      const int index = (i * kThreads + thread) * N;
      left.elements.store(index / kTile * kLeftStride + index % kTile, next_left[i]);
    }
    __syncthreads();
    if (begin + kSteps < end) fetch(begin + kSteps);
    multiply_tile<true, true>(sum, left, warp * kWarpRows, right, kSteps);
    __syncthreads();
  }
#pragma unroll
  for (int f = 0; f < kFragments; ++f) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const FragmentPlace place = fragment_place(i);
      const std::int64_t column = first_column + warp * kWarpRows + place.row;
      const std::int64_t r = first_rank + 8 * f + place.column;
      if (column >= rows.columns || r >= segment.rank) continue;
      const std::int64_t element = to.is_a ? r * rows.columns + column : column * segment.rank + r;
      to.partial.store(blockIdx.x * to.slot + element, sum[f][i]);
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    add_gradient_kernel(Segments segments, GlobalView<const float> partial, GlobalView<float> gradient,
                        std::int64_t columns, std::int64_t slot) {
  const Segment& segment = segments.list[blockIdx.y];
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= segment.rank * columns) return;
  float sum = 0.0f;
  const std::int64_t units = divided_up(segment.rows, kPieceRows);
  for (std::int64_t unit = 0; unit < units; ++unit) sum += partial.load((segment.first_unit + unit) * slot + i);
  gradient[segment.first_rank * columns + i] += segment.factor * sum;
}

// What one launch works on.
struct Work {
  Segments segments{};
  std::int64_t units = 0, most_ranks = 0;
};

// Calls body(work) for groups of adapters that have rows and ranks; a unit is at most `unit_rows` rows of one.
template <typename Body>
void in_launches(const AdapterSegments& all, LowRankMatrix matrix, std::int64_t unit_rows, const Body& body) {
  Work work;
  const auto flush = [&] {
    if (work.segments.count > 0) body(std::as_const(work));
    work = {};
  };
  for (const AdapterSegment& segment : all.list) {
    if (segment.rows == 0 || segment.rank == 0) continue;
    if (work.segments.count == kSegmentsPerLaunch) flush();
    const float dropout = matrix == LowRankMatrix::kA ? segment.options.dropout : 0.0f;
    const auto threshold = static_cast<std::uint64_t>(static_cast<double>(dropout) * 0x1p32);
    work.segments.list[work.segments.count++] = {
        segment.first_row,    segment.rows, segment.first_rank,      segment.rank,           work.units,
        segment.options.seed, threshold,    segment.options.scaling, 1.0f / (1.0f - dropout)};
    work.units += divided_up(segment.rows, unit_rows);
    work.most_ranks = std::max(work.most_ranks, segment.rank);
  }
  flush();
}

unsigned blocks(std::int64_t count, std::int64_t by) { return static_cast<unsigned>(divided_up(count, by)); }

Order order_of(const AdapterSegments& segments) { return {view_of<std::int32_t>(segments.order)}; }

template <typename T>
Stack<T> stack_of(const Tensor& stack, std::int64_t columns, LowRankMatrix matrix) {
  Stack<T> made{{}, {}, columns, matrix == LowRankMatrix::kA};
  if (stack.type() == DataType::kFloat32) {
    made.wide = view_of<float>(stack);
  } else {
    made.narrow = view_of<T>(stack);
  }
  return made;
}

// Calls body(fragments) with the number of 8-column fragments that ranks up to this take.
template <typename Body>
void with_fragments(std::int64_t ranks, const Body& body) {
  if (ranks <= kNarrow) return body(std::integral_constant<int, kNarrow / 8>{});
  body(std::integral_constant<int, kWide / 8>{});
}

std::int64_t places_of(const AdapterSegments& segments) {
  std::int64_t places = 0;
  for (const AdapterSegment& segment : segments.list) places = std::max(places, segment.first_row + segment.rows);
  return places;
}

}  // namespace

void product_to_low_rank(Context& context, const char* name, const AdapterSegments& segments, const Tensor& x,
                         const Tensor& stack, LowRankMatrix matrix, Tensor& low) {
  const std::int64_t columns = x.size(1), low_columns = low.size(1), places = places_of(segments);
  const std::int64_t pieces = divided_up(columns, kPieceColumns);
  Session& session = context.cuda_session();
  in_launches(segments, matrix, kTile, [&](const Work& work) {
    with_float_type(x.type(), [&](auto element) {
      using T = decltype(element);
      ScratchFrame frame(context);
      ToLowRank<T> to{view_of<T>(low), {}, stack_of<T>(stack, columns, matrix), low_columns, places};
      with_fragments(work.most_ranks, [&](auto fragments) {
        constexpr int kFragments = decltype(fragments)::value;
        const std::int64_t rank_blocks = divided_up(work.most_ranks, 8 * kFragments);
        // Few rows: blocks share their columns.
        const bool shares = pieces > 1 && work.units * rank_blocks < 2 * session.multiprocessors();
        if (shares) {
          const std::int64_t count = pieces * places * low_columns;
          to.partial = GlobalView<float>(frame.floats(count), count);
        }
        const dim3 grid(static_cast<unsigned>(work.units), static_cast<unsigned>(rank_blocks),
                        shares ? static_cast<unsigned>(pieces) : 1);
        constexpr int kStride = tile_stride<T>(kDepth<T>);
        const std::size_t bytes =
            SharedPlan().array<T>(kTile * kStride).template array<T>(8 * kFragments * kStride).bytes();
        with_vector_width<T>(columns, {x.raw_data()}, [&](auto width) {
          constexpr int kWidth = decltype(width)::value;
          launch(session, name, to_low_rank_kernel<kWidth, kFragments, T>, {grid, dim3(kThreads), bytes}, work.segments,
                 Rows<kWidth, T>{view_of<T>(x), order_of(segments), columns}, to);
        });
        if (!shares) return;
        launch(session, name, add_pieces_kernel<T>, {dim3(static_cast<unsigned>(work.units)), dim3(kThreads)},
               work.segments, order_of(segments), to, pieces);
      });
    });
  });
}

void add_product_from_low_rank(Context& context, const char* name, const AdapterSegments& segments, const Tensor& low,
                               const Tensor& stack, LowRankMatrix matrix, Tensor& y) {
  const std::int64_t columns = y.size(1);
  in_launches(segments, matrix, kTile, [&](const Work& work) {
    with_float_type(y.type(), [&](auto element) {
      using T = decltype(element);
      constexpr int kStride = tile_stride<T>(kDepth<T>);
      const std::size_t bytes = SharedPlan()
                                    .array<T>(kTile * kStride)
                                    .template array<T>(kTile * kStride)
                                    .template array<float>(kTile * (kTile + 4))
                                    .bytes();
      const FromLowRank<T> from{view_of<T>(low), view_of<T>(y), stack_of<T>(stack, columns, matrix), order_of(segments),
                                low.size(1)};
      with_vector_width<T>(columns, {y.raw_data()}, [&](auto width) {
        launch(context.cuda_session(), name, from_low_rank_kernel<decltype(width)::value, T>,
               {dim3(static_cast<unsigned>(work.units), blocks(columns, kTile)), dim3(kThreads), bytes}, work.segments,
               from);
      });
    });
  });
}

void add_low_rank_gradient(Context& context, const char* name, const AdapterSegments& segments, const Tensor& x,
                           const Tensor& low, LowRankMatrix matrix, Tensor& gradient) {
  const std::int64_t columns = x.size(1);
  Session& session = context.cuda_session();
  in_launches(segments, matrix, kPieceRows, [&](const Work& work) {
    ScratchFrame frame(context);
    const std::int64_t slot = work.most_ranks * columns, count = work.units * slot;
    const GlobalView<float> partial(frame.floats(count), count);
    with_float_type(x.type(), [&](auto element) {
      using T = decltype(element);
      with_fragments(work.most_ranks, [&](auto fragments) {
        constexpr int kFragments = decltype(fragments)::value, kSteps = kDepth<T>;
        const std::size_t bytes = SharedPlan()
                                      .array<T>(kSteps * tile_stride<T>(kTile))
                                      .template array<T>(kSteps * tile_stride<T>(8 * kFragments))
                                      .bytes();
        const dim3 grid(static_cast<unsigned>(work.units), blocks(columns, kTile),
                        blocks(work.most_ranks, 8 * kFragments));
        with_vector_width<T>(columns, {x.raw_data()}, [&](auto width) {
          constexpr int kWidth = decltype(width)::value;
          launch(session, name, gradient_kernel<kWidth, kFragments, T>, {grid, dim3(kThreads), bytes}, work.segments,
                 Rows<kWidth, T>{view_of<T>(x), order_of(segments), columns},
                 LowRankGradient<T>{view_of<T>(low), partial, low.size(1), slot, matrix == LowRankMatrix::kA});
        });
      });
    });
    launch(session, name, add_gradient_kernel,
           {dim3(blocks(slot, kThreads), static_cast<unsigned>(work.segments.count)), dim3(kThreads)}, work.segments,
           partial, view_of<float>(gradient), columns, slot);
  });
}

}  // namespace kernels::cuda
