// The folder of a finished adapter: written whole beside its place and put there in one exchange, so that it is
// complete or absent. Nothing but an adapter is ever replaced. One writer.
#pragma once

#include <filesystem>
#include <string>

#include "finetune/adapter/adapted_model.h"
#include "finetune/adapter/manifest.h"

namespace finetune {

/// The absolute path without "." and without a slash at its end. Throws kInvalidInput, naming `option`, if it is empty.
std::filesystem::path plain_folder(const std::filesystem::path& folder, const std::string& option);

/// Throws kConflict where something stands that is no adapter: a file, or a folder with content but no anneal.json.
void check_adapter_place(const std::filesystem::path& folder);

/// Writes the parts and the manifest, completed by the digest of every file, in the place of an adapter that stood
/// there. Checks the place as above. Returns the adapter's digest.
std::string write_adapter(const std::filesystem::path& folder, AdapterParts& parts, Manifest manifest);

}  // namespace finetune
