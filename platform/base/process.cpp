#include "platform/base/process.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "platform/base/error.h"
#include "platform/base/file.h"

namespace platform {
namespace {

// Everything the child needs, made before fork: after it only async-signal-safe calls are made.
struct Image {
  std::vector<char*> arguments;
  std::vector<std::string> environment_texts;
  std::vector<char*> environment;
};

Image make_image(const std::vector<std::string>& arguments, const ProcessOptions& options) {
  Image image;
  for (const std::string& argument : arguments) image.arguments.push_back(const_cast<char*>(argument.c_str()));
  image.arguments.push_back(nullptr);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!options.environment.count(text.substr(0, text.find('=')))) image.environment_texts.push_back(text);
  }
  for (const auto& [name, value] : options.environment) image.environment_texts.push_back(name + "=" + value);
  for (std::string& text : image.environment_texts) image.environment.push_back(text.data());
  image.environment.push_back(nullptr);
  return image;
}

// Nothing but standard input, output and error passes into the child: a listening socket that it held would keep the
// port taken after its parent ends. Libraries open some without O_CLOEXEC.
void keep_to_ourselves() {
  constexpr unsigned kFirst = 3;
  if (::close_range(kFirst, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  constexpr int kMost = 4096;  // an older kernel
  for (int descriptor = kFirst; descriptor < kMost; ++descriptor) ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

// Runs in the child; reports errno through `pipe_end` if anything before exec fails.
[[noreturn]] void become(const Image& image, const ProcessOptions& options, int output, int pipe_end, pid_t parent) {
  const auto fail = [pipe_end] {
    const int error = errno;
    [[maybe_unused]] const ssize_t put = ::write(pipe_end, &error, sizeof error);
    ::_exit(127);
  };
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (output >= 0 && (::dup2(output, 1) < 0 || ::dup2(output, 2) < 0)) fail();
  if (options.group && (::setgroups(0, nullptr) != 0 || ::setgid(*options.group) != 0)) fail();
  if (options.user && ::setuid(*options.user) != 0) fail();
  if (options.working_folder && ::chdir(options.working_folder->c_str()) != 0) fail();
  // Ctrl-C at a terminal goes to the whole group of its foreground: the parent alone decides when the child stops.
  if (options.die_with_parent) ::setpgid(0, 0);
  // After setuid, which clears it. SIGTERM lets the child finish its books.
  if (options.die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, options.stop_signal);
    if (::getppid() != parent) ::_exit(127);
  }
  keep_to_ourselves();
  ::execvpe(image.arguments[0], image.arguments.data(), image.environment.data());
  fail();
  ::_exit(127);
}

pid_t spawn(const std::vector<std::string>& arguments, const ProcessOptions& options, int output) {
  if (arguments.empty()) throw Error(ErrorCode::kInternal, "no program to start");
  const Image image = make_image(arguments, options);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("making a pipe", errno);
  const FileDescriptor reader(ends[0]);
  FileDescriptor writer(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno("starting " + arguments[0], errno);
  if (pid == 0) become(image, options, output, writer.get(), parent);
  writer = FileDescriptor();
  int error = 0;
  if (::read(reader.get(), &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
    ::waitpid(pid, nullptr, 0);
    throw Error(ErrorCode::kUnavailable,
                "cannot start " + arguments[0] + ": " + std::strerror(error) + "; is it installed?");
  }
  return pid;
}

int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

Process::Process(const std::vector<std::string>& arguments, ProcessOptions options) : options_(std::move(options)) {
  FileDescriptor log;
  if (options_.log_file) {
    log = FileDescriptor(::open(options_.log_file->c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!log) throw_errno("opening " + options_.log_file->string(), errno);
    ::fchmod(log.get(), 0600);  // one that an older program left
  }
  pid_ = spawn(arguments, options_, log.get());
}

Process::Process(Process&& other) noexcept
    : pid_(other.pid_), exit_code_(other.exit_code_), options_(std::move(other.options_)) {
  other.pid_ = -1;
}

Process::~Process() {
  if (pid_ > 0 && !poll()) stop();
}

std::optional<int> Process::poll() {
  if (exit_code_) return exit_code_;
  int status = 0;
  const pid_t got = ::waitpid(pid_, &status, WNOHANG);
  if (got == pid_) exit_code_ = code_of(status);
  if (got < 0 && errno == ECHILD) exit_code_ = 1;  // reaped elsewhere
  return exit_code_;
}

std::optional<int> Process::wait_for(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!poll()) {
    if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return exit_code_;
}

int Process::wait() {
  while (!exit_code_) {
    int status = 0;
    const pid_t got = ::waitpid(pid_, &status, 0);
    if (got == pid_) exit_code_ = code_of(status);
    if (got < 0 && errno == ECHILD) exit_code_ = 1;
  }
  return *exit_code_;
}

int Process::stop() {
  if (poll()) return *exit_code_;
  signal(options_.stop_signal);
  if (const auto code = wait_for(options_.stop_grace)) return *code;
  signal(SIGKILL);
  return wait();
}

void Process::signal(int number) {
  if (pid_ > 0 && !exit_code_) ::kill(pid_, number);
}

CommandOutput run_command(const std::vector<std::string>& arguments, ProcessOptions options) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("making a pipe", errno);
  const FileDescriptor reader(ends[0]);
  FileDescriptor writer(ends[1]);
  const pid_t pid = spawn(arguments, options, writer.get());
  writer = FileDescriptor();
  CommandOutput output;
  char block[4096];
  for (;;) {
    const ssize_t got = ::read(reader.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (output.text.size() < (1 << 20)) output.text.append(block, static_cast<std::size_t>(got));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  output.exit_code = code_of(status);
  return output;
}

}  // namespace platform
