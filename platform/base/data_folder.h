// Where one installation keeps its bytes. Plain paths; nothing is created by asking.
#pragma once

#include <filesystem>
#include <string>

namespace platform {

struct DataFolder {
  std::filesystem::path root;

  std::filesystem::path postgres() const { return root / "postgres"; }  // the private cluster
  std::filesystem::path blobs() const { return root / "blobs"; }        // content-addressed bytes
  std::filesystem::path bases() const { return root / "bases"; }  // foundation models by name, beside the embedded one
  std::filesystem::path keys() const { return root / "keys"; }    // signing keys, mode 0700
  std::filesystem::path token() const { return root / "admin-token"; }  // the CLI's token, mode 0600
  std::filesystem::path address() const {
    return root / "server-address";
  }  // http://127.0.0.1:PORT of the running server
  std::filesystem::path logs() const { return root / "logs"; }
  /// Private to one step of one run and kept across its attempts: checkpoints live here.
  std::filesystem::path work(const std::string& run, const std::string& step) const {
    return root / "work" / run / step;
  }
};

/// `given` if not empty, else $ANNEAL_DATA, else /var/lib/anneal for root and ~/.local/share/anneal for others.
DataFolder data_folder(const std::string& given = {});
/// The folder of the base `name`: root/bases/name, else the one shipped with the program (next to the binary under
/// share/anneal/bases, or $ANNEAL_SOURCE/finetune/bases, or the source tree the binary was built from). A path that
/// contains a '/' stands for itself. Throws kNotFound listing the bases there are.
std::filesystem::path base_folder(const DataFolder& data, const std::string& name);

}  // namespace platform
