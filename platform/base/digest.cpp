#include "platform/base/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>

#include "platform/base/error.h"
#include "platform/base/file.h"
#include "platform/base/shortened.h"

namespace platform {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) { EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr); }
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) { EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()); }

std::string Sha256::hex() {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_DigestFinal_ex(state_->context, hash, &length);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (unsigned i = 0; i < length; ++i) {
    out += kDigits[hash[i] >> 4];
    out += kDigits[hash[i] & 15];
  }
  return out;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_file_hex(const std::filesystem::path& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw_errno("reading " + path.string(), errno);
  Sha256 hash;
  std::string block(1 << 18, '\0');
  for (;;) {
    const ssize_t got = ::read(file.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("reading " + path.string(), errno);
    if (got == 0) return hash.hex();
    hash.update(std::string_view(block.data(), static_cast<std::size_t>(got)));
  }
}

std::string digest_of(std::string_view bytes) { return "sha256:" + sha256_hex(bytes); }
std::string digest_of_file(const std::filesystem::path& path) { return "sha256:" + sha256_file_hex(path); }

void check_digest(std::string_view digest) {
  const bool right = digest.size() == 71 && digest.substr(0, 7) == "sha256:" &&
                     digest.find_first_not_of("0123456789abcdef", 7) == std::string_view::npos;
  if (!right)
    throw Error(ErrorCode::kInvalidInput,
                "not a digest: \"" + shortened(digest, 80) + "\"; it reads sha256: and 64 hex digits");
}

}  // namespace platform
