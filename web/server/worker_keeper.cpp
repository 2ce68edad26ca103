#include "web/server/worker_keeper.h"

namespace web {

namespace {
constexpr std::chrono::milliseconds kLook{1000};
}

WorkerKeeper::WorkerKeeper(WorkerKeeperOptions options, platform::Log log)
    : options_(std::move(options)),
      log_(std::move(log)),
      keeper_(
          "keeping the worker alive", kLook, [this] { look(); }, log_) {}

void WorkerKeeper::look() {
  if (worker_) {
    const std::optional<int> code = worker_->poll();
    if (!code) return;
    log_.warning("the worker ended; starting another one", {{"exit_code", *code}, {"log", options_.log_file.string()}});
    worker_.reset();
  }
  platform::ProcessOptions process;
  if (!options_.database.empty()) process.environment["ANNEAL_DATABASE"] = options_.database;
  process.log_file = options_.log_file;
  process.stop_grace = options_.stop_grace;
  worker_.emplace(options_.command, process);
  log_.info("worker started", {{"pid", worker_->pid()}});
}

}  // namespace web
