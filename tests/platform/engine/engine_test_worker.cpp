// A worker process for kill tests: engine_test_worker CONNECTION DATA_FOLDER [LOSSES]. SIGTERM asks it to hand its step
// back.
#include <csignal>

#include "platform/engine/worker.h"
#include "platform/store/database.h"
#include "tests/platform/engine/counting_step.h"

namespace {
platform::Worker* running = nullptr;  // a signal handler sees nothing but globals
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  platform::Database database({.connection = argv[1]});
  platform::RunStore store(database);
  platform::WorkerOptions options;
  options.kinds = {"ask", "count", "crash", "fail"};
  options.lease = std::chrono::milliseconds(600);
  options.heartbeat = std::chrono::milliseconds(100);
  options.idle = std::chrono::milliseconds(20);
  if (argc > 3) options.losses = std::stoll(argv[3]);
  platform::Worker worker(store, platform::test::make_test_step, {argv[2]}, options, platform::Log(stderr));
  running = &worker;
  std::signal(SIGTERM, [](int) { running->request_stop(); });
  worker.run();
  return 0;
}
