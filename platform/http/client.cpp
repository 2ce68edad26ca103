#include "platform/http/client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/url.hpp>
#include <charconv>
#include <random>
#include <thread>

#include "platform/base/file.h"
#include "platform/http/response.h"

namespace platform {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

namespace {

constexpr std::size_t kEventLimit = std::size_t{16} << 20;

using Message = http::request<http::string_body>;
/// Takes the body in pieces; false = enough.
using BodySink = std::function<bool(int status, const Headers& headers, std::string_view piece)>;

Headers headers_of(const http::fields& fields) {
  Headers headers;
  for (const auto& field : fields) headers[std::string(field.name_string())] = std::string(field.value());
  return headers;
}

bool repeatable(const Message& message) {
  return (message.method() != http::verb::post && message.method() != http::verb::patch) ||
         message.find("Idempotency-Key") != message.end();
}

/// A line break would end the line and begin a header or a request of the caller's own. Values may be secrets: they are
/// not told.
void refuse_broken_header(const std::string& name, const std::string& value) {
  const bool sound = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return c > ' ' && c < 127 && std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string_view::npos;
  });
  if (!sound)
    throw Error(ErrorCode::kInvalidInput, "not the name of a header: '" + percent_encode(name) +
                                              "'; use letters, digits and '-', such as X-Api-Key");
  if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    throw Error(ErrorCode::kInvalidInput,
                "the value of the header " + name + " holds a line break or a NUL; take it out");
}

void refuse_broken_target(std::string_view target) {
  if (std::any_of(target.begin(), target.end(), [](char c) { return (c >= 0 && c <= ' ') || c == 127; }))
    throw Error(ErrorCode::kInvalidInput, "the target '" + percent_encode(target) +
                                              "' (shown percent-encoded) holds a blank or a control character; "
                                              "percent-encode it, a blank as %20");
}

bool busy(int status) { return status == 429 || (status >= 502 && status <= 504); }

}  // namespace

struct HttpClient::State {
  State(std::string url, HttpClientOptions given) : base_url(std::move(url)), options(std::move(given)), stream(io) {
    const auto parsed = boost::urls::parse_uri(base_url);
    if (!parsed || parsed->scheme() != "http" || parsed->encoded_host().empty()) {
      throw Error(ErrorCode::kInvalidInput, "not an address of the form http://host:port: " + base_url);
    }
    if (parsed->has_userinfo()) {
      throw Error(ErrorCode::kInvalidInput, "the address of " + std::string(parsed->encoded_host_and_port()) +
                                                " holds a user's name or password, which would not be sent; take "
                                                "everything up to the '@' out and use a token or a header");
    }
    host = parsed->host_address();
    port = parsed->has_port() && !parsed->port().empty() ? std::string(parsed->port()) : "80";
    authority = std::string(parsed->encoded_host_and_port());
    prefix = std::string(parsed->encoded_path());
    while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();
  }

  /// A kept connection that the other side has closed, or that has unexpected bytes, is of no use.
  bool connected() {
    if (!open) return false;
    char byte = 0;
    const ssize_t got = ::recv(stream.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  void disconnect() {
    boost::system::error_code ignored;
    stream.socket().close(ignored);
    buffer.clear();
    open = false;
  }

  asio::awaitable<void> connect() {
    if (connected()) co_return;
    disconnect();
    tcp::resolver resolver(io);
    const auto found = co_await resolver.async_resolve(host, port, asio::use_awaitable);
    stream.expires_after(options.connect_timeout);
    co_await stream.async_connect(found, asio::use_awaitable);
    stream.socket().set_option(tcp::no_delay(true));
    open = true;
  }

  asio::awaitable<void> exchange(const Message& message, HttpResponse& response, const BodySink& sink) {
    sent = false;
    co_await connect();
    stream.expires_after(options.timeout);
    sent = true;
    co_await http::async_write(stream, message, asio::use_awaitable);
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    if (message.method() == http::verb::head) parser.skip(true);
    co_await http::async_read_header(stream, buffer, parser, asio::use_awaitable);
    response.status = parser.get().result_int();
    response.headers = headers_of(parser.get());
    std::string piece(std::size_t{128} * 1024, '\0');
    bool wanted = true;
    while (wanted && !parser.is_done()) {
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      stream.expires_after(options.timeout);
      boost::system::error_code failed;
      co_await http::async_read_some(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, failed));
      if (failed && failed != http::error::need_buffer) throw boost::system::system_error(failed);
      const std::string_view got(piece.data(), piece.size() - parser.get().body().size);
      if (!got.empty()) wanted = sink(response.status, response.headers, got);
    }
    stream.expires_never();
    if (!wanted || !parser.keep_alive()) disconnect();
  }

  /// One try. Throws kUnavailable with the host and the reason.
  void run_once(const Message& message, HttpResponse& response, const BodySink& sink) {
    std::exception_ptr failure;
    io.restart();
    asio::co_spawn(io, exchange(message, response, sink), [&](std::exception_ptr thrown) { failure = thrown; });
    io.run();
    if (!failure) return;
    disconnect();
    try {
      std::rethrow_exception(failure);
    } catch (const boost::system::system_error& failed) {
      const std::string reason = failed.code() == beast::error::timeout ? "no answer in time" : failed.code().message();
      throw Error(ErrorCode::kUnavailable, "cannot reach " + authority + " (" + response.request + "): " + reason);
    }
  }

  void wait_before(int attempt, const HttpResponse& response) const {
    auto pause = std::min(options.backoff * (1 << std::min(attempt, 16)), options.backoff_limit);
    std::random_device source;
    pause = pause / 2 + std::chrono::milliseconds(source() % (static_cast<unsigned>(pause.count() / 2) + 1));
    const auto after = response.headers.find("Retry-After");
    int seconds = 0;
    if (after != response.headers.end() &&
        std::from_chars(after->second.data(), after->second.data() + after->second.size(), seconds).ec == std::errc() &&
        seconds >= 0) {
      pause = std::min(std::chrono::milliseconds(std::chrono::seconds(std::min(seconds, 3600))), options.backoff_limit);
    }
    std::this_thread::sleep_for(pause);
  }

  HttpResponse run(const Message& message) {
    for (int attempt = 0;; ++attempt) {
      HttpResponse response;
      response.request =
          std::string(message.method_string()) + " " + base_url + std::string(message.target()).substr(prefix.size());
      try {
        run_once(message, response, [&](int, const Headers&, std::string_view piece) {
          if (response.body.size() + piece.size() > options.body_limit_bytes) {
            throw Error(ErrorCode::kTooLarge, response.request + " answers with more than " +
                                                  std::to_string(options.body_limit_bytes) + " bytes");
          }
          response.body += piece;
          return true;
        });
        if (attempt >= options.retries || !busy(response.status) || !repeatable(message)) return response;
      } catch (const Error& failed) {
        if (attempt >= options.retries || failed.code() != ErrorCode::kUnavailable || (sent && !repeatable(message)))
          throw;
      }
      wait_before(attempt, response);
    }
  }

  Message message(Method method, std::string_view target, std::string body, std::string_view content_type,
                  const Headers& headers) const {
    refuse_broken_target(target);
    Message made;
    made.version(11);
    made.method_string(std::string(to_string(method)));
    made.target(prefix + std::string(target));
    made.set(http::field::host, authority);
    made.set(http::field::user_agent, "anneal");
    if (!options.token.empty()) made.set(http::field::authorization, "Bearer " + options.token);
    if (!content_type.empty()) made.set(http::field::content_type, std::string(content_type));
    for (const auto& [name, value] : options.headers) made.set(name, value);
    for (const auto& [name, value] : headers) made.set(name, value);
    for (const auto& field : made) refuse_broken_header(std::string(field.name_string()), std::string(field.value()));
    made.body() = std::move(body);
    if (!made.body().empty() || method == Method::kPost || method == Method::kPut) made.prepare_payload();
    return made;
  }

  std::string base_url;
  HttpClientOptions options;
  std::string host, port, authority, prefix;
  asio::io_context io{1};
  beast::tcp_stream stream;
  beast::flat_buffer buffer;
  bool open = false;
  bool sent = false;  // whether the last try got as far as sending
};

const HttpResponse& HttpResponse::checked() const {
  if (status >= 200 && status < 300) return *this;
  throw error_from(status, body, request);
}

json::value HttpResponse::json() const {
  try {
    return parse_json(body, request);
  } catch (const Error& failed) {
    throw Error(ErrorCode::kCorrupt, "the answer to " + request + " is no JSON: " + failed.what());
  }
}

HttpClient::HttpClient(std::string base_url, HttpClientOptions options)
    : state_(std::make_unique<State>(std::move(base_url), std::move(options))) {}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

const std::string& HttpClient::base_url() const { return state_->base_url; }

HttpResponse HttpClient::get(std::string_view target, const Headers& headers) {
  return request(Method::kGet, target, {}, {}, headers);
}

HttpResponse HttpClient::post(std::string_view target, std::string body, std::string_view content_type,
                              const Headers& headers) {
  return request(Method::kPost, target, std::move(body), content_type, headers);
}

HttpResponse HttpClient::put(std::string_view target, std::string body, std::string_view content_type,
                             const Headers& headers) {
  return request(Method::kPut, target, std::move(body), content_type, headers);
}

HttpResponse HttpClient::remove(std::string_view target, const Headers& headers) {
  return request(Method::kDelete, target, {}, {}, headers);
}

HttpResponse HttpClient::request(Method method, std::string_view target, std::string body,
                                 std::string_view content_type, const Headers& headers) {
  return state_->run(state_->message(method, target, std::move(body), content_type, headers));
}

std::uint64_t HttpClient::download(std::string_view target, const std::filesystem::path& partial,
                                   const std::function<bool(std::uint64_t have, std::uint64_t total)>& progress) {
  const FileDescriptor file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!file) throw_errno("opening " + partial.string(), errno);
  auto have = static_cast<std::uint64_t>(::lseek(file.get(), 0, SEEK_END));
  Headers headers;
  if (have > 0) headers["Range"] = "bytes=" + std::to_string(have) + "-";
  HttpResponse response;
  response.request = "GET " + state_->base_url + std::string(target);
  bool started = false;
  bool stopped = false;
  std::uint64_t total = 0;
  const auto take = [&](int status, const Headers& fields, std::string_view piece) {
    if (status != 200 && status != 206) {
      if (response.body.size() < 65536) response.body += piece;
      return true;
    }
    if (!started) {
      started = true;
      if (status == 200 && have > 0) {
        if (::ftruncate(file.get(), 0) != 0) throw_errno("truncating " + partial.string(), errno);
        have = 0;
      }
      ::lseek(file.get(), static_cast<off_t>(have), SEEK_SET);
      const auto length = fields.find("Content-Length");
      total = have + (length == fields.end() ? 0 : std::strtoull(length->second.c_str(), nullptr, 10));
    }
    write_all(file.get(), piece, partial);
    have += piece.size();
    stopped = progress && !progress(have, total);
    return !stopped;
  };
  state_->run_once(state_->message(Method::kGet, target, {}, {}, headers), response, take);
  if (stopped)
    throw Error(ErrorCode::kCancelled,
                "the download was stopped at " + std::to_string(have) + " bytes: " + response.request);
  const auto range = response.headers.find("Content-Range");
  const bool complete =
      response.status == 416 && range != response.headers.end() && range->second == "bytes */" + std::to_string(have);
  if (!complete) response.checked();
  if (::fsync(file.get()) != 0) throw_errno("syncing " + partial.string(), errno);
  return have;
}

void HttpClient::events(std::string_view target, const std::function<bool(const ServerEvent&)>& on_event,
                        const std::string& last_event_id) {
  Headers headers{{"Accept", "text/event-stream"}};
  if (!last_event_id.empty()) headers["Last-Event-ID"] = last_event_id;
  HttpResponse response;
  response.request = "GET " + state_->base_url + std::string(target);
  std::string pending;
  ServerEvent event;
  const auto line_read = [&](std::string_view line) {
    if (line.empty()) {
      const bool wanted = event.data.empty() || (event.data.pop_back(), on_event(event));
      event = {"", "", event.id};
      return wanted;
    }
    const std::size_t colon = std::min(line.find(':'), line.size());
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    if (value.starts_with(' ')) value.remove_prefix(1);
    const std::string_view field = line.substr(0, colon);
    if (field == "data") event.data.append(value).append("\n");
    if (field == "event") event.event = value;
    if (field == "id") event.id = value;
    return true;
  };
  state_->run_once(state_->message(Method::kGet, target, {}, {}, headers), response,
                   [&](int status, const Headers&, std::string_view piece) {
                     pending += piece;
                     if (status != 200) return pending.size() < 65536;
                     if (pending.size() + event.data.size() > kEventLimit)
                       throw Error(ErrorCode::kTooLarge, response.request + " sends an event of more than " +
                                                             std::to_string(kEventLimit) + " bytes");
                     // Only what came with this piece can hold the end of a line: each byte is looked at once.
                     std::size_t begin = 0;
                     std::size_t end = pending.find('\n', pending.size() - piece.size());
                     for (; end != std::string::npos; end = pending.find('\n', begin)) {
                       std::string_view line = std::string_view(pending).substr(begin, end - begin);
                       begin = end + 1;
                       if (line.ends_with('\r')) line.remove_suffix(1);
                       if (!line_read(line)) return false;
                     }
                     pending.erase(0, begin);
                     return true;
                   });
  response.body = pending;
  response.checked();
}

}  // namespace platform
