// "function.name" as filters take it: attributes and items of a value, one after the other; and the order that filters
// compare by, in which the case of texts may not count. Belongs to one render.
#pragma once

#include <string>
#include <vector>

#include "finetune/text/template/object.h"

namespace finetune::jinja {

class AttributePath {
 public:
  /// From a text ("a.b.0"), an index, or none for the value itself.
  AttributePath(Interpreter& interpreter, const Value& path);

  Value of(const Value& value) const;

 private:
  Interpreter& interpreter_;
  std::vector<Value> parts_;
};

/// A text in small letters unless case counts; any other value as it is.
Value comparison_key(Budget& budget, const Value& value, bool case_sensitive);

}  // namespace finetune::jinja
