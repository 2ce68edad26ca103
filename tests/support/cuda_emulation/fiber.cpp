#include "tests/support/cuda_emulation/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <new>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// Saves the registers that a called function must keep on the stack in use, stores that stack in *from, and takes up
// what another call left on the stack `to`.
extern "C" void anneal_switch_stack(void** from, void* to);
asm(R"(
.text
.p2align 4
.globl anneal_switch_stack
.type anneal_switch_stack,@function
anneal_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size anneal_switch_stack, .-anneal_switch_stack
)");
#endif

namespace cuda_emulation {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kStackBytes = std::size_t{512} << 10;
#else
constexpr std::size_t kStackBytes = std::size_t{192} << 10;
#endif

thread_local Fiber* running = nullptr;

std::size_t page_bytes() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

#if defined(__x86_64__)
thread_local void* outer_context = nullptr;
#else
thread_local ucontext_t outer_context;
#endif

}  // namespace

Fiber::Fiber() : stack_bytes_(kStackBytes) {
  const std::size_t guard = page_bytes();
  void* memory = mmap(nullptr, guard + stack_bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, guard, PROT_NONE);
  memory_ = static_cast<std::byte*>(memory);
#if !defined(__x86_64__)
  context_ = new ucontext_t;
#endif
}

Fiber::~Fiber() {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(memory_ + page_bytes(), stack_bytes_);
#endif
  munmap(memory_, page_bytes() + stack_bytes_);
#if !defined(__x86_64__)
  delete static_cast<ucontext_t*>(context_);
#endif
}

void Fiber::start(const std::function<void()>* body) {
  body_ = body;
  finished_ = false;
  fake_stack_ = nullptr;
  std::byte* bottom = memory_ + page_bytes();
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(bottom, stack_bytes_);  // of frames that were given up
#endif
#if defined(__x86_64__)
  // As if enter() had been called: the return address is null, and the stack is 8 off a multiple of 16.
  auto** top = reinterpret_cast<void**>(bottom + stack_bytes_ - 16);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&Fiber::enter);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  context_ = top;
#else
  auto* context = static_cast<ucontext_t*>(context_);
  getcontext(context);
  context->uc_stack.ss_sp = bottom;
  context->uc_stack.ss_size = stack_bytes_;
  context->uc_link = nullptr;
  makecontext(context, &Fiber::enter, 0);
#endif
}

void Fiber::resume() {
  running = this;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&outer_fake_stack_, memory_ + page_bytes(), stack_bytes_);
#endif
#if defined(__x86_64__)
  anneal_switch_stack(&outer_context, context_);
#else
  swapcontext(&outer_context, static_cast<ucontext_t*>(context_));
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(outer_fake_stack_, nullptr, nullptr);
#endif
}

void Fiber::suspend() { switch_back(false); }

void Fiber::switch_back([[maybe_unused]] bool for_ever) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(for_ever ? nullptr : &fake_stack_, outer_stack_, outer_stack_bytes_);
#endif
#if defined(__x86_64__)
  anneal_switch_stack(&context_, outer_context);
#else
  swapcontext(static_cast<ucontext_t*>(context_), &outer_context);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack_, &outer_stack_, &outer_stack_bytes_);
#endif
}

void Fiber::enter() {
  Fiber* self = running;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self->outer_stack_, &self->outer_stack_bytes_);
#endif
  (*self->body_)();
  self->finished_ = true;
  self->switch_back(true);
}

}  // namespace cuda_emulation
