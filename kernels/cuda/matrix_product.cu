// cuBLASLt thinks in columns: a row-major matrix is to it the transpose, so that c = op(a) op(b) is asked for as
// c^T = op(b)^T op(a)^T, with a and b in exchanged places. The choice among its algorithms is asked for once a shape.
#include "kernels/cuda/matrix_product.h"

#include <cublasLt.h>

#include <map>
#include <memory>
#include <tuple>

#include "kernels/cuda/session.h"

namespace kernels::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

void check_blas(cublasStatus_t status, const std::string& what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(what + ": " + cublasLtGetStatusString(status) + " (" + cublasLtGetStatusName(status) + ")");
}

cudaDataType_t blas_type(DataType type) {
  switch (type) {
    case DataType::kFloat32: return CUDA_R_32F;
    case DataType::kBFloat16: return CUDA_R_16BF;
    case DataType::kFloat16: return CUDA_R_16F;
    default: throw_invalid("matrix_product", std::string(name_of(type)) + " is not a floating-point type");
  }
}

struct DestroyDescription {
  void operator()(cublasLtMatmulDesc_t description) const { cublasLtMatmulDescDestroy(description); }
};
struct DestroyLayout {
  void operator()(cublasLtMatrixLayout_t layout) const { cublasLtMatrixLayoutDestroy(layout); }
};
struct DestroyPreference {
  void operator()(cublasLtMatmulPreference_t preference) const { cublasLtMatmulPreferenceDestroy(preference); }
};
template <typename Handle, typename Destroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy>;
using Layout = Owned<cublasLtMatrixLayout_t, DestroyLayout>;

Layout layout_of(DataType type, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
  cublasLtMatrixLayout_t layout = nullptr;
  check_blas(cublasLtMatrixLayoutCreate(&layout, blas_type(type), static_cast<std::uint64_t>(rows),
                                        static_cast<std::uint64_t>(columns), stride),
             "matrix layout");
  return Layout(layout);
}

// One kind of product, ready to run.
struct Plan {
  Owned<cublasLtMatmulDesc_t, DestroyDescription> description;
  Layout left, right, result;  // as cuBLASLt takes them: b, a, c
  cublasLtMatmulAlgo_t algorithm;
};

std::string describe(const char* operation, const MatrixProduct& p, const Session& session) {
  return std::string(operation) + " on " + session.name() + ", [" + std::to_string(p.m) + ", " + std::to_string(p.k) +
         "] by [" + std::to_string(p.k) + ", " + std::to_string(p.n) + "] of " + name_of(p.a.type) + " to " +
         name_of(p.c_type);
}

unsigned alignment_of(const void* address) {
  unsigned alignment = 256;
  while (reinterpret_cast<std::uintptr_t>(address) % alignment != 0) alignment /= 2;
  return alignment;
}

Plan make_plan(cublasLtHandle_t handle, const MatrixProduct& p, const std::string& what) {
  cublasLtMatmulDesc_t description = nullptr;
  check_blas(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F), what);
  Plan plan;
  plan.description.reset(description);
  const cublasOperation_t on_left = p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t on_right = p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const cublasOperation_t& value) {
    check_blas(cublasLtMatmulDescSetAttribute(description, attribute, &value, sizeof value), what);
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, on_left);
  set(CUBLASLT_MATMUL_DESC_TRANSB, on_right);
  plan.left = layout_of(p.b.type, p.transpose_b ? p.k : p.n, p.transpose_b ? p.n : p.k, p.b.row_stride);
  plan.right = layout_of(p.a.type, p.transpose_a ? p.m : p.k, p.transpose_a ? p.k : p.m, p.a.row_stride);
  plan.result = layout_of(p.c_type, p.n, p.m, p.c_row_stride);
  cublasLtMatmulPreference_t preference = nullptr;
  check_blas(cublasLtMatmulPreferenceCreate(&preference), what);
  const Owned<cublasLtMatmulPreference_t, DestroyPreference> owned(preference);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check_blas(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value), what);
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(p.b.data));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(p.a.data));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(p.c));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(p.c));
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  check_blas(cublasLtMatmulAlgoGetHeuristic(handle, description, plan.left.get(), plan.right.get(), plan.result.get(),
                                            plan.result.get(), preference, 1, &found, &count),
             what);
  if (count == 0) throw DeviceError(what + ": cuBLASLt has no algorithm for it");
  plan.algorithm = found.algo;
  return plan;
}

using Key = std::tuple<bool, bool, std::int64_t, std::int64_t, std::int64_t, int, int, std::int64_t, std::int64_t,
                       std::int64_t, unsigned, unsigned, unsigned>;

Key key_of(const MatrixProduct& p) {
  return {p.transpose_a,
          p.transpose_b,
          p.m,
          p.n,
          p.k,
          static_cast<int>(p.a.type),
          static_cast<int>(p.c_type),
          p.a.row_stride,
          p.b.row_stride,
          p.c_row_stride,
          alignment_of(p.a.data),
          alignment_of(p.b.data),
          alignment_of(p.c)};
}

// The library's handle of one session, with the plans made so far and the memory that algorithms may use.
class Products final : public MatrixLibrary {
 public:
  explicit Products(const std::shared_ptr<DeviceMemory>& memory)
      : workspace_({static_cast<std::int64_t>(kWorkspaceBytes)}, DataType::kUInt8, memory) {
    check_blas(cublasLtCreate(&handle_), "cuBLASLt");
  }
  ~Products() override { cublasLtDestroy(handle_); }

  void run(Session& session, const std::string& what, const MatrixProduct& p) {
    auto plan = plans_.find(key_of(p));
    if (plan == plans_.end()) plan = plans_.emplace(key_of(p), make_plan(handle_, p, what)).first;
    const Plan& chosen = plan->second;
    check_blas(cublasLtMatmul(handle_, chosen.description.get(), &p.alpha, p.b.data, chosen.left.get(), p.a.data,
                              chosen.right.get(), &p.beta, p.c, chosen.result.get(), p.c, chosen.result.get(),
                              &chosen.algorithm, workspace_.raw_data(), kWorkspaceBytes, session.stream().handle()),
               what);
  }

 private:
  cublasLtHandle_t handle_ = nullptr;
  Tensor workspace_;
  std::map<Key, Plan> plans_;
};

}  // namespace

void matrix_product(Context& context, const char* operation, const MatrixProduct& product) {
  if (product.m == 0 || product.n == 0) return;
  Session& session = context.cuda_session();
  session.note_launch(operation);
  auto* products = static_cast<Products*>(session.matrix_library());
  if (products == nullptr) {
    auto made = std::make_unique<Products>(session.memory());
    products = made.get();
    session.set_matrix_library(std::move(made));
  }
  MatrixProduct whole = product;
  if (whole.k == 0) {  // cuBLASLt wants at least one step; alpha 0 keeps what is read out of the result
    whole.k = 1;
    whole.alpha = 0.0f;
    whole.a = {whole.c, whole.a.type, whole.transpose_a ? whole.m : 1};
    whole.b = {whole.c, whole.b.type, whole.transpose_b ? 1 : whole.n};
  }
  products->run(session, describe(operation, product, session), whole);
}

}  // namespace kernels::cuda
