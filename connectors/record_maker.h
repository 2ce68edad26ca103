// Makes records of objects and rows one by one, each with its key, its number and its event time: the one place where
// fields become a platform::Observation, by every door. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/input_format.h"
#include "platform/dataset/observation.h"
#include "platform/dataset/profile.h"

namespace connectors {

/// Where rows stand. It is part of the key of a record that has neither a key nor a template: the same content at
/// another place is another record, and the same place read again is the same one.
struct Place {
  std::string name;     // of the file or the page; empty for a body, whose content alone decides
  bool by_row = false;  // the row's number belongs to the place: however a file is cut into readings, keys stay
};

/// Without Place::by_row it remembers how often equal content came, so that equal rows of one body get different keys
/// and the same body again gets the same ones. `input` and `profile` must outlive it.
class RecordMaker {
 public:
  RecordMaker(const InputFormat& input, const platform::Profile& profile, std::string source, Place place = {});

  /// A flat object of fields, or {fields, key, event_time, text, signals, quality}. `number`: rows before this one in
  /// the body, the file or the stream. Throws kInvalidInput.
  platform::Observation from_object(platform::json::object object, std::int64_t number);
  /// Throws kInvalidInput if the numbers of cells and columns differ.
  platform::Observation from_cells(const std::vector<std::string>& columns, const std::vector<std::string>& cells,
                                   bool decimal_comma, std::int64_t number);

 private:
  platform::Observation finish(platform::Observation row, std::int64_t number);
  platform::Observation with_key(platform::Observation row, std::int64_t number);
  std::string content_key(const platform::json::object& fields, std::int64_t row);
  void read_time(platform::Observation& row) const;

  const InputFormat& input_;
  const platform::Profile& profile_;
  std::string source_;
  Place place_;
  std::map<std::string, int> seen_;
};

/// A cell as the value it looks like: whole number, number, else text. "007" and "+5" stay text.
platform::json::value typed_cell(std::string_view cell, bool decimal_comma);

}  // namespace connectors
