// `anneal predict`: asks the agent on a plant machine about the rows of a file, as a line's own system would.
#include <algorithm>
#include <cstdio>

#include "connectors/record_parser.h"
#include "platform/base/command_line.h"
#include "platform/base/did_you_mean.h"
#include "platform/base/file.h"
#include "platform/http/client.h"
#include "web/client/commands.h"
#include "web/client/table.h"

namespace web {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

namespace {

json::array rows_of(const std::string& file, std::size_t limit) {
  const connectors::InputFormat input;
  const std::string body = platform::read_file(file);
  const auto parsed =
      connectors::parse_records(body, file.ends_with(".csv") ? "text/csv" : "", input, platform::Profile{}, "predict");
  if (parsed.records.empty())
    throw Error(ErrorCode::kInvalidInput, "no record can be read from " + file +
                                              (parsed.errors.empty() ? "" : ": " + parsed.errors.front().message));
  json::array rows;
  for (const platform::Observation& record : parsed.records) {
    if (rows.size() == limit) break;
    rows.push_back(record.fields);
  }
  return rows;
}

std::string answer_of(const json::object& prediction) {
  for (const char* key : {"label", "value", "text"}) {
    if (platform::find(prediction, key) != nullptr) return cell(prediction, key);
  }
  return "-";
}

std::string certainty_of(const json::object& prediction) {
  const json::value* probabilities = platform::find(prediction, "probabilities");
  const json::value* likely =
      probabilities == nullptr ? nullptr : platform::find(probabilities->as_object(), answer_of(prediction));
  return likely == nullptr ? "-" : short_number(likely->to_number<double>());
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

void print_answers(const json::array& rows, const json::object& answer, const std::string& shown) {
  std::vector<std::string> columns{"ROW", "ANSWER", "PROBABILITY"};
  if (!shown.empty()) columns.push_back("REALLY");
  const json::array& predictions =
      platform::as_array(platform::require(answer, "predictions", "answer"), "predictions");
  const bool troubled = std::any_of(predictions.begin(), predictions.end(), [](const json::value& prediction) {
    return !problems_of(prediction.as_object()).empty();
  });
  if (troubled) columns.push_back("PROBLEMS");
  Table table(columns);
  table.right(0).right(2);
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const json::object& prediction = predictions[i].as_object();
    std::vector<std::string> line{std::to_string(i + 1), answer_of(prediction), certainty_of(prediction)};
    if (!shown.empty()) line.push_back(cell(rows.at(i).as_object(), shown));
    if (troubled) line.push_back(problems_of(prediction));
    table.add(std::move(line));
  }
  table.print("No answer.");
  std::printf("by %s version %s, adapter %s\n", cell(answer, "model").c_str(), cell(answer, "model_version").c_str(),
              cell(answer, "adapter_digest").c_str());
}

}  // namespace

int predict_command(const std::vector<std::string>& arguments) {
  platform::CommandLine line("anneal predict", "Asks an agent about the rows of a file and prints its answers.",
                             {"anneal predict parts.csv --agent http://127.0.0.1:8471",
                              "anneal predict parts.csv --agent http://edge-03:8471 --rows 20 --show failed"});
  line.argument("FILE", "CSV, JSON lines or a JSON array");
  line.option("agent", "URL", "address of the agent", {.fallback = "http://127.0.0.1:8471"});
  line.option("rows", "N", "the first so many rows, at most 4096", {.fallback = "10"});
  line.option("show", "COLUMN", "print this column of the file beside the answer, under REALLY");
  line.flag("json", "print the agent's answer as JSON");
  if (!line.read(arguments)) return 0;
  const std::int64_t limit = line.integer("rows");
  if (limit < 1 || limit > 4096)
    throw Error(ErrorCode::kInvalidInput, "--rows lies between 1 and 4096, not " + line.text("rows"), "--rows");
  const json::array rows = rows_of(line.text("FILE"), static_cast<std::size_t>(limit));
  if (line.has("show")) refuse_unknown_column(rows, line.text("show"));
  platform::HttpClient agent(line.text("agent"));
  const json::value answer =
      agent.post("/v1/predict", json::serialize(json::object{{"records", rows}})).checked().json();
  if (line.has("json"))
    print_json(answer);
  else
    print_answers(rows, platform::as_object(answer, "answer"), line.text("show"));
  return 0;
}

}  // namespace web
