#include "platform/dataset/render.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "platform/base/shortened.h"
#include "platform/dataset/unicode_text.h"

namespace platform {
namespace {

// Renders one example; the members are what every step needs.
class Renderer {
 public:
  Renderer(const Profile& profile, std::span<const Observation> rows, std::vector<FieldProblem>* problems)
      : profile_(profile), rows_(rows), last_(rows.back()), problems_(problems) {}

  Example run() {
    example_.source = last_.source;
    example_.id = last_.source.empty() ? last_.key : last_.source + "/" + last_.key;
    for (const Field& field : profile_.fields) {
      if (field.required && is_missing(field, raw_value(profile_, last_, field.name)))
        report("missing", field, {}, true);
    }
    if (!profile_.text.empty()) {
      example_.text = fill_template(profile_, last_, profile_.text).value_or("");
    } else {
      render_prompt();
    }
    return std::move(example_);
  }

 private:
  void report(std::string code, const Field& field, std::string value, bool drops = false) {
    if (problems_ != nullptr) problems_->push_back({std::move(code), field.name, std::move(value), drops});
  }

  void render_prompt() {
    // Text is escaped as a whole where it ends, so that a brace of a value and one of the template do not open a slot.
    std::string literal;
    const auto flush = [&] {
      example_.prompt += escape_prompt(literal);
      literal.clear();
    };
    for (const PromptPart& part : parse_prompt(settle_prompt(profile_))) {
      if (part.kind == PromptPart::Kind::kText) {
        literal += part.text;
      } else if (part.kind == PromptPart::Kind::kField) {
        literal += text_in_prompt(part.text);
      } else {
        flush();
        fill_slot(part);
      }
    }
    flush();
  }

  std::string text_in_prompt(const std::string& name) {
    const Field* field = profile_.field(name);
    const json::value* value = raw_value(profile_, last_, name);
    if (field != nullptr && is_missing(*field, value)) return {};
    if (value == nullptr) return fill_template(profile_, last_, "{{ " + name + " }}").value_or("");
    return text_of(*value);
  }

  void fill_slot(const PromptPart& part) {
    const Field* declared = profile_.field(part.text);
    Field plain;
    plain.name = part.text;
    const Field& field = declared == nullptr ? plain : *declared;
    if (part.kind == PromptPart::Kind::kNumber) {
      example_.prompt += "{{ number:" + field.name + " }}";
      example_.numbers[field.name] = checked_number(field, last_);
    } else if (part.kind == PromptPart::Kind::kCategory) {
      example_.prompt += "{{ category:" + field.name + " }}";
      example_.categories[field.name] = category(field);
    } else {
      example_.prompt += "{{ signal:" + field.name + " }}";
      example_.signals[field.name] = signal(field);
    }
  }

  std::optional<double> checked_number(const Field& field, const Observation& row) {
    const json::value* raw = raw_value(profile_, row, field.name);
    std::string wrong;
    std::optional<double> number = number_of(field, raw, &wrong);
    if (!number && !is_missing(field, raw)) report("not_a_number", field, wrong);
    return number ? in_range(field, *number) : std::nullopt;
  }

  std::optional<double> in_range(const Field& field, double number) {
    const bool outside = (field.minimum && number < *field.minimum) || (field.maximum && number > *field.maximum);
    if (!outside) return number;
    report("out_of_range", field, text_of(json::value(number)), field.outside == Outside::kDrop);
    return field.outside == Outside::kKeep ? std::optional<double>(number) : std::nullopt;
  }

  std::optional<std::string> category(const Field& field) {
    const json::value* raw = raw_value(profile_, last_, field.name);
    if (is_missing(field, raw)) return std::nullopt;
    std::string text = text_of(*raw);
    if (!field.values.empty() && std::find(field.values.begin(), field.values.end(), text) == field.values.end())
      report("unknown_value", field, shortened(text, 60));
    return text;
  }

  // A signal that a single record brings whole, or nullopt.
  std::optional<Signal> whole_signal(const Field& field) {
    std::vector<std::string> names = field.from;
    names.push_back(field.name);
    for (const std::string& name : names) {
      if (const auto found = last_.signals.find(name); found != last_.signals.end()) return found->second;
    }
    const json::value* raw = raw_value(profile_, last_, field.name);
    if (raw == nullptr || !raw->is_array()) return std::nullopt;
    Signal signal{field.rate_hz, field.unit, {}};
    for (const json::value& item : raw->get_array()) signal.values.push_back(sample(field, number_of(field, &item)));
    return signal;
  }

  float sample(const Field& field, std::optional<double> number) {
    if (number) number = in_range(field, *number);
    return number ? static_cast<float>(*number) : std::numeric_limits<float>::quiet_NaN();
  }

  Signal signal(const Field& field) {
    if (rows_.size() == 1) {
      if (std::optional<Signal> whole = whole_signal(field)) return *std::move(whole);
      if (!profile_.window) report("not_a_signal", field, {});
    }
    Signal signal{field.rate_hz, field.unit, {}};
    for (const Observation& row : rows_) signal.values.push_back(sample(field, checked_sample(field, row)));
    if (profile_.window && profile_.window->pad &&
        signal.values.size() < static_cast<std::size_t>(profile_.window->length)) {
      signal.values.insert(signal.values.begin(),
                           static_cast<std::size_t>(profile_.window->length) - signal.values.size(),
                           signal.values.front());
    }
    return signal;
  }

  std::optional<double> checked_sample(const Field& field, const Observation& row) {
    const json::value* raw = raw_value(profile_, row, field.name);
    std::string wrong;
    const std::optional<double> number = number_of(field, raw, &wrong);
    if (!number && !is_missing(field, raw)) report("not_a_number", field, wrong);
    return number;
  }

  const Profile& profile_;
  std::span<const Observation> rows_;
  const Observation& last_;
  std::vector<FieldProblem>* problems_;
  Example example_;
};

Observation observation_from(const json::value& record) {
  if (!record.is_object())
    throw Error(ErrorCode::kInvalidInput, "a record must be a JSON object of fields, or an array of them for a window",
                "record");
  Observation row;
  json::value normal = record;
  normalize_strings(normal);
  const json::object& object = normal.get_object();
  const json::value* fields = object.if_contains("fields");
  if (fields == nullptr || !fields->is_object()) {
    row.fields = object;
    return row;
  }
  row.fields = fields->get_object();
  if (const json::value* text = object.if_contains("text"); text != nullptr && !row.fields.contains("text"))
    row.fields["text"] = *text;
  if (const json::value* signals = find(object, "signals")) {
    // The reader of examples knows the form of signals.
    const Example holder = example_from_json(json::object{{"prompt", "-"}, {"signals", *signals}});
    row.signals = holder.signals;
  }
  return row;
}

}  // namespace

Example render(const Profile& profile, std::span<const Observation> rows, std::vector<FieldProblem>* problems) {
  if (rows.empty())
    throw Error(ErrorCode::kInvalidInput, "there is no row to render; give at least one record", "record");
  if (profile.window && rows.size() > static_cast<std::size_t>(profile.window->length))
    rows = rows.last(static_cast<std::size_t>(profile.window->length));
  if (!profile.window && rows.size() > 1) rows = rows.last(1);
  return Renderer(profile, rows, problems).run();
}

Example render(const Profile& profile, const Observation& row, std::vector<FieldProblem>* problems) {
  return render(profile, std::span(&row, 1), problems);
}

Example render_request(const Profile& profile, const json::value& record, std::vector<FieldProblem>* problems) {
  std::vector<Observation> rows;
  if (record.is_array()) {
    if (!profile.window)
      throw Error(ErrorCode::kInvalidInput,
                  "the profile " + profile.name + " has no window; give one record as an object of fields", "record");
    for (const json::value& item : record.get_array()) rows.push_back(observation_from(item));
  } else {
    rows.push_back(observation_from(record));
  }
  return render(profile, rows, problems);
}

}  // namespace platform
