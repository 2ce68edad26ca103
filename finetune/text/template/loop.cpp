#include "finetune/text/template/loop.h"

#include <algorithm>

#include "finetune/text/template/comparison.h"
#include "finetune/text/template/interpreter.h"

namespace finetune::jinja {
namespace {

// loop.cycle and loop.changed, held by the template.
class LoopMethod final : public Object {
 public:
  LoopMethod(Value loop, bool cycles) : loop_(std::move(loop)), cycles_(cycles) {}
  std::string_view type_name() const override { return "method"; }
  Value call(Interpreter&, Arguments& arguments) override {
    auto& loop = static_cast<Loop&>(*loop_.object());
    return cycles_ ? loop.cycle(arguments) : loop.changed(arguments);
  }

 private:
  Value loop_;
  bool cycles_;
};

}  // namespace

Loop::Loop(const ForStatement& statement, Interpreter& interpreter, Scope& scope, std::vector<Value> source, int depth)
    : statement_(statement), interpreter_(interpreter), scope_(&scope), source_(std::move(source)), depth_(depth) {}

std::optional<Value> Loop::advance() {
  look_ahead(1);
  if (pending_.empty()) return std::nullopt;
  previous_ = std::move(current_);
  current_ = std::move(pending_.front());
  pending_.pop_front();
  ++index_;
  return current_;
}

void Loop::end() {
  scope_ = nullptr;
  source_.clear();
  pending_.clear();
  previous_.reset();
  current_.reset();
  last_seen_.reset();
  taken_ = 0;
}

void Loop::look_ahead(std::size_t count) {
  while (pending_.size() < count && taken_ < source_.size()) {
    const Value item = source_[taken_++];
    if (meets_condition(item)) pending_.push_back(item);
  }
}

bool Loop::meets_condition(const Value& item) const {
  if (!statement_.condition) return true;
  const auto inner = scope_->inner();
  assign(interpreter_, *inner, statement_.target, item);
  return truthy(statement_.condition->evaluate(interpreter_, *inner));
}

Value Loop::call(Interpreter& interpreter, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  if (!statement_.recursive || !scope_) {
    budget.fail("the loop is not recursive; write {% for ... recursive %} to call it");
  }
  ArgumentReader reader(budget, "loop", arguments);
  const Value items = reader.required("iterable");
  reader.finish();
  TextBuilder out(budget);
  statement_.loop(interpreter, *scope_, out, interpreter.items_of(items), depth_ + 1);
  return out.finish();
}

std::optional<Value> Loop::attribute(Interpreter& interpreter, const std::string& name) {
  if (name == "index") return integer(index_ + 1);
  if (name == "index0") return integer(index_);
  if (name == "first") return boolean(index_ == 0);
  if (name == "depth") return integer(depth_ + 1);
  if (name == "depth0") return integer(depth_);
  if (name == "length") return length();
  if (name == "revindex") return integer(*length().integer() - index_);
  if (name == "revindex0") return integer(*length().integer() - index_ - 1);
  if (name == "previtem")
    return previous_ ? *previous_ : make_undefined(interpreter.budget(), "there is no previous item");
  if (name == "cycle" || name == "changed") {
    return Value{std::make_shared<LoopMethod>(Value{ObjectPointer(shared_from_this())}, name == "cycle")};
  }
  if (name != "last" && name != "nextitem") return std::nullopt;
  look_ahead(1);
  if (name == "last") return boolean(pending_.empty());
  return pending_.empty() ? make_undefined(interpreter.budget(), "there is no next item") : pending_.front();
}

Value Loop::length() {
  look_ahead(source_.size() + 1);
  return integer(index_ + 1 + static_cast<std::int64_t>(pending_.size()));
}

Value Loop::cycle(Arguments& arguments) const {
  if (arguments.positional.empty()) interpreter_.budget().fail("no items for cycling given");
  return arguments
      .positional[static_cast<std::size_t>(std::max<std::int64_t>(index_, 0)) % arguments.positional.size()];
}

Value Loop::changed(Arguments& arguments) {
  if (!scope_) interpreter_.budget().fail("loop.changed() is of no use after its loop has ended");
  const bool same = last_seen_ && std::equal(last_seen_->begin(), last_seen_->end(), arguments.positional.begin(),
                                             arguments.positional.end(), [&](const Value& a, const Value& b) {
                                               return equal(interpreter_.budget(), a, b);
                                             });
  if (!same) last_seen_ = arguments.positional;
  return boolean(!same);
}

}  // namespace finetune::jinja
