// The functions that every template can call.
#include <algorithm>
#include <array>
#include <chrono>

#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/methods.h"
#include "finetune/text/template/printing.h"

namespace finetune::jinja {
namespace {

class Function final : public Object {
 public:
  using Call = Value (*)(Interpreter&, Arguments&);
  explicit Function(Call function) : function_(function) {}
  std::string_view type_name() const override { return "function"; }
  Value call(Interpreter& interpreter, Arguments& arguments) override { return function_(interpreter, arguments); }

 private:
  Call function_;
};

// Gives its items in turn: c.next(), c.current, c.reset().
class Cycler final : public Object {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)) {
    for (const Value& item : items_) nesting = std::max(nesting, 1 + nesting_of(item));
  }
  std::string_view type_name() const override { return "Cycler"; }
  bool callable() const override { return false; }
  std::optional<Value> attribute(Interpreter&, const std::string& name) override;
  Value next() {
    const Value value = items_[at_];
    at_ = (at_ + 1) % items_.size();
    return value;
  }
  void reset() { at_ = 0; }

 private:
  std::vector<Value> items_;
  std::size_t at_ = 0;
};

class CyclerMethod final : public Object {
 public:
  CyclerMethod(Value cycler, bool resets) : cycler_(std::move(cycler)), resets_(resets) {
    nesting = 1 + nesting_of(cycler_);
  }
  std::string_view type_name() const override { return "method"; }
  Value call(Interpreter&, Arguments&) override {
    auto& cycler = static_cast<Cycler&>(*cycler_.object());
    if (!resets_) return cycler.next();
    cycler.reset();
    return none();
  }

 private:
  Value cycler_;
  bool resets_;
};

std::optional<Value> Cycler::attribute(Interpreter&, const std::string& name) {
  if (name == "current") return items_[at_];
  if (name != "next" && name != "reset") return std::nullopt;
  return Value{ObjectPointer(std::make_shared<CyclerMethod>(Value{shared_from_this()}, name == "reset"))};
}

// Gives nothing the first time and its separator from then on.
class Joiner final : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) { nesting = 1 + nesting_of(separator_); }
  std::string_view type_name() const override { return "Joiner"; }
  Value call(Interpreter&, Arguments&) override { return std::exchange(used_, true) ? separator_ : literal_text(""); }

 private:
  Value separator_;
  bool used_ = false;
};

Value made(Budget& budget, std::shared_ptr<Object> object) {
  budget.check_nesting(object->nesting);
  return Value{std::move(object)};
}

Value make_cycler(Interpreter& interpreter, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "cycler", arguments);
  std::vector<Value> items = reader.rest();
  reader.finish();
  if (items.empty()) budget.fail("at least one item has to be provided");
  return made(budget, std::make_shared<Cycler>(std::move(items)));
}

Value make_joiner(Interpreter& interpreter, Arguments& arguments) {
  ArgumentReader reader(interpreter.budget(), "joiner", arguments);
  Value separator = reader.optional("sep").value_or(literal_text(", "));
  reader.finish();
  return made(interpreter.budget(), std::make_shared<Joiner>(std::move(separator)));
}

// dict() and namespace(): the entries of a mapping or of pairs, then the named ones.
std::vector<std::pair<Value, Value>> entries_of(Interpreter& interpreter, const char* name, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  std::vector<std::pair<Value, Value>> entries;
  if (arguments.positional.size() > 1) budget.fail(std::string(name) + "() takes at most 1 positional argument");
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional.front();
    if (const Dictionary* dictionary = source.dictionary()) {
      entries = dictionary->entries;
    } else {
      for (const Value& item : interpreter.items_of(source)) {
        const std::vector<Value> pair = interpreter.items_of(item);
        if (pair.size() != 2) budget.fail(std::string(name) + "(): each item must be a key and a value");
        entries.emplace_back(pair[0], pair[1]);
      }
    }
  }
  for (auto& [key, value] : arguments.named) entries.emplace_back(make_text(budget, key), std::move(value));
  return entries;
}

Value make_dict(Interpreter& interpreter, Arguments& arguments) {
  return make_dictionary(interpreter.budget(), entries_of(interpreter, "dict", arguments));
}

Value make_space(Interpreter& interpreter, Arguments& arguments) {
  std::map<std::string, Value> values;
  for (auto& [key, value] : entries_of(interpreter, "namespace", arguments)) {
    if (!key.text() || key.text()->starts_with('_')) {
      interpreter.budget().fail("a namespace takes no attribute that begins with an underscore");
    }
    values[*key.text()] = std::move(value);
  }
  return interpreter.make_namespace(std::move(values));
}

Value raise_exception(Interpreter& interpreter, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "raise_exception", arguments);
  const Value message = to_text(budget, reader.required("message"));
  reader.finish();
  throw TemplateError(platform::ErrorCode::kInvalidInput, budget.line(), *message.text(), true);
}

Value range(Interpreter& interpreter, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "range", arguments);
  const bool single = arguments.positional.size() == 1;
  const Integer first = reader.integer_or("start", 0);
  const Integer start = single ? 0 : first;
  const Integer stop = single ? first : Integer{reader.integer_or("stop", 0)};
  const Integer step = reader.integer_or("step", 1);
  const bool called = !arguments.positional.empty() && arguments.named.empty();
  reader.finish();
  if (!called || step == 0) budget.fail(called ? "range() arg 3 must not be zero" : "range expected 1 to 3 arguments");
  const Integer span = step > 0 ? stop - start : start - stop;
  const Integer by = step > 0 ? step : -step;
  const Integer count = span <= 0 ? 0 : (span + by - 1) / by;
  if (count > budget.limits().range_items) {
    budget.fail_limit("a range of " + integer_text(count) + " items is over the limit of " +
                      std::to_string(budget.limits().range_items));
  }
  ListBuilder items(budget);
  for (Integer i = 0; i < count; ++i) items.push(integer(start + i * step));
  std::string label = "range(" + integer_text(start) + ", " + integer_text(stop);
  if (step != 1) label += ", " + integer_text(step);
  return items.finish(Sequence::Kind::kRange, label + ")");
}

struct Moment {
  std::chrono::year_month_day date;
  std::chrono::weekday weekday;
  std::int64_t day_of_year, hour, minute, second, microsecond;
};

Moment moment_of(platform::Time time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const hh_mm_ss clock(time - day);
  const year_month_day date(day);
  const auto new_year = sys_days(date.year() / January / 1);
  return {date,
          weekday(day),
          (day - new_year).count() + 1,
          clock.hours().count(),
          clock.minutes().count(),
          clock.seconds().count(),
          clock.subseconds().count()};
}

std::string padded(std::int64_t value, std::size_t width, char fill = '0') {
  const std::string digits = std::to_string(value);
  return std::string(digits.size() < width ? width - digits.size() : 0, fill) + digits;
}

constexpr std::array<std::string_view, 7> kDays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths{"January",   "February", "March",    "April",
                                                   "May",       "June",     "July",     "August",
                                                   "September", "October",  "November", "December"};

std::string formatted(const Moment& moment, char conversion, std::string_view whole) {
  const auto month = static_cast<unsigned>(moment.date.month());
  const auto day = static_cast<std::int64_t>(static_cast<unsigned>(moment.date.day()));
  const std::int64_t year = static_cast<int>(moment.date.year());
  const std::string_view day_name = kDays[moment.weekday.c_encoding()];
  switch (conversion) {
    case '%': return "%";
    case 'A': return std::string(day_name);
    case 'B': return std::string(kMonths[month - 1]);
    case 'D': return padded(month, 2) + "/" + padded(day, 2) + "/" + padded(year % 100, 2);
    case 'F': return std::to_string(year) + "-" + padded(month, 2) + "-" + padded(day, 2);
    case 'H': return padded(moment.hour, 2);
    case 'I': return padded((moment.hour + 11) % 12 + 1, 2);
    case 'M': return padded(moment.minute, 2);
    case 'S': return padded(moment.second, 2);
    case 'T': return padded(moment.hour, 2) + ":" + padded(moment.minute, 2) + ":" + padded(moment.second, 2);
    case 'Y': return std::to_string(year);
    case 'Z':
    case 'z': return "";
    case 'a': return std::string(day_name.substr(0, 3));
    case 'b':
    case 'h': return std::string(kMonths[month - 1].substr(0, 3));
    case 'd': return padded(day, 2);
    case 'e': return padded(day, 2, ' ');
    case 'f': return padded(moment.microsecond, 6);
    case 'j': return padded(moment.day_of_year, 3);
    case 'm': return padded(month, 2);
    case 'n': return "\n";
    case 'p': return moment.hour < 12 ? "AM" : "PM";
    case 't': return "\t";
    case 'u': return std::to_string(moment.weekday.iso_encoding());
    case 'w': return std::to_string(moment.weekday.c_encoding());
    case 'y': return padded(year % 100, 2);
    default: return std::string(whole);
  }
}

Value strftime_now(Interpreter& interpreter, Arguments& arguments) {
  Budget& budget = interpreter.budget();
  ArgumentReader reader(budget, "strftime_now", arguments);
  const std::string pattern = reader.text("format");
  reader.finish();
  const Moment moment = moment_of(interpreter.clock().now());
  TextBuilder out(budget);
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    const std::string_view rest = std::string_view(pattern).substr(at);
    if (rest[0] != '%' || rest.size() == 1) {
      out.append(rest.substr(0, 1));
      continue;
    }
    // "%-d": without leading zeros.
    const bool bare = rest.size() > 2 && rest[1] == '-';
    std::string part = formatted(moment, rest[bare ? 2 : 1], rest.substr(0, bare ? 3 : 2));
    while (bare && part.size() > 1 && part[0] == '0') part.erase(0, 1);
    out.append(part);
    at += bare ? 2 : 1;
  }
  return out.finish();
}

}  // namespace

void add_functions(Scope& scope) {
  constexpr std::array<std::pair<const char*, Function::Call>, 7> kFunctions{{{"cycler", make_cycler},
                                                                              {"dict", make_dict},
                                                                              {"joiner", make_joiner},
                                                                              {"namespace", make_space},
                                                                              {"raise_exception", raise_exception},
                                                                              {"range", range},
                                                                              {"strftime_now", strftime_now}}};
  for (const auto& [name, call] : kFunctions) scope.set(name, Value{ObjectPointer(std::make_shared<Function>(call))});
}

}  // namespace finetune::jinja
