#include "web/client/server_connection.h"

#include <cstdlib>

#include "platform/base/data_folder.h"
#include "platform/base/file.h"

namespace web {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using platform::Method;

namespace {

constexpr std::uint64_t kLargestAnswer = std::uint64_t{4} << 30;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ' || text.back() == '/'))
    text.pop_back();
  return text;
}

bool on_this_machine(const std::string& address) {
  for (const char* host : {"http://127.0.0.1", "http://localhost", "http://[::1]"}) {
    const std::string_view prefix(host);
    if (address.starts_with(prefix) &&
        (address.size() == prefix.size() || address[prefix.size()] == ':' || address[prefix.size()] == '/'))
      return true;
  }
  return false;
}

// What stands before an '@' is no host, however much it looks like one.
std::string without_user(const std::string& address) {
  if (address.find('@') == std::string::npos) return address;
  throw Error(ErrorCode::kInvalidInput,
              "the server's address holds a user: " + address +
                  "; give it as http://HOST:PORT and the token by "
                  "ANNEAL_TOKEN or --token-file",
              "server");
}

std::string find_address(const platform::CommandLine& line) {
  std::string address = line.has("server") ? line.text("server") : environment("ANNEAL_SERVER");
  if (!address.empty())
    return trimmed(without_user(address.find("://") == std::string::npos ? "http://" + address : address));
  const platform::DataFolder data = platform::data_folder(line.text("data-folder"));
  if (!std::filesystem::exists(data.address()))
    throw Error(ErrorCode::kUnavailable, "no server runs on " + data.root.string() +
                                             "; start one with anneal serve, or name one with --server URL");
  return trimmed(without_user(platform::read_file(data.address(), 4096)));
}

std::string find_token(const platform::CommandLine& line, const std::string& address) {
  if (line.has("token-file")) return trimmed(platform::read_file(line.text("token-file"), 4096));
  if (std::string token = environment("ANNEAL_TOKEN"); !token.empty()) return token;
  if (!on_this_machine(address))
    throw Error(ErrorCode::kUnauthenticated,
                "no token for " + address + "; set ANNEAL_TOKEN, or name a file with --token-file");
  const platform::DataFolder data = platform::data_folder(line.text("data-folder"));
  if (!std::filesystem::exists(data.token()))
    throw Error(ErrorCode::kUnauthenticated,
                "no token in " + data.token().string() +
                    "; set ANNEAL_TOKEN, or name the server's data folder with --data-folder");
  return trimmed(platform::read_file(data.token(), 4096));
}

platform::HttpClientOptions client_options(std::string token) {
  platform::HttpClientOptions options;
  options.token = std::move(token);
  options.retries = 4;
  options.timeout = std::chrono::minutes(5);  // a large portion on a busy machine
  options.body_limit_bytes = kLargestAnswer;
  return options;
}

// A list's `next` is the rest of the query ("before=17").
std::string next_page(const std::string& path, const json::object& page) {
  const std::string next = platform::string_or(page, "next", "", "");
  return next.empty() ? next : path + (path.find('?') == std::string::npos ? "?" : "&") + next;
}

}  // namespace

std::string segment(std::string_view text) { return platform::percent_encode(text); }

ServerConnection::ServerConnection(const platform::CommandLine& line)
    : address_(find_address(line)),
      json_wanted_(line.has("json")),
      client_(address_, client_options(find_token(line, address_))) {}

ServerConnection::ServerConnection(std::string address, std::string token, bool json_wanted)
    : address_(std::move(address)), json_wanted_(json_wanted), client_(address_, client_options(std::move(token))) {}

bool ServerConnection::local() const { return on_this_machine(address_); }

platform::HttpResponse ServerConnection::send(Method method, const std::string& path, std::string body,
                                              std::string_view content_type, const platform::Headers& headers) {
  try {
    return client_.request(method, "/api/v1" + path, std::move(body), content_type, headers);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnavailable) throw;
    throw Error(ErrorCode::kUnavailable, "no server answers at " + address_ + " (" + error.what() +
                                             "); start one with anneal serve, or name one with --server URL");
  }
}

json::object ServerConnection::get(const std::string& path) {
  const json::value answer = send(Method::kGet, path, {}, {}).checked().json();
  return platform::as_object(answer, path);
}

json::object ServerConnection::post(const std::string& path, const json::object& body) {
  const platform::HttpResponse answer = send(Method::kPost, path, json::serialize(body), "application/json");
  if (answer.checked().body.empty()) return {};
  const json::value value = answer.json();
  return platform::as_object(value, path);
}

json::object ServerConnection::put(const std::string& path, const json::object& body) {
  const platform::HttpResponse answer = send(Method::kPut, path, json::serialize(body), "application/json");
  if (answer.checked().body.empty()) return {};
  const json::value value = answer.json();
  return platform::as_object(value, path);
}

void ServerConnection::remove(const std::string& path) { send(Method::kDelete, path, {}, {}).checked(); }

json::array ServerConnection::list(const std::string& path) {
  json::array all;
  for (std::string page_path = path; !page_path.empty();) {
    const json::object page = get(page_path);
    for (const json::value& item : platform::as_array(platform::require(page, "items", path), path))
      all.push_back(item);
    page_path = next_page(path, page);
  }
  return all;
}

std::string ServerConnection::find_id(const std::string& path, const std::string& text) {
  if (text.size() == 36) return text;
  std::string found;
  for (const json::value& item : list(path)) {
    const json::object& object = item.as_object();
    const std::string id = platform::require_string(object, "id", path);
    const json::value* number = platform::find(object, "number");
    if (number != nullptr && number->is_int64() && std::to_string(number->as_int64()) == text) return id;
    if (text.size() < 4 || !id.starts_with(text)) continue;
    if (!found.empty()) throw Error(ErrorCode::kConflict, "several ids begin with " + text + "; give more of it");
    found = id;
  }
  if (found.empty())
    throw Error(ErrorCode::kNotFound,
                "nothing in " + path + " has the id " + text + " (the first 4 characters or more will do)");
  return found;
}

void ServerConnection::events(const std::string& path, const std::function<bool(const platform::ServerEvent&)>& take) {
  client_.events("/api/v1" + path, take);
}

}  // namespace web
