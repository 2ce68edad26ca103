// kill -9 of the server, the worker, the agent and PostgreSQL at random moments of the loop, while records come in, an
// adapter is trained and the agent answers. Every kill hits a process that has done work since it came up; those of the
// worker hit steps of an optimizer, and in a test of their own every other step of a workflow; those of the agent hit
// in a test of their own every state of an update. In the end: every acknowledged record and feedback is there once,
// nothing was done twice, and the adapter's bytes are those of a run that nobody disturbed. ANNEAL_KILLS: kills of each
// kind (11 unless set); ANNEAL_SEED: of the moments.
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include "platform/base/error.h"
#include "platform/base/file.h"
#include "tests/support/patience.h"
#include "tests/support/plant.h"

namespace tests {
namespace {

using platform::Error;
using platform::Method;
using std::chrono::milliseconds;

constexpr int kBatch = kPatience == 1 ? 32 : 2;  // under a sanitizer 32 examples take seconds a step

// A training of `steps` optimizer steps, all the way to the line.
std::string flow(int steps) {
  const std::string count = std::to_string(steps), batch = std::to_string(kBatch);
  return R"yaml(
name: loop
inputs:
  source: {type: source}
steps:
  data:  {uses: dataset.snapshot, with: {source: "${{ inputs.source }}", profile: machine-failure}}
  tune:
    uses: finetune.lora
    needs: [data]
    with: {base: anneal-nano, dataset: "${{ steps.data.dataset }}", r: 4, max_steps: )yaml" +
         count + ", min_steps: " + count + ", batch_examples: " + batch + R"yaml(, evaluations: 2, seed: 3}
  score: {uses: model.evaluate, needs: [tune], with: {adapter: "${{ steps.tune.adapter }}", dataset: "${{ steps.data.dataset }}"}}
  gate:  {uses: model.gate, needs: [score], with: {metric: average_precision, at_least: 0}}
  model: {uses: model.register, needs: [gate], with: {name: loop}}
  ship:  {uses: deploy.rollout, needs: [model], with: {model: "${{ steps.model.version }}", to: "line=3", waves: [100%], soak: 0s}}
)yaml";
}
constexpr int kLong = 200, kShort = 20;
constexpr std::int64_t kEvaluatedEvery = kLong / 2;

std::int64_t number_from_environment(const char* name, std::int64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::atoll(text);
}

platform::HttpClientOptions impatient() {
  platform::HttpClientOptions options;
  options.connect_timeout = milliseconds(1000);
  options.timeout = milliseconds(15000);
  return options;
}

json::object reading(std::int64_t sequence) {
  return {{"UDI", sequence},
          {"Type", "L"},
          {"Air temperature [K]", 298.5},
          {"Process temperature [K]", 308.7},
          {"Rotational speed [rpm]", 1400 + sequence % 300},
          {"Torque [Nm]", 40.5},
          {"Tool wear [min]", sequence % 200},
          {"Machine failure", "0"}};
}

/// A thread that does one thing again and again, each time until it was acknowledged. `done` counts acknowledgements.
class Busy {
 public:
  explicit Busy(std::function<void(std::int64_t)> once)
      : thread_([this, once = std::move(once)] {
          for (std::int64_t number = 0; !stop_.load();) {
            try {
              once(number);
              done_.store(++number);
            } catch (const Error&) {  // its server is away just now; the same again
              std::this_thread::sleep_for(milliseconds(20));
            }
          }
        }) {}
  ~Busy() { finish(); }
  /// Ends after the acknowledgement under way, which the server must be there for. Returns how many there were.
  std::int64_t finish() {
    stop_.store(true);
    if (thread_.joinable()) thread_.join();
    return done_.load();
  }
  std::int64_t done() const { return done_.load(); }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<std::int64_t> done_{0};
  std::thread thread_;
};

enum Kind { kServer, kWorker, kAgent, kPostgres, kKinds };
constexpr const char* kNames[] = {"server", "worker", "agent", "PostgreSQL"};

class LoopKill : public testing::Test {
 protected:
  void SetUp() override {
    std::cout << "seed " << seed_ << ", " << wanted_ << " kills of each kind\n";
    server_.start();
    worker_.start();
    agent_.start();
    auto client = server_.client();
    for (const char* source : {"mill", "line"})
      client.post("/api/v1/sources",
                  json::object{{"name", source}, {"connector", "rest_push"}, {"profile", "machine-failure"}});
    json::array history;
    for (std::int64_t i = 0; i < 1200; ++i) {
      json::object record = reading(i);
      if (i % 9 == 0) record["Machine failure"] = "1", record["Torque [Nm]"] = 71.5;
      history.push_back(std::move(record));
    }
    ASSERT_EQ(client.post("/api/v1/sources/mill/records", history).at("accepted"), json::value(1200));
  }

  std::string start_run(int steps = kLong) {
    return std::string(
        server_.client()
            .post("/api/v1/runs", json::object{{"text", flow(steps)}, {"inputs", json::object{{"source", "mill"}}}})
            .at("id")
            .as_string());
  }

  // Asks until there is an answer: the server or its database may be coming up just now.
  json::object run(const std::string& id) {
    json::object found;
    const bool answered =
        wait_until([&] { return !(found = server_.client(impatient()).get("/api/v1/runs/" + id)).empty(); });
    if (!answered) throw std::runtime_error("the server does not tell of run " + id);
    return found;
  }
  std::string state(const std::string& id) { return std::string(run(id).at("state").as_string()); }

  static const json::object& step_of(const json::object& run, std::string_view name) {
    for (const json::value& step : run.at("steps").as_array()) {
      if (step.at("name") == json::value(name)) return step.as_object();
    }
    throw std::runtime_error("the run has no step " + std::string(name));
  }
  std::string digest(const std::string& id) {
    const json::object found = run(id);
    return std::string(step_of(found, "tune").at("outputs").at("digest").as_string());
  }

  // The optimizer step that the run's training last told of; -1 while nothing trains.
  std::int64_t optimizer_step(const std::string& id) {
    const json::object found = run(id);
    const json::object& tune = step_of(found, "tune");
    if (tune.at("state") != json::value("running") || !tune.at("progress").is_object()) return -1;
    return tune.at("progress").at("step").to_number<std::int64_t>();
  }

  void pause_a_moment() {
    std::this_thread::sleep_for(milliseconds(std::uniform_int_distribution<int>(0, 250)(random_)));
  }

  // True for a step that is neither near an evaluation of the training, nor near its end, where the adapter is written:
  // what the run tells is a heartbeat old.
  static bool well_inside(std::int64_t step) {
    constexpr std::int64_t kMargin = kEvaluatedEvery / 5;
    return step % kEvaluatedEvery > 0 && step % kEvaluatedEvery < kEvaluatedEvery - kMargin;
  }

  // False if the run was over before the worker had an optimizer to be hit in that had got further since the last kill.
  bool kill_worker(const std::string& id) {
    const std::int64_t before = std::max<std::int64_t>(0, optimizer_step(id));
    std::int64_t now = -1;
    for (bool further = false; !further; pause_a_moment()) {
      const bool working = wait_until([&] { return (now = optimizer_step(id)) > before || state(id) != "running"; },
                                      std::chrono::minutes(2));
      if (!working || now <= before) return false;
      further = well_inside(now = optimizer_step(id));
    }
    if (!well_inside(now = optimizer_step(id))) return false;
    EXPECT_TRUE(worker_.kill()) << "the worker had ended by itself";
    worker_.start();
    optimizer_steps_ += (optimizer_steps_.empty() ? "" : ", ") + std::to_string(now);
    return true;
  }

  void kill_server(const Busy& records) {
    wait_for_more(records);
    EXPECT_TRUE(server_.kill()) << "the server had ended by itself";
    server_.start();
  }

  void kill_agent(const Busy& answers) {
    wait_for_more(answers);
    EXPECT_TRUE(agent_.kill()) << "the agent had ended by itself";
    agent_.start();
  }

  void kill_postgres(const Busy& records) {
    wait_for_more(records);
    const std::optional<int> postmaster = server_.postmaster();
    ASSERT_TRUE(postmaster) << "no PostgreSQL runs";
    ASSERT_EQ(::kill(*postmaster, SIGKILL), 0);
    ASSERT_TRUE(wait_until([&] { return server_.postmaster() && *server_.postmaster() != *postmaster; }))
        << "PostgreSQL did not come back";
  }

  void wait_for_more(const Busy& busy) {
    const std::int64_t before = busy.done();
    ASSERT_TRUE(wait_until([&] { return busy.done() > before + 2; }, std::chrono::minutes(2)))
        << "nothing works any more";
    pause_a_moment();
  }

  const std::int64_t wanted_ = number_from_environment("ANNEAL_KILLS", 11);
  const std::uint64_t seed_ = static_cast<std::uint64_t>(number_from_environment("ANNEAL_SEED", 20261124));
  std::mt19937_64 random_{seed_};
  platform::TemporaryFolder folder_;
  ServerProcess server_{folder_.path() / "server", {"--no-worker"}};
  WorkerProcess worker_{folder_.path() / "server"};
  AgentProcess agent_{server_, folder_.path() / "agent", "edge-03", "line=3"};
  std::array<std::int64_t, kKinds> kills_{};
  std::string optimizer_steps_;  // that the worker was killed in
};

TEST_F(LoopKill, NothingAcknowledgedIsLostAndTheAdapterIsTheSameByteForByte) {
  const std::string calm = start_run();
  ASSERT_TRUE(wait_until([&] { return state(calm) != "running"; }, std::chrono::minutes(8)));
  ASSERT_EQ(state(calm), "succeeded") << json::serialize(run(calm));
  const std::string expected = digest(calm);

  RestClient line = server_.client(impatient());
  Busy records([&](std::int64_t number) {
    line.post("/api/v1/sources/line/records", json::array{reading(2 * number), reading(2 * number + 1)});
  });
  // An answer, and what a person says of it: with the same id until it is acknowledged.
  std::string id;
  RestClient machine(agent_.address(), std::string(), impatient());
  Busy answers([&](std::int64_t) {
    if (id.empty()) id = machine.post("/v1/predict", json::object{{"record", reading(7)}}).at("id").as_string();
    machine.post("/v1/feedback", json::object{{"id", id}, {"label", "0"}});
    id.clear();
    std::this_thread::sleep_for(milliseconds(20));
  });

  std::vector<std::string> runs{start_run()};
  while (std::any_of(kills_.begin(), kills_.end(), [&](std::int64_t count) { return count < wanted_; })) {
    const int kind = std::uniform_int_distribution<int>(0, kKinds - 1)(random_);
    if (kills_.at(static_cast<std::size_t>(kind)) >= wanted_) continue;
    if (state(runs.back()) == "succeeded") {
      ASSERT_TRUE(wait_until([&] { return runs.push_back(start_run()), true; }));
    }
    ASSERT_EQ(state(runs.back()), "running") << json::serialize(run(runs.back()));
    if (kind == kWorker && !kill_worker(runs.back())) continue;
    if (kind == kServer) kill_server(records);
    if (kind == kAgent) kill_agent(answers);
    if (kind == kPostgres) kill_postgres(records);
    ASSERT_FALSE(HasFatalFailure());
    ++kills_.at(static_cast<std::size_t>(kind));
  }
  for (std::size_t kind = 0; kind < kKinds; ++kind)
    std::cout << kills_.at(kind) << " kills of the " << kNames[kind]
              << (kind == kWorker ? ", in the optimizer steps " + optimizer_steps_ : "") << "\n";

  for (const std::string& id : runs) {
    ASSERT_TRUE(wait_until([&] { return state(id) != "running"; }, std::chrono::minutes(8)));
    ASSERT_EQ(state(id), "succeeded") << json::serialize(run(id));
    EXPECT_EQ(digest(id), expected) << "of run " << id;
  }
  std::cout << runs.size() << " runs were disturbed, adapter " << expected << "\n";

  const std::int64_t sent = 2 * records.finish(), said = answers.finish();
  std::cout << sent << " records and " << said << " feedbacks were acknowledged\n";
  auto client = server_.client();
  EXPECT_EQ(client.get("/api/v1/sources/line").at("records"), json::value(sent))
      << "a record is there twice, or one is missing";
  for (std::int64_t at = 0; at < sent; at += 1000) {
    json::array again;
    for (std::int64_t i = at; i < std::min(sent, at + 1000); ++i) again.push_back(reading(i));
    EXPECT_EQ(client.post("/api/v1/sources/line/records", again).at("accepted"), json::value(0))
        << "a record from number " << at << " on was lost";
  }
  EXPECT_TRUE(wait_until([&] {
    return client.get("/api/v1/sources/feedback-loop").at("records") == json::value(said);
  })) << "the server has "
      << json::serialize(client.get("/api/v1/sources/feedback-loop").at("records")) << " feedbacks of " << said;
  const json::object answer = agent_.client().post("/v1/predict", json::object{{"record", reading(7)}});
  EXPECT_EQ(answer.at("adapter_digest"), json::value(expected));
  EXPECT_EQ(answer.at("model_version"), json::value(std::to_string(runs.size() + 1)));
}

// Kills while `step` is at work or has just been; what was hit, the journal tells: a lease that ran out.
TEST_F(LoopKill, AWorkerThatIsLostInAnyStepCostsNoStepTwice) {
  const std::string calm = start_run(kShort);
  ASSERT_TRUE(wait_until([&] { return state(calm) != "running"; }, std::chrono::minutes(4)));
  ASSERT_EQ(state(calm), "succeeded") << json::serialize(run(calm));
  std::map<std::string, int> hits;
  int runs = 1;
  const auto enough = [&] { return hits.size() >= 4 && hits["data"] > 0 && hits["score"] > 0 && hits["ship"] > 0; };
  for (; runs <= 3 || (runs <= 8 && !enough()); ++runs) {
    const std::string id = start_run(kShort);
    for (const char* step : {"data", "score", "gate", "model", "ship"}) {
      ASSERT_TRUE(wait_until([&] {
        const std::string now(step_of(run(id), step).at("state").as_string());
        return now == "running" || now == "succeeded";
      }));
      if (step_of(run(id), step).at("state") == json::value("succeeded")) continue;
      ASSERT_TRUE(worker_.kill());
      worker_.start();
    }
    ASSERT_TRUE(wait_until([&] { return state(id) != "running"; }, std::chrono::minutes(4)));
    ASSERT_EQ(state(id), "succeeded") << json::serialize(run(id));
    EXPECT_EQ(digest(id), digest(calm));
    const json::object journal = server_.client().get("/api/v1/runs/" + id + "/events?limit=1000");
    for (const json::value& event : journal.at("items").as_array()) {
      if (event.at("what") == json::value("lease_expired")) ++hits[std::string(event.at("step").as_string())];
    }
  }
  for (const auto& [step, count] : hits) std::cout << count << " workers were lost in " << step << "\n";
  EXPECT_TRUE(enough()) << "the kills missed the steps";
  auto client = server_.client();
  EXPECT_EQ(client.get("/api/v1/models/loop").at("versions"), json::value(runs)) << "a version is there twice";
  EXPECT_EQ(client.get("/api/v1/deployments").at("items").as_array().size(), static_cast<std::size_t>(runs));
}

// The agent's own file says what it was doing when it was killed: a state is on disk before it is acted on.
TEST_F(LoopKill, AnAgentThatIsKilledInTheMiddleOfUpdatesEndsWithWhatItWasSent) {
  const std::string calm = start_run(kShort);
  ASSERT_TRUE(wait_until([&] { return state(calm) != "running"; }, std::chrono::minutes(4)));
  ASSERT_EQ(state(calm), "succeeded") << json::serialize(run(calm));
  const auto doing = [&]() -> std::string {
    try {
      return std::string(platform::read_json_file(folder_.path() / "agent" / "state.json").at("state").as_string());
    } catch (const std::exception&) {
      return "idle";
    }
  };
  std::map<std::string, int> hits;
  auto client = server_.client();
  for (int number = 0; number < 8; ++number) {
    const json::object made = client.post(
        "/api/v1/deployments",
        json::object{{"model", "loop"}, {"version", "1"}, {"to", "line=3"}, {"waves", {1.0}}, {"soak_seconds", 1}});
    const std::string address = "/api/v1/deployments/" + std::string(made.at("id").as_string());
    ASSERT_TRUE(wait_until([&] { return doing() != "idle"; }));
    std::this_thread::sleep_for(milliseconds(std::uniform_int_distribution<int>(0, 400)(random_)));
    ASSERT_TRUE(agent_.kill());
    ++hits[doing()];
    agent_.start();
    ASSERT_TRUE(wait_until([&] { return client.get(address).at("state") == json::value("finished"); }))
        << json::serialize(client.get(address));
    const json::object answer = agent_.client().post("/v1/predict", json::object{{"record", reading(7)}});
    EXPECT_EQ(answer.at("adapter_digest"), json::value(digest(calm)));
  }
  hits.erase("idle");
  int inside = 0;
  for (const auto& [state, count] : hits) {
    std::cout << count << " agents were killed while " << state << "\n";
    inside += count;
  }
  EXPECT_GE(inside, 4) << "the kills missed the updates";
  EXPECT_GE(hits.size(), 2u);
}

}  // namespace
}  // namespace tests
