#include "web/client/run_view.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

#include "web/client/server_connection.h"
#include "web/client/table.h"

namespace web {

namespace json = platform::json;

namespace {

constexpr std::chrono::milliseconds kLook{400};
constexpr std::chrono::minutes kServerAway{10};  // a server that is being restarted comes back long before

const json::array& steps_of(const json::object& run) {
  return platform::as_array(platform::require(run, "steps", "run"), "steps");
}

std::string lasted(const json::object& step) {
  const std::string from = cell(step, "started_at"), to = cell(step, "finished_at");
  if (from.empty()) return {};
  const platform::Time end = to.empty() ? platform::SystemClock().now() : platform::parse_time(to);
  return length_of_time(std::chrono::duration_cast<std::chrono::seconds>(end - platform::parse_time(from)));
}

const json::object* evaluation_of(const json::object& step) {
  const json::value* outputs = platform::find(step, "outputs");
  const json::value* evaluation =
      outputs != nullptr && outputs->is_object() ? platform::find(outputs->get_object(), "evaluation") : nullptr;
  return evaluation != nullptr && evaluation->is_object() ? &evaluation->get_object() : nullptr;
}

std::string with_interval(const json::object& score) {
  const std::string value = short_number(platform::number_or(score, "value", 0, "score"));
  if (platform::find(score, "low") == nullptr) return value;
  return value + " (" + short_number(platform::number_or(score, "low", 0, "score")) + " to " +
         short_number(platform::number_or(score, "high", 0, "score")) + ")";
}

std::string baseline_value(const json::array& scores, const std::string& metric) {
  for (const json::value& score : scores) {
    if (cell(score.as_object(), "metric") == metric) return with_interval(score.as_object());
  }
  return "-";
}

void print_evaluation(const json::object& evaluation) {
  const json::value* found = platform::find(evaluation, "baselines");
  const json::object baselines = found != nullptr && found->is_object() ? found->get_object() : json::object();
  std::vector<std::string> columns{"METRIC", "ADAPTED MODEL (95 % INTERVAL)"};
  for (const auto& [name, scores] : baselines) columns.push_back("BASELINE " + std::string(name));
  Table table(columns);
  for (const json::value& each : platform::as_array(platform::require(evaluation, "scores", "evaluation"), "scores")) {
    const json::object& score = each.as_object();
    std::vector<std::string> row{cell(score, "metric"), with_interval(score)};
    for (const auto& [name, scores] : baselines)
      row.push_back(baseline_value(platform::as_array(scores, "baseline"), row[0]));
    table.add(std::move(row));
  }
  table.print("No scores.");
}

/// One line on a terminal that is written over.
class MovingLine {
 public:
  MovingLine() : terminal_(::isatty(STDERR_FILENO) != 0) {}
  ~MovingLine() { clear(); }
  void show(const std::string& text) {
    if (!terminal_) return;
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
    drawn_ = true;
  }
  void clear() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
  }

 private:
  bool terminal_;
  bool drawn_ = false;
};

// States as they change, one a line; the running step's progress below them.
class Follower {
 public:
  explicit Follower(bool quiet) : quiet_(quiet) {}
  void show(const json::object& run) {
    std::string moving;
    for (const json::value& each : steps_of(run)) {
      const json::object& step = each.as_object();
      const std::string name = cell(step, "name"), state = cell(step, "state");
      if (state == "running") moving = name + ": " + progress_of(step.at("progress"));
      if (seen_[name] == state) continue;
      const bool first = seen_[name].empty();
      seen_[name] = state;
      if (quiet_ || (first && (state == "pending" || state == "ready"))) continue;
      line_.clear();
      const std::string error = cell(step, "error"), time = lasted(step);
      std::printf("%s  %s%s%s\n", name.c_str(), state.c_str(),
                  state == "succeeded" && !time.empty() ? ("  " + time).c_str() : "",
                  error.empty() ? "" : (": " + error).c_str());
    }
    std::fflush(stdout);
    if (!quiet_ && !moving.empty()) line_.show(moving);
  }
  /// Workers that were lost: a step that another one takes at once shows no change of its state.
  void show_losses(const json::array& events) {
    for (const json::value& each : events) {
      const json::object& event = each.as_object();
      last_event_ = cell(event, "id");
      const std::string loss = loss_of(event);
      if (quiet_ || loss.empty()) continue;
      line_.clear();
      std::printf("%s  %s\n", cell(event, "step").c_str(), loss.c_str());
    }
  }
  const std::string& last_event() const { return last_event_; }

 private:
  bool quiet_;
  std::string last_event_ = "0";
  std::map<std::string, std::string> seen_;
  MovingLine line_;
};

bool waits_for_a_person(const json::object& run) {
  bool waits = false;
  for (const json::value& step : steps_of(run)) {
    const std::string state = cell(step.as_object(), "state");
    if (state == "running" || state == "ready" || state == "waiting") return false;
    waits = waits || state == "waiting_approval";
  }
  return waits;
}

}  // namespace

std::string progress_of(const json::value& progress) {
  if (!progress.is_object()) return "working";
  const json::object& said = progress.get_object();
  if (platform::find(said, "step") == nullptr) return cell(progress);
  std::string text = "step " + cell(said, "step") + "/" + cell(said, "total_steps") + "  loss " +
                     short_number(platform::number_or(said, "loss", 0, "progress"));
  text += "  " +
          with_separators(static_cast<std::int64_t>(platform::number_or(said, "tokens_per_second", 0, "progress"))) +
          " tokens/s";
  return text + "  ETA " +
         length_of_time(
             std::chrono::seconds(static_cast<std::int64_t>(platform::number_or(said, "seconds_left", 0, "progress"))));
}

std::string loss_of(const json::object& event) {
  if (cell(event, "what") != "lease_expired") return {};
  const std::string worker = cell(platform::as_object(platform::require(event, "data", "event"), "data"), "worker");
  return "worker " + worker + " was lost; the step is ready for another one";
}

std::string waits_for(const json::object& run) {
  const json::value* waiting = platform::find(run, "waiting_for");
  if (waiting == nullptr) return {};
  std::string text;
  for (const json::value& each : platform::as_array(*waiting, "waiting_for")) {
    const json::object& step = platform::as_object(each, "waiting_for");
    const std::string uses = cell(step, "uses");
    text += (text.empty() ? "" : ", ") + (uses == "deploy.rollout" ? "rollout" : uses) + " of " + cell(step, "step");
    const json::value* details = platform::find(step, "details");
    const std::string role = details != nullptr && details->is_object() ? cell(details->get_object(), "role") : "";
    if (!role.empty()) text += " (" + role + ")";
  }
  return text;
}

void print_run(const json::object& run) {
  Details details;
  details.add("run", cell(run, "id"))
      .add("workflow", cell(run, "workflow"))
      .add("state", cell(run, "state"))
      .add("waits for", waits_for(run))
      .add("error", cell(run, "error"))
      .add("inputs", cell(run, "inputs"));
  details.add("started", short_time(cell(run, "created_at")) + " UTC by " + cell(run, "started_by"))
      .add("finished", short_time(cell(run, "finished_at")));
  details.print();
  std::puts("");
  Table table({"STEP", "USES", "STATE", "TRY", "TIME", "WORKER", "ERROR"});
  table.states(2).right(3);
  for (const json::value& each : steps_of(run)) {
    const json::object& step = each.as_object();
    table.add({cell(step, "name"), cell(step, "uses"), cell(step, "state"), cell(step, "attempt"), lasted(step),
               cell(step, "worker"), cell(step, "error")});
  }
  table.print("The run has no steps.");
}

void print_scores(const json::object& run) {
  for (const json::value& each : steps_of(run)) {
    const json::object& step = each.as_object();
    const json::object* evaluation = evaluation_of(step);
    if (evaluation == nullptr) continue;
    std::printf("\n%s of %s examples of the %s split\n", cell(step, "name").c_str(),
                cell(step.at("outputs").as_object(), "examples").c_str(),
                cell(step.at("outputs").as_object(), "split").c_str());
    print_evaluation(*evaluation);
  }
}

json::object follow_run(ServerConnection& server, const std::string& id) {
  Follower follower(server.json_wanted());
  auto last_answer = std::chrono::steady_clock::now();
  while (true) {
    try {
      json::object run = server.get("/runs/" + segment(id));
      const json::object journal = server.get("/runs/" + segment(id) + "/events?after=" + follower.last_event());
      last_answer = std::chrono::steady_clock::now();
      follower.show_losses(platform::as_array(platform::require(journal, "items", ""), "items"));
      follower.show(run);
      const std::string state = cell(run, "state");
      if ((state != "running" && state != "cancelling") || waits_for_a_person(run)) return run;
    } catch (const platform::Error& error) {
      if (error.code() != platform::ErrorCode::kUnavailable ||
          std::chrono::steady_clock::now() - last_answer > kServerAway)
        throw;
    }
    std::this_thread::sleep_for(kLook);
  }
}

int exit_code_of(const json::object& run) {
  const std::string state = cell(run, "state");
  return state == "succeeded" || (state == "running" && waits_for_a_person(run)) ? 0 : 1;
}

}  // namespace web
