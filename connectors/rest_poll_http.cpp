// rest_poll over HTTP: the settings of the client, and secrets by name (declared in rest_poll_connector.h).
#include "connectors/rest_poll_connector.h"
#include "platform/http/client.h"

namespace connectors {

namespace json = platform::json;

std::unique_ptr<Connector> make_rest_poll_connector(const SourceConfig& config, const SecretReader& secrets) {
  const std::string url = platform::require_string(config.settings, "url", "settings");
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
