// What kernels throw: DeviceError when a device is absent or fails, std::invalid_argument when the caller's tensors do
// not fit the operation. The message names the operation, the tensor, and both shapes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>

#include "kernels/core/data_type.h"

namespace kernels {

class Context;
class Tensor;

/// A device that is not built in, not present, or that reported a failure.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// "[2, 3]".
std::string shape_to_string(std::span<const std::int64_t> shape);

/// Throws std::invalid_argument "operation: what".
[[noreturn]] void throw_invalid(const char* operation, const std::string& what);

/// Throws std::invalid_argument unless `tensor` has exactly this shape and type.
void check_shape(const char* operation, const char* name, const Tensor& tensor,
                 std::initializer_list<std::int64_t> expected, DataType type = DataType::kFloat32);

/// Throws std::invalid_argument unless `tensor` holds `count` elements of this type, whatever its shape.
void check_count(const char* operation, const char* name, const Tensor& tensor, std::int64_t count,
                 DataType type = DataType::kFloat32);

/// Throws std::invalid_argument unless `tensor` has `rank` dimensions.
void check_rank(const char* operation, const char* name, const Tensor& tensor, std::size_t rank);

/// Throws std::invalid_argument unless `tensor` is float32, bfloat16 or float16.
void check_floating(const char* operation, const char* name, const Tensor& tensor);

/// A tensor by the name that its operation's contract gives it; null for an optional one that is absent.
struct NamedTensor {
  const char* name;
  const Tensor* tensor;
};

/// Throws std::invalid_argument, naming the tensor and both devices, unless all of them live where `context` computes.
void check_devices(const char* operation, const Context& context, std::initializer_list<NamedTensor> tensors);

/// The type that all activations of the operation have: that of `tensor`. Throws std::invalid_argument unless it is
/// float32, or, on CUDA, bfloat16 or float16.
DataType activation_type(const char* operation, const Context& context, const char* name, const Tensor& tensor);

/// Throws DeviceError when `operation`, which has only a CPU version, is asked to run elsewhere.
void check_on_cpu(const char* operation, const Context& context);

}  // namespace kernels
