// file: a file, or the files of a folder in the order of their names. Resumes at the byte where it stopped, follows a
// file that grows, reads gzip, and notices when a file was cut short or replaced: then it starts over and records a
// gap. Settings: path, pattern ("*.csv", for a folder), settle_seconds (a last row without a newline counts as whole
// once the file was still that long; default 5), input (see input_format.h).
#pragma once

#include "connectors/connector.h"

namespace connectors {

/// Throws kInvalidInput for missing or unknown settings.
std::unique_ptr<Connector> make_file_connector(const SourceConfig& config, const SecretReader& secrets);

}  // namespace connectors
