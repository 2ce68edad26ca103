#include "platform/store/run_store.h"

#include "platform/store/transaction.h"

namespace platform {
namespace {

// Times leave the database as RFC 3339 text, so that the session's time zone does not matter.
#define ANNEAL_TIME(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

std::string text(const pqxx::field& field) { return field.is_null() ? std::string() : std::string(field.c_str()); }
json::value document(const pqxx::field& field) {
  return field.is_null() ? json::value(nullptr) : parse_json(field.c_str(), field.name());
}
json::object object(const pqxx::field& field) { return document(field).as_object(); }
std::optional<Time> time(const pqxx::field& field) {
  return field.is_null() ? std::nullopt : std::optional<Time>(parse_time(field.c_str()));
}
std::string line(const json::value& value) { return canonical_json(value); }

json::object definition_json(const StepDefinition& step) {
  return {{"with", step.with},         {"needs", to_json(step.needs)},    {"if", step.condition},
          {"attempts", step.attempts}, {"backoff", step.backoff.count()}, {"timeout", step.timeout.count()}};
}

StepDefinition definition_from(const pqxx::row& row) {
  const json::object from = object(row["definition"]);
  StepDefinition step;
  step.name = text(row["name"]);
  step.kind = text(row["kind"]);
  step.with = from.at("with").as_object();
  step.needs = strings_from(from.at("needs"), "needs");
  step.condition = string_or(from, "if", "", "step");
  step.attempts = int_or(from, "attempts", 1, "step");
  step.backoff = std::chrono::seconds(int_or(from, "backoff", 0, "step"));
  step.timeout = std::chrono::seconds(int_or(from, "timeout", 0, "step"));
  return step;
}

RunStep step_from(const pqxx::row& row) {
  RunStep step;
  step.definition = definition_from(row);
  step.state = step_state_from(text(row["state"]));
  step.attempt = row["attempt"].as<std::int64_t>();
  step.fence = row["fence"].as<std::int64_t>();
  step.lost = row["lost"].as<std::int64_t>();
  step.worker = text(row["worker"]);
  step.waits = row["waits"].as<bool>();
  step.outputs = object(row["outputs"]);
  step.progress = document(row["progress"]);
  step.error = text(row["error"]);
  step.started_at = time(row["started"]);
  step.finished_at = time(row["finished"]);
  step.tried_for = std::chrono::milliseconds(row["tried_ms"].as<std::int64_t>());
  return step;
}

constexpr const char* kRunColumns =
    "id, project_id, workflow, workflow_hash, inputs, state, error, started_by, " ANNEAL_TIME(
        "created_at") " AS created, " ANNEAL_TIME("finished_at") " AS finished ";

Run run_from(const pqxx::row& row) {
  Run run;
  run.id = RunId(text(row["id"]));
  run.project = text(row["project_id"]);
  run.workflow = text(row["workflow"]);
  run.workflow_hash = text(row["workflow_hash"]);
  run.inputs = object(row["inputs"]);
  run.state = run_state_from(text(row["state"]));
  run.error = text(row["error"]);
  run.started_by = text(row["started_by"]);
  run.created_at = time(row["created"]).value_or(Time{});
  run.finished_at = time(row["finished"]);
  return run;
}

constexpr const char* kStepColumns =
    "name, kind, definition, state, attempt, fence, lost, worker, waits, outputs, progress, error, " ANNEAL_TIME(
        "started_at") " AS started, " ANNEAL_TIME("finished_at") " AS finished, coalesce((extract(epoch FROM "
                                                                 "clock_timestamp() - tried_at) * 1000)::bigint, 0) "
                                                                 "AS tried_ms ";

std::optional<Run> load(pqxx::work& work, const std::string& id, bool lock) {
  const auto rows = work.exec_params(
      std::string("SELECT ") + kRunColumns + "FROM runs WHERE id = $1" + (lock ? " FOR UPDATE" : ""), id);
  if (rows.empty()) return std::nullopt;
  Run run = run_from(rows[0]);
  for (const auto& row :
       work.exec_params(std::string("SELECT ") + kStepColumns + "FROM run_steps WHERE run_id = $1 ORDER BY place", id))
    run.steps.push_back(step_from(row));
  return run;
}

// Gives each run those of its steps for which is_waiting() holds.
void add_waiting_steps(pqxx::work& work, std::vector<Run>& runs) {
  json::array ids;
  for (const Run& run : runs) ids.emplace_back(run.id.str());
  for (const auto& row : work.exec_params(
           std::string("SELECT run_id, ") + kStepColumns +
               "FROM run_steps WHERE run_id IN (SELECT jsonb_array_elements_text($1::jsonb)::uuid) AND (state = "
               "'waiting_approval' OR (waits AND state IN ('ready', 'running'))) ORDER BY run_id, place",
           line(ids))) {
    const std::string id = text(row["run_id"]);
    for (Run& run : runs)
      if (run.id.str() == id) run.steps.push_back(step_from(row));
  }
}

void write_events(pqxx::work& work, const RunId& id, const std::vector<NewEvent>& events) {
  for (const NewEvent& event : events) {
    work.exec_params("INSERT INTO run_events (run_id, step, what, data) VALUES ($1, $2, $3, $4)", id.str(), event.step,
                     event.what, line(event.data));
  }
}

bool same(const RunStep& a, const RunStep& b) {
  return a.state == b.state && a.attempt == b.attempt && a.fence == b.fence && a.lost == b.lost && a.waits == b.waits &&
         a.worker == b.worker && a.outputs == b.outputs && a.error == b.error && !b.lease_for && !b.wait_for && !b.anew;
}

void write_step(pqxx::work& work, const RunId& id, const RunStep& step) {
  const std::int64_t lease_ms = step.lease_for ? step.lease_for->count() : -1;
  const std::int64_t wait_ms = step.wait_for ? step.wait_for->count() : 0;
  work.exec_params(
      "UPDATE run_steps SET state = $3, attempt = $4, fence = $5, worker = $6, outputs = $7, error = $8,"
      " lease_expires = CASE WHEN $3 <> 'running' THEN NULL WHEN $9::bigint >= 0 THEN clock_timestamp() + $9::bigint * "
      "interval '1 millisecond' ELSE lease_expires END,"
      " not_before = CASE WHEN $3 = 'ready' THEN clock_timestamp() + $10::bigint * interval '1 millisecond' ELSE "
      "not_before END,"
      " started_at = CASE WHEN $13 THEN NULL WHEN $3 = 'running' THEN coalesce(started_at, clock_timestamp()) ELSE "
      "started_at END,"
      " finished_at = CASE WHEN $11 THEN clock_timestamp() ELSE NULL END, progress = CASE WHEN $13 THEN NULL ELSE "
      "progress END,"
      " tried_at = CASE WHEN attempt <> $4 THEN clock_timestamp() ELSE tried_at END,"
      " lost = $12, furthest = CASE WHEN $13 THEN -1 ELSE furthest END, waits = $14"
      " WHERE run_id = $1 AND name = $2",
      id.str(), step.definition.name, std::string(to_string(step.state)), step.attempt, step.fence, step.worker,
      line(step.outputs), step.error, lease_ms, wait_ms, is_final(step.state), step.lost, step.anew, step.waits);
}

void write(pqxx::work& work, const Run& before, const Run& after, const std::vector<NewEvent>& events) {
  for (std::size_t i = 0; i < after.steps.size(); ++i) {
    if (!same(before.steps[i], after.steps[i])) write_step(work, after.id, after.steps[i]);
  }
  if (before.state != after.state || before.error != after.error) {
    work.exec_params(
        "UPDATE runs SET state = $2, error = $3, finished_at = CASE WHEN $4 THEN clock_timestamp() ELSE NULL END WHERE "
        "id = $1",
        after.id.str(), std::string(to_string(after.state)), after.error, is_final(after.state));
  }
  write_events(work, after.id, events);
}

SavedWorkflow workflow_from(const pqxx::row& row) {
  return {text(row["project_id"]), text(row["name"]),     text(row["content_hash"]),
          text(row["text"]),       text(row["saved_by"]), time(row["saved"]).value_or(Time{})};
}

// Ids that people type must not reach the database as broken UUIDs.
bool known_shape(const RunId& id) { return is_uuid(id.str()); }

}  // namespace

void RunStore::save_workflow(const SavedWorkflow& workflow) {
  transact(database_, [&](pqxx::work& work) {
    work.exec_params(
        "INSERT INTO workflows (project_id, name, content_hash, text, saved_by) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (project_id, name, content_hash) DO UPDATE SET saved_at = clock_timestamp(), saved_by = "
        "excluded.saved_by, removed_at = NULL",
        workflow.project, workflow.name, workflow.content_hash, workflow.text, workflow.saved_by);
  });
}

std::optional<SavedWorkflow> RunStore::find_workflow(const std::string& project, const std::string& name,
                                                     const std::string& content_hash) {
  std::optional<SavedWorkflow> found;
  transact(database_, [&](pqxx::work& work) {
    const auto rows = work.exec_params("SELECT *, " ANNEAL_TIME("saved_at") " AS saved FROM workflows WHERE project_id = $1 AND name = $2 AND (($3 = '' AND removed_at IS NULL) OR content_hash = $3)"
                                       " ORDER BY saved_at DESC LIMIT 1", project, name, content_hash);
    if (!rows.empty()) found = workflow_from(rows[0]);
  });
  return found;
}

std::vector<SavedWorkflow> RunStore::workflows(const std::string& project) {
  std::vector<SavedWorkflow> all;
  transact(database_, [&](pqxx::work& work) {
    for (const auto& row : work.exec_params("SELECT DISTINCT ON (name) *, " ANNEAL_TIME(
                                                "saved_at") " AS saved FROM workflows WHERE project_id = $1 AND "
                                                            "removed_at IS NULL ORDER BY name, saved_at DESC",
                                            project)) {
      all.push_back(workflow_from(row));
    }
  });
  return all;
}

bool RunStore::remove_workflow(const std::string& project, const std::string& name) {
  return transact(database_, [&](pqxx::work& work) {
    return work.exec_params(
                   "UPDATE workflows SET removed_at = clock_timestamp() WHERE project_id = $1 AND name = $2 AND "
                   "removed_at IS NULL",
                   project, name)
               .affected_rows() > 0;
  });
}

void RunStore::create(const Run& run, const std::vector<NewEvent>& events) {
  transact(database_, [&](pqxx::work& work) {
    work.exec_params(
        "INSERT INTO runs (id, project_id, workflow, workflow_hash, inputs, state, started_by) VALUES ($1, $2, $3, $4, "
        "$5, $6, $7)",
        run.id.str(), run.project, run.workflow, run.workflow_hash, line(run.inputs), std::string(to_string(run.state)),
        run.started_by);
    for (std::size_t i = 0; i < run.steps.size(); ++i) {
      const RunStep& step = run.steps[i];
      work.exec_params(
          "INSERT INTO run_steps (run_id, name, place, kind, definition, state) VALUES ($1, $2, $3, $4, $5, $6)",
          run.id.str(), step.definition.name, static_cast<int>(i), step.definition.kind,
          line(definition_json(step.definition)), std::string(to_string(step.state)));
    }
    write_events(work, run.id, events);
  });
}

std::optional<Run> RunStore::find(const RunId& id) {
  std::optional<Run> run;
  if (known_shape(id)) transact(database_, [&](pqxx::work& work) { run = load(work, id.str(), false); });
  return run;
}

std::vector<Run> RunStore::list(const std::string& project, const std::string& before, std::int64_t limit) {
  std::vector<Run> runs;
  if (!before.empty() && !is_uuid(before))
    throw Error(ErrorCode::kInvalidInput, "the cursor is no run id: " + before, "before");
  transact(database_, [&](pqxx::work& work) {
    const std::string sql =
        std::string("SELECT ") + kRunColumns +
        "FROM runs WHERE project_id = $1 AND ($2 = '' OR id < nullif($2, '')::uuid) ORDER BY id DESC LIMIT $3";
    for (const auto& row : work.exec_params(sql, project, before, limit)) runs.push_back(run_from(row));
    add_waiting_steps(work, runs);
  });
  return runs;
}

Run RunStore::change(const RunId& id, const RunChange& change) {
  Run result;
  if (!known_shape(id)) throw Error(ErrorCode::kNotFound, "there is no run " + id.str());
  transact(database_, [&](pqxx::work& work) {
    const std::optional<Run> before = load(work, id.str(), true);
    if (!before) throw Error(ErrorCode::kNotFound, "there is no run " + id.str());
    result = *before;
    write(work, *before, result, change(result));
  });
  return result;
}

std::optional<std::pair<Run, std::string>> RunStore::change_next(const std::vector<std::string>& kinds,
                                                                 const NextStepChange& change) {
  std::optional<std::pair<Run, std::string>> result;
  transact(database_, [&](pqxx::work& work) {
    // Both rows are locked or passed over, so that nobody waits for anybody here. The oldest run comes first (ids rise
    // with time): what has begun is finished before something new begins.
    const auto rows = work.exec_params(
        "SELECT s.run_id, s.name FROM run_steps s JOIN runs r ON r.id = s.run_id"
        " WHERE s.kind IN (SELECT jsonb_array_elements_text($1::jsonb)) AND r.state IN ('running', 'cancelling')"
        " AND ((s.state = 'ready' AND s.not_before <= clock_timestamp()) OR (s.state = 'running' AND s.lease_expires < "
        "clock_timestamp()))"
        " ORDER BY s.run_id, s.place LIMIT 1 FOR UPDATE SKIP LOCKED",
        line(to_json(kinds)));
    if (rows.empty()) return;
    const std::string name = text(rows[0]["name"]);
    const Run before = load(work, text(rows[0]["run_id"]), true).value();
    Run after = before;
    const std::vector<NewEvent> events = change(after, name);
    write(work, before, after, events);
    result.emplace(std::move(after), name);
  });
  return result;
}

std::optional<RunState> RunStore::heartbeat(const RunId& id, const std::string& step, std::int64_t fence,
                                            std::chrono::milliseconds lease, const json::value& progress,
                                            std::int64_t position) {
  std::optional<RunState> state;
  transact(database_, [&](pqxx::work& work) {
    const auto rows = work.exec_params(
        "UPDATE run_steps s SET lease_expires = clock_timestamp() + $4::bigint * interval '1 millisecond', progress = "
        "coalesce(nullif($5, 'null')::jsonb, progress), lost = CASE WHEN $6 > furthest THEN 0 ELSE lost END, furthest "
        "= "
        "greatest(furthest, $6)"
        " FROM runs r WHERE s.run_id = $1 AND s.name = $2 AND s.fence = $3 AND s.state = 'running' AND r.id = s.run_id "
        "RETURNING r.state",
        id.str(), step, fence, static_cast<std::int64_t>(lease.count()), line(progress), position);
    if (!rows.empty()) state = run_state_from(text(rows[0][0]));
  });
  return state;
}

void RunStore::add_metrics(const RunId& id, const std::vector<RunMetric>& metrics) {
  transact(database_, [&](pqxx::work& work) {
    for (const RunMetric& metric : metrics) {
      work.exec_params(
          "INSERT INTO run_metrics (run_id, step, name, position, value) VALUES ($1, $2, $3, $4, $5)"
          " ON CONFLICT (run_id, step, name, position) DO UPDATE SET value = excluded.value",
          id.str(), metric.step, metric.name, metric.position, metric.value);
    }
  });
}

std::vector<RunMetric> RunStore::metrics(const RunId& id, const std::string& step) {
  std::vector<RunMetric> all;
  if (!known_shape(id)) return all;
  transact(database_, [&](pqxx::work& work) {
    for (const auto& row : work.exec_params("SELECT step, name, position, value FROM run_metrics WHERE run_id = $1 AND "
                                            "($2 = '' OR step = $2) ORDER BY step, name, position",
                                            id.str(), step)) {
      all.push_back({text(row[0]), text(row[1]), row[2].as<std::int64_t>(), row[3].as<double>()});
    }
  });
  return all;
}

void RunStore::add_log(const RunId& id, const std::string& step, std::int64_t attempt,
                       const std::vector<std::string>& lines) {
  transact(database_, [&](pqxx::work& work) {
    for (const std::string& each : lines)
      work.exec_params("INSERT INTO run_log (run_id, step, attempt, line) VALUES ($1, $2, $3, $4)", id.str(), step,
                       attempt, each);
  });
}

std::vector<StepLogLine> RunStore::log(const RunId& id, const std::string& step, std::int64_t after,
                                       std::int64_t limit) {
  std::vector<StepLogLine> lines;
  if (!known_shape(id)) return lines;
  transact(database_, [&](pqxx::work& work) {
    for (const auto& row :
         work.exec_params("SELECT * FROM (SELECT id, step, attempt, line, " ANNEAL_TIME(
                              "at") " AS at FROM run_log WHERE run_id = $1 AND ($2 = '' OR step = $2) AND id > $3"
                                    " ORDER BY id DESC LIMIT $4) tail ORDER BY id",
                          id.str(), step, after, limit)) {
      lines.push_back(
          {row[0].as<std::int64_t>(), text(row[1]), row[2].as<std::int64_t>(), text(row[3]), time(row[4]).value()});
    }
  });
  return lines;
}

std::vector<RunEvent> RunStore::events(const RunId& id, std::int64_t after, std::int64_t limit) {
  std::vector<RunEvent> events;
  if (!known_shape(id)) return events;
  transact(database_, [&](pqxx::work& work) {
    for (const auto& row :
         work.exec_params("SELECT id, step, what, data, " ANNEAL_TIME(
                              "at") " AS at FROM run_events WHERE run_id = $1 AND id > $2 ORDER BY id LIMIT $3",
                          id.str(), after, limit)) {
      events.push_back(
          {row[0].as<std::int64_t>(), id, text(row[1]), text(row[2]), object(row[3]), time(row[4]).value()});
    }
  });
  return events;
}

}  // namespace platform
