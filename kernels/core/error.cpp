#include "kernels/core/error.h"

#include <algorithm>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace kernels {

std::string shape_to_string(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

void throw_invalid(const char* operation, const std::string& what) {
  throw std::invalid_argument(std::string(operation) + ": " + what);
}

namespace {

void check_type(const char* operation, const char* name, const Tensor& tensor, DataType type) {
  if (tensor.type() == type) return;
  throw_invalid(operation, std::string(name) + " is " + name_of(tensor.type()) + " " + shape_to_string(tensor.shape()) +
                               ", expected " + name_of(type));
}

}  // namespace

void check_shape(const char* operation, const char* name, const Tensor& tensor,
                 std::initializer_list<std::int64_t> expected, DataType type) {
  const std::span<const std::int64_t> wanted(expected.begin(), expected.size());
  if (!std::equal(wanted.begin(), wanted.end(), tensor.shape().begin(), tensor.shape().end())) {
    throw_invalid(operation, std::string(name) + " has shape " + shape_to_string(tensor.shape()) + ", expected " +
                                 shape_to_string(wanted));
  }
  check_type(operation, name, tensor, type);
}

void check_count(const char* operation, const char* name, const Tensor& tensor, std::int64_t count, DataType type) {
  if (tensor.count() != count) {
    throw_invalid(operation, std::string(name) + " has shape " + shape_to_string(tensor.shape()) + ", expected " +
                                 std::to_string(count) + " elements");
  }
  check_type(operation, name, tensor, type);
}

void check_rank(const char* operation, const char* name, const Tensor& tensor, std::size_t rank) {
  if (tensor.shape().size() == rank) return;
  throw_invalid(operation, std::string(name) + " has shape " + shape_to_string(tensor.shape()) + ", expected " +
                               std::to_string(rank) + " dimensions");
}

void check_floating(const char* operation, const char* name, const Tensor& tensor) {
  const DataType type = tensor.type();
  if (type == DataType::kFloat32 || type == DataType::kBFloat16 || type == DataType::kFloat16) return;
  throw_invalid(operation, std::string(name) + " is " + name_of(type) + ", expected float32, bfloat16 or float16");
}

void check_devices(const char* operation, const Context& context, std::initializer_list<NamedTensor> tensors) {
  for (const NamedTensor& named : tensors) {
    if (named.tensor == nullptr || named.tensor->device() == context.device()) continue;
    if (named.tensor->count() == 0) continue;  // an empty tensor is nowhere
    throw_invalid(operation, std::string(named.name) + " " + shape_to_string(named.tensor->shape()) + " is on " +
                                 to_string(named.tensor->device()) + ", the context on " + to_string(context.device()) +
                                 "; copy it there with Tensor::to(context)");
  }
}

DataType activation_type(const char* operation, const Context& context, const char* name, const Tensor& tensor) {
  check_floating(operation, name, tensor);
  if (tensor.type() != DataType::kFloat32 && !context.is_cuda()) {
    throw_invalid(operation,
                  std::string(name) + " is " + name_of(tensor.type()) + "; on the CPU activations are float32");
  }
  return tensor.type();
}

void check_on_cpu(const char* operation, const Context& context) {
  if (context.device().type == DeviceType::kCpu) return;
  throw DeviceError(std::string(operation) + ": not available on " + to_string(context.device()) +
                    "; use Context::cpu()");
}

}  // namespace kernels
