// The `loop` of a for statement. Items are taken when they are asked for, so that a condition on the loop sees what
// the body has done. Belongs to one thread; of no use after its loop has ended.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "finetune/text/template/object.h"
#include "finetune/text/template/statements.h"

namespace finetune::jinja {

class Loop final : public Object {
 public:
  Loop(const ForStatement& statement, Interpreter& interpreter, Scope& scope, std::vector<Value> source, int depth);

  /// The next item that meets the condition, or nullopt at the end.
  std::optional<Value> advance();
  /// True if there was no item at all.
  bool is_empty() const { return index_ < 0; }
  /// Lets go of items and scope.
  void end();

  std::string_view type_name() const override { return "LoopContext"; }
  /// The statement again, over other items; only in a recursive loop.
  Value call(Interpreter& interpreter, Arguments& arguments) override;
  std::optional<Value> attribute(Interpreter& interpreter, const std::string& name) override;
  Value cycle(Arguments& arguments) const;
  Value changed(Arguments& arguments);

 private:
  // Looks ahead until `count` further items are known, or the end.
  void look_ahead(std::size_t count);
  bool meets_condition(const Value& item) const;
  Value length();

  const ForStatement& statement_;
  Interpreter& interpreter_;
  Scope* scope_;
  std::vector<Value> source_;
  std::size_t taken_ = 0;      // of the source
  std::deque<Value> pending_;  // taken, met the condition, not given yet
  std::optional<Value> previous_, current_;
  std::optional<std::vector<Value>> last_seen_;  // by changed()
  std::int64_t index_ = -1;
  int depth_;
};

/// Ends the loop when it dies.
class LoopEnd {
 public:
  explicit LoopEnd(Loop& loop) : loop_(loop) {}
  ~LoopEnd() { loop_.end(); }
  LoopEnd(const LoopEnd&) = delete;
  LoopEnd& operator=(const LoopEnd&) = delete;

 private:
  Loop& loop_;
};

}  // namespace finetune::jinja
