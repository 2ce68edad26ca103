#include "finetune/text/template/budget.h"

#include <utility>

namespace finetune::jinja {

using platform::ErrorCode;

void Budget::check_text(std::size_t bytes) const {
  if (bytes <= limits_.text_bytes) return;
  fail_limit("a text of " + std::to_string(bytes) + " bytes is over the limit of " +
             std::to_string(limits_.text_bytes) + " bytes for one text");
}

void Budget::check_nesting(int nesting) const {
  if (nesting > limits_.nesting) {
    fail_limit("a value is nested deeper than the limit of " + std::to_string(limits_.nesting) + " levels");
  }
}

void Budget::take_memory(std::size_t bytes) {
  if (bytes > limits_.memory_bytes - memory_) {
    fail_limit("the values need more than the limit of " + std::to_string(limits_.memory_bytes) + " bytes of memory");
  }
  memory_ += bytes;
}

void Budget::enter() {
  if (depth_ >= limits_.depth) {
    fail_limit("calls and expressions are nested deeper than the limit of " + std::to_string(limits_.depth) +
               " levels; look for a macro or a loop that calls itself");
  }
  ++depth_;
}

void Budget::fail(const std::string& reason) const { throw TemplateError(ErrorCode::kInvalidInput, line_, reason); }

void Budget::fail_limit(const std::string& reason) const { throw TemplateError(ErrorCode::kTooLarge, line_, reason); }

void Budget::too_many_steps() const {
  fail_limit("rendering takes more than the limit of " + std::to_string(limits_.steps) +
             " steps; look for a loop that is too long");
}

Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  std::swap(budget_, other.budget_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Reservation::~Reservation() {
  if (budget_ != nullptr) budget_->return_memory(bytes_);
}

void Reservation::grow(std::size_t bytes) {
  budget_->take_memory(bytes);
  bytes_ += bytes;
}

}  // namespace finetune::jinja
