// rest_poll: a JSON API of an MES, an ERP or a simulated plant, read page by page.
// Settings:
//   url: http://host:port
//   target: /records?line=3
//   items: data.items      path of the array in the answer; empty = the answer is the array
//   cursor: {param: after, next: meta.next, field: sequence}   next: path in the answer; else the last item's field
//   page: {param: page, first: 1, size: 100}   instead of cursor; a page that is not full yet is read again
//   sequence: sequence     a whole number that rises by one; where it jumps, a gap from the time of the record before
//                          to that of the record after (without event times: when they were read) is recorded once
//   auth: {bearer: SECRET} or {header: X-Api-Key, secret: SECRET}   names of secrets, never secrets
//   limit_pages: 100       in one reading
//   input                  see input_format.h; row numbers count on over pages and readings
// A key without a template holds the content and the page's number, with `cursor` the record's place in the stream.
#pragma once

#include "connectors/connector.h"

namespace connectors {

/// Gets `target` and gives the answer's JSON. Throws kUnavailable and the like.
using JsonGetter = std::function<platform::json::value(const std::string& target)>;

/// Throws kInvalidInput for missing or unknown settings.
std::unique_ptr<Connector> make_rest_poll_connector(const SourceConfig& config, const SecretReader& secrets);
/// Over any transport.
std::unique_ptr<Connector> make_rest_poll_connector(const SourceConfig& config, JsonGetter get);

}  // namespace connectors
