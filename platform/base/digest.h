// SHA-256, the name of every immutable thing in Anneal ("sha256:" + 64 hex digits where it names an artifact).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace platform {

/// Running hash. Not thread-safe; one per stream.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::string_view bytes);
  /// 64 lower-case hex digits; the object may not be used afterwards.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// 64 lower-case hex digits.
std::string sha256_hex(std::string_view bytes);
/// Reads the file in blocks. Throws kNotFound / kUnavailable.
std::string sha256_file_hex(const std::filesystem::path& path);
/// "sha256:" + hex.
std::string digest_of(std::string_view bytes);
std::string digest_of_file(const std::filesystem::path& path);
/// Throws kInvalidInput unless `digest` is "sha256:" and 64 lower-case hex digits.
void check_digest(std::string_view digest);

}  // namespace platform
