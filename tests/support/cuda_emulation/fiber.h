// Fiber: a function with a stack of its own that can stop in the middle and go on later, on the same system thread.
// It is what one emulated CUDA thread runs on. Knows how to tell the address sanitizer which stack is in use.
#pragma once

#include <cstddef>
#include <functional>

namespace cuda_emulation {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Prepares to run `body` from its beginning at the next resume(). Whatever the fiber was doing is given up without
  /// running destructors. `body` must not throw and must outlive the run.
  void start(const std::function<void()>* body);

  /// Runs until the body calls suspend() or returns. Called from outside the fiber.
  void resume();

  /// Goes back to whoever called resume(). Called from inside.
  void suspend();

  bool finished() const { return finished_; }

 private:
  static void enter();
  void switch_back(bool for_ever);

  std::byte* memory_ = nullptr;  // a guard page, then the stack
  std::size_t stack_bytes_ = 0;
  void* context_ = nullptr;
  const std::function<void()>* body_ = nullptr;
  bool finished_ = true;
  // What the address sanitizer hands out at a switch.
  void* fake_stack_ = nullptr;
  void* outer_fake_stack_ = nullptr;
  const void* outer_stack_ = nullptr;
  std::size_t outer_stack_bytes_ = 0;
};

}  // namespace cuda_emulation
