#include "connectors/registry.h"

#include <algorithm>
#include <cstdlib>

#include "connectors/file_connector.h"
#include "connectors/rest_poll_connector.h"
#include "connectors/rest_push_connector.h"
#include "platform/base/did_you_mean.h"

namespace connectors {

using platform::Error;
using platform::ErrorCode;

const std::vector<ConnectorKind>& connector_kinds() {
  static const std::vector<ConnectorKind> kKinds = {
      {"file", "A file or a folder of CSV, JSON lines or plain lines, also gzip; follows growth and rotation", false,
       false, make_file_connector},
      {"rest_poll", "A JSON API read by cursor or page number", false, true, make_rest_poll_connector},
      {"rest_push", "Records that the plant posts to this server", true, false, make_rest_push_connector},
  };
  return kKinds;
}

const ConnectorKind& connector_kind(std::string_view name) {
  std::vector<std::string_view> names;
  for (const ConnectorKind& kind : connector_kinds()) {
    if (kind.name == name) return kind;
    names.push_back(kind.name);
  }
  std::string known;
  for (const std::string_view one : names) known += (known.empty() ? "" : ", ") + std::string(one);
  throw Error(ErrorCode::kInvalidInput,
              "there is no connector '" + std::string(name) + "'" + platform::did_you_mean(name, names) +
                  "; known are " + known,
              "connector");
}

std::unique_ptr<Connector> make_connector(const SourceConfig& config, const SecretReader& secrets) {
  return connector_kind(config.connector).make(config, secrets);
}

std::string secret_from_environment(const std::string& name) {
  std::string variable = "ANNEAL_SECRET_";
  for (const char c : name) variable += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr)
    throw Error(ErrorCode::kNotFound,
                "the secret '" + name + "' is not set; put it into the environment variable " + variable);
  return value;
}

InputFormat input_of(const SourceConfig& config) {
  const platform::json::value* own = platform::find(config.settings, "input");
  return InputFormat::from_json(
      own == nullptr ? config.profile.input : merged(config.profile.input, platform::as_object(*own, "settings.input")),
      "settings.input");
}

}  // namespace connectors
