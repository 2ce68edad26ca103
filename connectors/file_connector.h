// file: a file, or the files of a folder in the order of their names. Resumes at the byte where it stopped, follows a
// file that grows, reads gzip, and notices when a file was cut short or replaced: then it starts over, and records a
// gap unless the old one had been read to its end. A gzip file that ends in the middle is read as far as it goes; once
// settled it is an error. A file that cannot be read does not keep the others from being read: read() throws at its
// end, and the next reading tries it again; so it is with one that SourceConfig::file_allowed refuses, whether it was
// refused from the beginning or became a link while the source ran. A file that did not change is not opened. A row of
// more than 64 MiB is an error, and so is a settled file that is empty or holds a header alone. A key without a
// template holds the content, the file's name and the row. Settings: path, pattern ("*.csv", for a folder),
// settle_seconds (a last row without a newline counts as whole once the file was still that long; default 5), input
// (see input_format.h; JSON is read one record a line).
#pragma once

#include "connectors/connector.h"

namespace connectors {

/// Throws kInvalidInput for missing or unknown settings.
std::unique_ptr<Connector> make_file_connector(const SourceConfig& config, const SecretReader& secrets);

}  // namespace connectors
