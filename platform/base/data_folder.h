// Where one installation keeps its bytes. Plain paths; only make_private creates anything.
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
/// Makes the folder with its parts for blobs, logs and work, and keeps everybody but the owner from looking into them.
/// Others may still pass through it where they could: the private database may run as another user. Throws
/// kInvalidInput for a folder that is everybody's, such as /tmp.
void make_private(const DataFolder& data);
/// The folder of the base `name`: root/bases/name, else the one shipped with the program (next to the binary under
/// share/anneal/bases, or $ANNEAL_SOURCE/finetune/bases, or the source tree the binary was built from). A path that
/// contains a '/' stands for itself. Throws kNotFound listing the bases there are.
std::filesystem::path base_folder(const DataFolder& data, const std::string& name);

}  // namespace platform
