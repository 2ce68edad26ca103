// The table of connectors. To add one: a pair of files and one line in registry.cpp.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/connector.h"

namespace connectors {

struct ConnectorKind {
  std::string_view name;
  std::string_view summary;
  bool pushed;     // records come by POST sources/{name}/records, nothing is read
  bool calls_out;  // reading opens connections to an address of the settings: only an administrator says where to
  std::unique_ptr<Connector> (*make)(const SourceConfig& config, const SecretReader& secrets);
};

/// In alphabetical order.
const std::vector<ConnectorKind>& connector_kinds();
/// Throws kInvalidInput naming the connectors there are.
const ConnectorKind& connector_kind(std::string_view name);
/// Throws kInvalidInput with the path of a setting at fault ("settings.path"), unknown ones included.
std::unique_ptr<Connector> make_connector(const SourceConfig& config,
                                          const SecretReader& secrets = secret_from_environment);

}  // namespace connectors
