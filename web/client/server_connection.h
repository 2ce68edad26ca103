// The command line's way to the server: finds the address and the token, asks, follows the cursors of lists, and says
// what to do when nobody answers. One thread.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/command_line.h"
#include "platform/base/json.h"
#include "platform/http/client.h"

namespace web {

class ServerConnection {
 public:
  /// Address: --server, $ANNEAL_SERVER, the data folder's server-address. Token: --token-file, $ANNEAL_TOKEN, the data
  /// folder's admin-token; that last one is sent to this machine only. Nothing is sent yet. Throws kUnavailable or
  /// kNotFound saying what to start or to set.
  explicit ServerConnection(const platform::CommandLine& line);

  /// A server that is known already.
  ServerConnection(std::string address, std::string token, bool json_wanted);

  /// `path` is relative to /api/v1: "/sources/line-3". All throw the Error that the answer stands for, kUnavailable
  /// naming the address if nothing answers.
  platform::json::object get(const std::string& path);
  platform::json::object post(const std::string& path, const platform::json::object& body = {});
  platform::json::object put(const std::string& path, const platform::json::object& body);
  void remove(const std::string& path);
  /// Any body; `path` and errors as above. The answer may be of any status.
  platform::HttpResponse send(platform::Method method, const std::string& path, std::string body,
                              std::string_view content_type, const platform::Headers& headers = {});
  /// The items of all pages of a list.
  platform::json::array list(const std::string& path);
  /// The id whose text begins with `text` (or whose number is `text`) among the items of a list. Throws kNotFound and
  /// kConflict.
  std::string find_id(const std::string& path, const std::string& text);
  /// Server-sent events at `path` until the server ends them or `take` returns false.
  void events(const std::string& path, const std::function<bool(const platform::ServerEvent&)>& take);

  const std::string& address() const { return address_; }
  /// True if the server runs on this machine, so that paths mean the same to it.
  bool local() const;
  /// --json was given.
  bool json_wanted() const { return json_wanted_; }

 private:
  std::string address_;
  bool json_wanted_;
  platform::HttpClient client_;
};

/// One segment of a path, encoded.
std::string segment(std::string_view text);

}  // namespace web
