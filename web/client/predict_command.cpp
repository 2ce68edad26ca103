// `anneal predict`: asks the agent on a plant machine about the rows of a file, as a line's own system would.
#include <algorithm>
#include <cstdio>

#include "connectors/record_parser.h"
#include "platform/base/command_line.h"
#include "platform/base/did_you_mean.h"
#include "platform/base/file.h"
#include "platform/http/client.h"
#include "web/client/commands.h"
#include "web/client/portions.h"
#include "web/client/table.h"

namespace web {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

namespace {

constexpr std::size_t kShownErrors = 20;

// The first rows of a file. They keep the places that they have there, whatever becomes of those between them.
struct AskedRows {
  json::array records;
  std::vector<connectors::RecordPosition> positions;  // of the records
  std::vector<connectors::RecordError> unreadable;
};

AskedRows rows_of(const std::string& file, std::int64_t limit) {
  auto parsed = connectors::parse_records(platform::read_file(file), content_type_of_name(file),
                                          connectors::InputFormat{}, platform::Profile{}, "predict");
  AskedRows rows;
  for (std::size_t i = 0; i < parsed.records.size() && parsed.positions[i].row <= limit; ++i) {
    rows.records.push_back(std::move(parsed.records[i].fields));
    rows.positions.push_back(parsed.positions[i]);
  }
  for (connectors::RecordError& error : parsed.errors)
    if (error.row >= 1 && error.row <= limit) rows.unreadable.push_back(std::move(error));
  return rows;
}

// As `anneal ingest` names them, on standard error: what is asked for goes to standard output.
void tell(const std::string& file, const std::vector<connectors::RecordError>& errors) {
  for (std::size_t i = 0; i < std::min(kShownErrors, errors.size()); ++i)
    std::fprintf(stderr, "%s:%lld: %s%s\n", file.c_str(), static_cast<long long>(errors[i].line),
                 errors[i].path.empty() ? "" : (errors[i].path + ": ").c_str(), errors[i].message.c_str());
  if (errors.size() > kShownErrors)
    std::fprintf(stderr, "... and %zu more; --json lists them all\n", errors.size() - kShownErrors);
}

// " (0.1: 15.2, 0.5: 17.8, 0.9: 20.1)"; empty where no quantiles were trained.
std::string quantiles_of(const json::object& prediction) {
  const json::value* quantiles = platform::find(prediction, "quantiles");
  if (quantiles == nullptr) return {};
  std::string list;
  for (const json::value& each : platform::as_array(*quantiles, "quantiles")) {
    const json::object& one = platform::as_object(each, "quantiles");
    list += (list.empty() ? "" : ", ") + cell(one, "quantile") + ": " + cell(one, "value");
  }
  return " (" + list + ")";
}

// Of several labels, and of a forecast's steps, all: "hot, worn", "17.8, 18.1".
std::string answer_of(const json::object& prediction) {
  for (const char* key : {"label", "text", "values"}) {
    if (platform::find(prediction, key) != nullptr) return cell(prediction, key);
  }
  if (platform::find(prediction, "value") != nullptr) return cell(prediction, "value") + quantiles_of(prediction);
  if (platform::find(prediction, "labels") == nullptr) return "-";
  const std::string labels = cell(prediction, "labels");
  return labels.empty() ? "(no label)" : labels;
}

// Of several labels one each, in their order.
std::string certainty_of(const json::object& prediction) {
  const json::value* probabilities = platform::find(prediction, "probabilities");
  const json::value* labels = platform::find(prediction, "labels");
  if (probabilities == nullptr) return "-";
  std::string text;
  for (const json::value& label : labels != nullptr ? platform::as_array(*labels, "labels")
                                                    : json::array{json::string(cell(prediction, "label"))}) {
    const json::value* likely = platform::find(probabilities->as_object(), cell(label));
    if (likely != nullptr) text += (text.empty() ? "" : ", ") + short_number(likely->to_number<double>());
  }
  return text.empty() ? "-" : text;
}

// "missing torque; sped is unknown (speed?)", the first three. A table has columns of its own: those that the model
// does not know are told where a record lacks something that one of them may have been meant for.
std::string problems_of(const json::object& prediction) {
  const json::value* problems = platform::find(prediction, "problems");
  std::string text = platform::find(prediction, "error") == nullptr ? "" : "not answered";
  if (problems == nullptr) return text;
  const json::array& list = platform::as_array(*problems, "problems");
  const bool lacks = std::any_of(list.begin(), list.end(), [](const json::value& one) {
    return cell(platform::as_object(one, "problems"), "code") == "missing";
  });
  std::size_t told = 0;
  for (const json::value& each : list) {
    const json::object& one = platform::as_object(each, "problems");
    const std::string code = cell(one, "code"), field = cell(one, "field"), near = cell(one, "did_you_mean");
    if ((code == "unknown_field" && !lacks) || ++told > 3) continue;
    text += text.empty() ? "" : "; ";
    if (code == "unknown_field")
      text += field + " is unknown" + (near.empty() ? "" : " (" + near + "?)");
    else
      text += code + " " + field + (cell(one, "value").empty() ? "" : " = " + cell(one, "value"));
  }
  return text + (told > 3 ? "; " + std::to_string(told - 3) + " more" : "");
}

// A misspelt column would only show empty cells.
void refuse_unknown_column(const json::array& rows, const std::string& shown) {
  std::vector<std::string> columns;
  for (const json::value& row : rows) {
    if (row.as_object().contains(shown)) return;
    for (const auto& field : row.as_object())
      if (std::find(columns.begin(), columns.end(), field.key()) == columns.end()) columns.emplace_back(field.key());
  }
  std::string list;
  for (const std::string& column : columns) list += (list.empty() ? "" : ", ") + column;
  throw Error(ErrorCode::kInvalidInput,
              "no column '" + shown + "'" + platform::did_you_mean(shown, columns) + "; the file has " + list,
              "--show");
}

const json::array& predictions_of(const json::object& answer) {
  return platform::as_array(platform::require(answer, "predictions", "answer"), "predictions");
}

// What the agent did not answer.
std::vector<connectors::RecordError> refused_rows(const AskedRows& rows, const json::object& answer) {
  std::vector<connectors::RecordError> refused;
  const json::array& predictions = predictions_of(answer);
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const json::object& prediction = predictions[i].as_object();
    if (platform::find(prediction, "error") == nullptr) continue;
    const connectors::RecordPosition at = rows.positions.at(i);
    refused.push_back({at.line, "", "not_answered", cell(prediction, "error"), at.row});
  }
  return refused;
}

// The agent's answer with the places of the rows in the file, and those that never reached it.
json::object placed(json::object answer, const AskedRows& rows) {
  json::array& predictions = answer.at("predictions").as_array();
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    predictions[i].as_object()["row"] = rows.positions.at(i).row;
    predictions[i].as_object()["line"] = rows.positions.at(i).line;
  }
  json::array unreadable;
  for (const connectors::RecordError& error : rows.unreadable) unreadable.push_back(connectors::to_json(error));
  answer["unreadable"] = std::move(unreadable);
  return answer;
}

void print_answers(const AskedRows& rows, const json::object& answer, const std::string& shown) {
  std::vector<std::string> columns{"ROW", "LINE", "ANSWER", "PROBABILITY"};
  if (!shown.empty()) columns.push_back("REALLY");
  const json::array& predictions = predictions_of(answer);
  const bool troubled = std::any_of(predictions.begin(), predictions.end(), [](const json::value& prediction) {
    return !problems_of(prediction.as_object()).empty();
  });
  if (troubled) columns.push_back("PROBLEMS");
  Table table(columns);
  table.right(0).right(1).right(3);
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const json::object& prediction = predictions[i].as_object();
    const connectors::RecordPosition at = rows.positions.at(i);
    std::vector<std::string> line{std::to_string(at.row), std::to_string(at.line), answer_of(prediction),
                                  certainty_of(prediction)};
    if (!shown.empty()) line.push_back(cell(rows.records.at(i).as_object(), shown));
    if (troubled) line.push_back(problems_of(prediction));
    table.add(std::move(line));
  }
  table.print("No answer.");
  std::printf("by %s version %s, adapter %s\n", cell(answer, "model").c_str(), cell(answer, "model_version").c_str(),
              cell(answer, "adapter_digest").c_str());
}

int ask(const platform::CommandLine& line, std::int64_t limit) {
  const std::string file = line.text("FILE");
  const AskedRows rows = rows_of(file, limit);
  tell(file, rows.unreadable);
  if (rows.records.empty()) throw Error(ErrorCode::kInvalidInput, "no record can be read from " + file);
  if (line.has("show")) refuse_unknown_column(rows.records, line.text("show"));
  platform::HttpClient agent(line.text("agent"));
  const json::value said =
      agent.post("/v1/predict", json::serialize(json::object{{"records", rows.records}})).checked().json();
  const json::object& answer = platform::as_object(said, "answer");
  const std::vector<connectors::RecordError> refused = refused_rows(rows, answer);
  if (line.has("json"))
    print_json(placed(answer, rows));
  else
    print_answers(rows, answer, line.text("show"));
  tell(file, refused);
  return rows.unreadable.empty() && refused.empty() ? 0 : 2;
}

}  // namespace

int predict_command(const std::vector<std::string>& arguments) {
  platform::CommandLine line("anneal predict",
                             "Asks an agent about the rows of a file and prints its answers. A row that cannot be "
                             "read or answered is named on standard error; the exit code is then 2.",
                             {"anneal predict parts.csv --agent http://127.0.0.1:8471",
                              "anneal predict parts.csv --agent http://edge-03:8471 --rows 20 --show failed"});
  line.argument("FILE", "CSV, JSON lines or a JSON array");
  line.option("agent", "URL", "address of the agent", {.fallback = "http://127.0.0.1:8471"});
  line.option("rows", "N", "the first so many rows of the file, at most 4096", {.fallback = "10"});
  line.option("show", "COLUMN", "print this column of the file beside the answer, under REALLY");
  line.flag("json", "print the agent's answer as JSON");
  if (!line.read(arguments)) return 0;
  const std::int64_t limit = line.integer("rows");
  if (limit < 1 || limit > 4096)
    throw Error(ErrorCode::kInvalidInput, "--rows lies between 1 and 4096, not " + line.text("rows"), "--rows");
  return ask(line, limit);
}

}  // namespace web
