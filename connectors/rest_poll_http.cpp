// rest_poll over HTTP: the settings of the client, and secrets by name (declared in rest_poll_connector.h).
#include "connectors/rest_poll_connector.h"
#include "platform/http/client.h"

namespace connectors {

namespace json = platform::json;

namespace {

// Settings are shown to everybody who may see the source.
void refuse_user_info(const std::string& url) {
  const std::size_t host = url.find("://");
  const std::size_t begin = host == std::string::npos ? 0 : host + 3;
  if (url.substr(begin, url.find_first_of("/?#", begin) - begin).find('@') == std::string::npos) return;
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        "settings.url holds a user's name or password, which everybody would see and nobody would "
                        "send; take it out and name a secret: settings.auth {bearer: SECRET} or {header: "
                        "Authorization, secret: SECRET}",
                        "settings.url");
}

}  // namespace

std::unique_ptr<Connector> make_rest_poll_connector(const SourceConfig& config, const SecretReader& secrets) {
  const std::string url = platform::require_string(config.settings, "url", "settings");
  refuse_user_info(url);
  platform::HttpClientOptions options;
  options.retries = 3;
  if (const json::value* auth = platform::find(config.settings, "auth")) {
    const json::object& keys = platform::as_object(*auth, "settings.auth");
    platform::refuse_unknown_keys(keys, {"bearer", "header", "secret"}, "settings.auth");
    if (platform::find(keys, "bearer") != nullptr) {
      options.token = secrets(platform::require_string(keys, "bearer", "settings.auth"));
    } else {
      options.headers[platform::require_string(keys, "header", "settings.auth")] =
          secrets(platform::require_string(keys, "secret", "settings.auth"));
    }
  }
  // Shared: std::function wants a copyable callable; the client has one user, the connector.
  const auto client = std::make_shared<platform::HttpClient>(url, options);
  return make_rest_poll_connector(config,
                                  [client](const std::string& target) { return client->get(target).checked().json(); });
}

}  // namespace connectors
