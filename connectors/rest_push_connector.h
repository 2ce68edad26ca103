// rest_push: the plant posts, the server parses with parse_records and stores before it answers. Nothing is read here.
// Settings: input (see input_format.h).
#pragma once

#include "connectors/connector.h"

namespace connectors {

std::unique_ptr<Connector> make_rest_push_connector(const SourceConfig& config, const SecretReader& secrets);

}  // namespace connectors
