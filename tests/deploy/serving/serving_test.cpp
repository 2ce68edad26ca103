#include "deploy/serving/serving.h"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "deploy/agent/agent.h"
#include "deploy/serving/asked_records.h"
#include "deploy/serving/routes.h"
#include "platform/base/error.h"
#include "platform/base/id.h"
#include "platform/http/client.h"
#include "platform/http/server.h"
#include "tests/deploy/support/serving_fixture.h"

namespace {

namespace json = platform::json;
using platform::Error;

class Serving : public tests::ServingFixture {};

TEST_F(Serving, SaysThatNoModelIsThereYet) {
  EXPECT_EQ(client_->post("/v1/predict", "{\"record\":{\"torque\":1}}").status, 503);
  EXPECT_EQ(client_->get("/readyz").status, 503);
  const auto health = client_->get("/healthz");
  EXPECT_EQ(health.status, 200);
  EXPECT_NE(health.body.find("no model is active"), std::string::npos) << health.body;
  serving_.say_why_none("courier bundle x refused: older");
  EXPECT_NE(client_->get("/readyz").body.find("courier bundle x refused"), std::string::npos);
  EXPECT_EQ(client_->get("/v1/models").json().as_object().at("data").as_array().size(), 0u);
}

TEST_F(Serving, TakesJsonOnly) {
  serve(1);
  for (const char* path : {"/v1/predict", "/v1/feedback", "/v1/chat/completions", "/v1/completions"})
    for (const char* type : {"text/plain", "application/x-www-form-urlencoded", ""})
      EXPECT_EQ(client_->post(path, "{\"torque\":1}", type).status, 415) << path << " " << type;
  EXPECT_EQ(client_->post("/v1/predict", "{\"torque\":1}", "application/json; charset=utf-8").status, 200);
}

TEST_F(Serving, ListsItsOwnRoutes) {
  const auto paths = client_->get("/openapi.json").json().as_object().at("paths").as_object();
  EXPECT_TRUE(paths.contains("/v1/predict"));
  EXPECT_FALSE(paths.contains("/api/v1/agents"));
}

TEST_F(Serving, NamesModelVersionAndAdapterWithEachAnswer) {
  serve(3);
  const auto hot = post("/v1/predict", json::object{{"record", json::object{{"torque", 25.5}}}});
  EXPECT_EQ(hot.at("label"), "hot");
  EXPECT_EQ(hot.at("model"), "bearing");
  EXPECT_EQ(hot.at("model_version"), "3");
  EXPECT_EQ(hot.at("adapter_digest"), json::string(serving_.model()->targets().adapter_digest));
  EXPECT_GT(hot.at("probabilities").as_object().at("hot").as_double(), 0.5);
  EXPECT_EQ(post("/v1/predict", json::object{{"torque", -25.5}}).at("label"), "cold");
  const auto batch =
      post("/v1/predict", json::parse(R"({"records":[{"torque":20},{"torque":-20},{"torque":"broken"}]})"));
  const auto& answers = batch.at("predictions").as_array();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].as_object().at("label"), "hot");
  EXPECT_EQ(answers[1].as_object().at("label"), "cold");
  EXPECT_FALSE(answers[2].as_object().contains("label")) << "a value that cannot be read is no value";
  EXPECT_EQ(answers[2].as_object().at("problems").as_array()[0].as_object().at("code"), "not_a_number");
}

TEST_F(Serving, AnswersWithSeveralLabelsWithTheStepsOfAForecastAndWithQuantiles) {
  serve(1, finetune::Task::kMultilabel);
  const auto marked = post("/v1/predict", json::object{{"torque", 30}});
  EXPECT_EQ(marked.at("labels"), (json::array{"above", "large"}));
  EXPECT_FALSE(marked.contains("label"));
  EXPECT_GT(marked.at("probabilities").as_object().at("large").as_double(), 0.5);
  EXPECT_EQ(post("/v1/predict", json::object{{"torque", -30}}).at("labels"), json::array());
  serve(2, finetune::Task::kForecast);
  const auto steps = post("/v1/predict", json::object{{"power", json::array{20, 21}}});
  ASSERT_EQ(steps.at("values").as_array().size(), 2u);
  EXPECT_NEAR(steps.at("values").as_array()[0].as_double(), 22, 1);
  EXPECT_FALSE(steps.contains("value"));
  serve(3, finetune::Task::kRegress);
  const auto value = post("/v1/predict", json::object{{"torque", 10}});
  const auto& quantiles = value.at("quantiles").as_array();
  ASSERT_EQ(quantiles.size(), 3u);
  EXPECT_EQ(quantiles[1].at("quantile"), 0.5);
  EXPECT_EQ(quantiles[1].at("value"), value.at("value"));
  EXPECT_LE(quantiles[0].at("value").as_double(), quantiles[2].at("value").as_double());
}

TEST_F(Serving, TakesTheTruthOfSeveralLabelsAndOfAForecast) {
  const auto told = [&](const json::object& asked, const char* truth, int status) {
    json::object body = json::parse(truth).as_object();
    body["id"] = post("/v1/predict", asked).at("id");
    const auto response = client_->post("/v1/feedback", json::serialize(body));
    EXPECT_EQ(response.status, status) << truth << response.body;
    return response.body;
  };
  serve(1, finetune::Task::kMultilabel);
  told({{"torque", 30}}, R"({"labels":["large","above"]})", 202);
  EXPECT_EQ(queued().back().body.as_object().at("outcome"), (json::array{"large", "above"}));
  told({{"torque", 30}}, R"({"labels":[]})", 202);
  EXPECT_NE(told({{"torque", 30}}, R"({"labels":["lagre"]})", 400).find("did you mean 'large'?"), std::string::npos);
  told({{"torque", 30}}, R"({"labels":["large","large"]})", 400);
  told({{"torque", 30}}, R"({"labels":"large"})", 400);
  EXPECT_NE(told({{"torque", 30}}, R"({"label":"large"})", 400).find("send what really happened as labels"),
            std::string::npos);
  serve(2, finetune::Task::kForecast);
  const json::object asked{{"power", json::array{20, 21}}};
  told(asked, R"({"values":[22,null]})", 202);
  told(asked, R"({"values":[22,23,24]})", 400);
  told(asked, R"({"values":[]})", 400);
  told(asked, R"({"values":[22,"23"]})", 400);
  told(asked, R"({"value":22})", 400);
}

TEST_F(Serving, RefusesARecordWithNoneOfTheModelsFields) {
  serve(1);
  for (const char* body :
       {"{}", R"({"recrod":1})", R"({"rows":[{"torque":1}]})", R"({"record":{}})", R"({"record":{"torqe":25.5}})",
        R"({"record":{"torque":null}})", R"({"records":[{"torqe":25.5}]})", R"({"record":{"torque":1},"recrods":[]})",
        R"({"record":{"torque":1},"records":[]})", R"({"record":[]})"})
    EXPECT_EQ(client_->post("/v1/predict", body).status, 400) << body;
  const std::string why = client_->post("/v1/predict", R"({"record":{"torqe":1}})").body;
  EXPECT_NE(why.find("did you mean 'torque'?"), std::string::npos) << why;
  EXPECT_NE(client_->post("/v1/predict", R"({"recrod":1})").body.find("did you mean 'record'?"), std::string::npos);
  EXPECT_TRUE(queued().empty());
}

TEST_F(Serving, RefusesARecordWithoutAUsableValueAlikeWhateverMakesItUnusable) {
  serve(1);
  for (const char* value : {"\"n/a\"", "\"\"", "\"?\"", "null", "[]"}) {
    const auto refused = client_->post("/v1/predict", "{\"record\":{\"torque\":" + std::string(value) + "}}");
    EXPECT_EQ(refused.status, 400) << value << refused.body;
    const json::value told = refused.json();
    EXPECT_EQ(told.at("code"), "invalid_input") << value;
    EXPECT_NE(refused.body.find("all values are missing or unreadable: torque; send a value"), std::string::npos)
        << value << refused.body;
    EXPECT_EQ(refused.body.find("did you mean"), std::string::npos) << value << refused.body;
  }
  EXPECT_TRUE(queued().empty());
}

TEST(AskedRecords, AreUsableWithOneValueThatCanBeReadAndRefusedWithNone) {
  const auto profile = platform::profile_from_yaml(
      "name: press\nfields:\n  temp: number\n  torque: number\n  line: {kind: category, values: [A, B]}\n"
      "target: {field: state, task: classify, labels: [a, b]}\n",
      "press.yaml");
  const auto refusal = [&](const char* text) -> std::string {
    const json::value record = json::parse(text);
    std::vector<platform::FieldProblem> problems;
    try {
      deploy::judge_record(profile, record, "record", problems);
      const platform::Example example = platform::render_request(profile, record, &problems);
      deploy::require_a_usable_value(profile, example, problems, "record");
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  const std::string none = "all values are missing or unreadable: temp, torque, line";
  for (const char* text : {R"({"temp":"n/a","torque":"","line":"?"})", R"({"temp":null,"torque":null,"line":null})",
                           R"({"temp":"n/a","line":"C"})", R"({"line":"C"})"})
    EXPECT_TRUE(refusal(text).starts_with(none)) << text << refusal(text);
  EXPECT_NE(refusal(R"({"temp":null,"torqe":3})").find("torqe is unknown (did you mean 'torque'?)"), std::string::npos);
  for (const char* text : {R"({"temp":"n/a","torque":0,"line":"?"})", R"({"temp":null,"line":"B"})"})
    EXPECT_EQ(refusal(text), "") << text;
}

TEST_F(Serving, NamesTheKeysThatFeedbackHasWhereOneIsUnknown) {
  const auto refused = client_->post("/v1/feedback", R"({"id":"x","truth":"cold"})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("unknown key body.truth; known are id, label, labels, value, values, text, at"),
            std::string::npos)
      << refused.body;
}

TEST_F(Serving, ListsWhatARecordLacksAndWhatTheModelDoesNotKnow) {
  const auto profile = platform::profile_from_yaml(
      "name: press\nfields:\n  torque: {kind: number, from: \"Torque [Nm]\"}\n  speed: number\n  line: ignore\ntarget: "
      "{field: state, task: classify, labels: [a, b]}\n",
      "press.yaml");
  std::vector<platform::FieldProblem> problems;
  deploy::judge_record(profile, json::parse(R"({"Torque [Nm]":1,"sped":2,"line":3,"state":"a"})"), "record", problems);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[0].code + " " + problems[0].field, "missing speed");
  EXPECT_EQ(problems[1].code + " " + problems[1].field + " " + problems[1].value, "unknown_field sped speed");
}

TEST_F(Serving, AnswersTheOtherRecordsOfAListWhereOneIsRefused) {
  serve(1);
  const auto batch =
      post("/v1/predict", json::parse(R"({"records":[{"torqe":20},{"torque":20,"tool":7},{"torque":-20}]})"));
  const auto& answers = batch.at("predictions").as_array();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_TRUE(answers[0].as_object().contains("error"));
  EXPECT_FALSE(answers[0].as_object().contains("label"));
  EXPECT_EQ(answers[1].as_object().at("label"), "hot");
  EXPECT_EQ(answers[1].as_object().at("problems").as_array()[0].as_object().at("code"), "unknown_field");
  EXPECT_EQ(answers[2].as_object().at("label"), "cold");
  EXPECT_FALSE(answers[2].as_object().contains("problems"));
}

TEST_F(Serving, KeepsAnswersAndFeedbackForTheServer) {
  serve(1);
  const auto answer = post("/v1/predict", json::object{{"record", json::object{{"torque", 9.5}}}});
  post("/v1/feedback", json::object{{"id", answer.at("id")}, {"label", "cold"}}, 202);
  post("/v1/feedback", json::object{{"id", "nothing"}, {"label", "cold"}}, 400);
  post("/v1/feedback", json::object{{"id", answer.at("id")}}, 400);
  const auto entries = queued();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].kind, "prediction");
  EXPECT_EQ(entries[0].body.as_object().at("target"), "state");
  EXPECT_EQ(entries[1].kind, "feedback");
  EXPECT_EQ(entries[1].body.as_object().at("outcome"), "cold");
}

TEST_F(Serving, TellsFeedbackOfTwoMachinesApartThatNumberItAlike) {
  serve(1);
  const auto answer = post("/v1/predict", json::object{{"torque", 9.5}});
  const std::string id(answer.at("id").as_string());
  const json::object told{{"id", id}, {"label", "cold"}};
  EXPECT_EQ(client_->post("/v1/feedback", json::serialize(told), "application/json", {{"Idempotency-Key", "1"}}).status,
            202);
  EXPECT_EQ(client_
                ->post("/v1/feedback", json::serialize(told), "application/json",
                       {{"Idempotency-Key", std::string(201, 'k')}})
                .status,
            400);
  EXPECT_TRUE(queued().back().key.starts_with("edge-01/" + id + "/1/"));
}

TEST_F(Serving, ACorrectionIsNoRepetition) {
  serve(1);
  const auto answer = post("/v1/predict", json::object{{"torque", 9.5}});
  for (const char* label : {"cold", "cold", "hot", "hot", "cold"})
    post("/v1/feedback", json::object{{"id", answer.at("id")}, {"label", label}}, 202);
  const auto entries = queued();
  ASSERT_EQ(entries.size(), 6u);
  EXPECT_EQ(entries[1].key, entries[2].key);
  EXPECT_NE(entries[2].key, entries[3].key);
  EXPECT_EQ(entries[3].key, entries[4].key);
  EXPECT_NE(entries[5].key, entries[1].key);
  EXPECT_NE(entries[5].key, entries[4].key);
}

TEST_F(Serving, RefusesATruthThatTheModelCouldNotHaveSaid) {
  serve(1);
  const auto id = post("/v1/predict", json::object{{"torque", 9.5}}).at("id");
  for (const char* truth : {R"({"label":"clod"})", R"({"label":null})", R"({"value":3})", R"({"text":"hot"})",
                            R"({"label":"hot","value":1})"}) {
    json::object body = json::parse(truth).as_object();
    body["id"] = id;
    const auto refused = client_->post("/v1/feedback", json::serialize(body));
    EXPECT_EQ(refused.status, 400) << truth;
  }
  const auto why = client_->post("/v1/feedback", json::serialize(json::object{{"id", id}, {"label", "clod"}})).body;
  EXPECT_NE(why.find("did you mean 'cold'?"), std::string::npos) << why;
  EXPECT_NE(why.find("cold, hot"), std::string::npos) << why;
}

TEST_F(Serving, RefusesFeedbackAboutAnAnswerThatNobodyGave) {
  serve(1);
  const std::string id(post("/v1/predict", json::object{{"torque", 9.5}}).at("id").as_string());
  std::string mistyped = id;
  mistyped[15] = mistyped[15] == '0' ? '1' : '0';
  const std::string elsewhere = deploy::PredictionIds("another plant").make();
  for (const std::string& strange : {mistyped, platform::new_uuid(), elsewhere, "chatcmpl-" + elsewhere}) {
    const json::object refused = post("/v1/feedback", json::object{{"id", strange}, {"label", "hot"}}, 404);
    EXPECT_EQ(refused.at("code"), "not_found");
    EXPECT_NE(refused.at("detail").as_string().find("no agent of this plant gave"), json::string::npos);
  }
  EXPECT_EQ(queued().size(), 1u) << "only the prediction waits for the server";
  EXPECT_EQ(client_->get("/healthz").json().as_object().at("feedback_unknown"), 4);
  EXPECT_NE(metrics_.text().find("anneal_agent_feedback_unknown_total 4"), std::string::npos);
  post("/v1/feedback", json::object{{"id", id}, {"label", "hot"}}, 202);
  post("/v1/feedback", json::object{{"id", deploy::PredictionIds("").make()}, {"label", "hot"}}, 202);
}

TEST(PredictionIds, AreKnownToEveryAgentOfThePlantAndDifferWithinAMoment) {
  deploy::PredictionIds ids("root"), other("root");
  std::set<std::string> made;
  for (int i = 0; i < 4096; ++i) made.insert(ids.make());
  EXPECT_EQ(made.size(), 4096u);
  for (const std::string& id : made) {
    EXPECT_TRUE(platform::is_uuid(id) && id[14] == '7') << id;
    EXPECT_TRUE(other.made(id)) << id;
  }
  EXPECT_FALSE(deploy::PredictionIds("next").made(*made.begin()));
  EXPECT_FALSE(ids.made(""));
}

TEST_F(Serving, KeepsCompletionsAndTakesFeedbackOnThem) {
  serve(1);
  const auto chat =
      post("/v1/chat/completions", json::parse(R"({"messages":[{"role":"user","content":"spindle"}],"max_tokens":4})"));
  const auto whole = post("/v1/completions", json::parse(R"({"prompt":"spindle","max_tokens":4})"));
  client_->post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}],"max_tokens":2,"stream":true})");
  post("/v1/feedback", json::object{{"id", chat.at("id")}, {"text", "it was the bearing"}}, 202);
  const auto entries = queued();
  ASSERT_EQ(entries.size(), 4u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(entries[static_cast<std::size_t>(i)].kind, "prediction");
  EXPECT_EQ("chatcmpl-" + entries[0].key, std::string(chat.at("id").as_string()));
  EXPECT_EQ("cmpl-" + entries[1].key, std::string(whole.at("id").as_string()));
  const auto& kept = entries[0].body.as_object();
  EXPECT_EQ(kept.at("fields").as_object().at("messages").as_array().size(), 1u);
  EXPECT_EQ(kept.at("answer").as_object().at("text"),
            chat.at("choices").as_array()[0].as_object().at("message").as_object().at("content"));
  EXPECT_EQ(entries[3].body.as_object().at("prediction"), json::string(entries[0].key));
}

TEST_F(Serving, KeepsNothingForAServerThatThereIsNot) {
  deploy::Serving alone(outbox_, metrics_, clock_, {.agent = "edge-01", .threads = 1, .keep_answers = false});
  alone.prepare(stage(1));
  alone.activate();
  alone.keep_answer(*alone.model(), "id", json::object{}, {});
  EXPECT_EQ(outbox_.backlog_bytes(), 0u);
}

TEST_F(Serving, RefusesTextThatNoDatabaseKeeps) {
  serve(1);
  const char* predict = R"({"record":{"torque":1,"note":"a\u0000b"}})";
  const auto refused = client_->post("/v1/predict", predict);
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("record.note"), std::string::npos) << refused.body;
  const char* chat = R"({"messages":[{"role":"user","content":"\u0000"}]})";
  EXPECT_EQ(client_->post("/v1/chat/completions", chat).status, 400);
  EXPECT_TRUE(queued().empty());
}

TEST_F(Serving, BlamesTheModelForItsOwnFaultsOnly) {
  serve(1);
  serving_.check();
  const std::string endless(200'000, 'x');
  EXPECT_GE(client_->post("/v1/completions", json::serialize(json::object{{"prompt", endless}})).status, 400);
  EXPECT_NO_THROW(serving_.check());
  EXPECT_THROW(deploy::judged(*serving_.model(), []() -> int { throw std::runtime_error("out of memory"); }),
               std::runtime_error);
  EXPECT_THROW(serving_.check(), Error);
}

TEST_F(Serving, RunsTheProbeAtEachLookDuringProbation) {
  serve(1);
  serving_.check();
  serving_.check();
  EXPECT_NE(metrics_.text().find("anneal_agent_probes_total 2"), std::string::npos) << metrics_.text();
}

TEST_F(Serving, RefusesARequestThatIsNone) {
  serve(1);
  for (const char* body : {"", "[]", "{\"records\":3}", "{\"record\":7}", "{"})
    EXPECT_EQ(client_->post("/v1/predict", body).status, 400) << body;
}

TEST_F(Serving, SpeaksOpenAisWireFormat) {
  serve(1);
  const auto models = client_->get("/v1/models").json().as_object();
  EXPECT_EQ(models.at("object"), "list");
  EXPECT_EQ(models.at("data").as_array()[0].as_object().at("id"), "bearing");
  const auto whole = post("/v1/completions", json::parse(R"({"model":"bearing","prompt":"spindle","max_tokens":4})"));
  EXPECT_EQ(whole.at("object"), "text_completion");
  EXPECT_TRUE(whole.at("choices").as_array()[0].as_object().at("text").is_string());
  EXPECT_EQ(whole.at("usage").as_object().at("total_tokens").as_int64(),
            whole.at("usage").as_object().at("prompt_tokens").as_int64() +
                whole.at("usage").as_object().at("completion_tokens").as_int64());
  const auto chat = post(
      "/v1/chat/completions",
      json::parse(R"({"messages":[{"role":"user","content":[{"type":"text","text":"spindle"}]}],"max_tokens":4})"));
  EXPECT_EQ(chat.at("object"), "chat.completion");
  EXPECT_EQ(chat.at("choices").as_array()[0].as_object().at("message").as_object().at("role"), "assistant");
  const auto missing =
      post("/v1/chat/completions", json::parse(R"({"model":"other","messages":[{"role":"user","content":"x"}]})"), 404);
  EXPECT_EQ(missing.at("error").as_object().at("param"), "model");
  post("/v1/chat/completions", json::parse(R"({"messages":[]})"), 400);
  post("/v1/chat/completions", json::parse(R"({"messages":[{"role":"user","content":"x"}],"n":2})"), 400);
}

TEST_F(Serving, TakesTheSamplingOptionsThatVllmsClientsSend) {
  serve(1);
  const auto ask = [](std::string_view options) {
    return json::parse(R"({"prompt":"spindle","max_tokens":6,)" + std::string(options) + "}");
  };
  const auto text = [&](std::string_view options) {
    return std::string(
        post("/v1/completions", ask(options)).at("choices").as_array()[0].as_object().at("text").as_string());
  };
  const std::string greedy = text(R"("temperature":0)");
  EXPECT_EQ(text(R"("temperature":1.5,"top_k":1)"), greedy);
  EXPECT_EQ(text(R"("temperature":1.5,"min_p":1)"), greedy);
  EXPECT_EQ(text(R"("temperature":0,"top_k":-1,"typical_p":0.9,"repetition_penalty":1.0,"frequency_penalty":0)"),
            greedy);
  EXPECT_EQ(text(R"("temperature":1.5,"seed":9)"), text(R"("temperature":1.5,"seed":9)"));
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{{"min_p", "1.5"},
                                                                                    {"typical_p", "0"},
                                                                                    {"repetition_penalty", "0"},
                                                                                    {"no_repeat_ngram_size", "-1"},
                                                                                    {"top_k", "-2"},
                                                                                    {"temperature", "2.5"},
                                                                                    {"logprobs", "21"},
                                                                                    {"presence_penalty", "0.5"}}) {
    const auto refused = post("/v1/completions", ask("\"" + name + "\":" + value), 400);
    EXPECT_EQ(refused.at("error").as_object().at("param"), json::string(name)) << name;
  }
}

TEST_F(Serving, AnswersInTheFormThatARequestAsksFor) {
  serve(1);
  const auto text = [&](std::string_view form) {
    const auto answer = post("/v1/completions", json::parse(R"({"prompt":"spindle","max_tokens":60,"temperature":1,)" +
                                                            std::string(form) + "}"));
    const json::object& choice = answer.at("choices").as_array()[0].as_object();
    EXPECT_EQ(choice.at("finish_reason"), "stop") << form;
    return std::string(choice.at("text").as_string());
  };
  const std::string schema =
      R"({"type":"object","properties":{"part":{"enum":["bearing","벨트"]},"count":{"type":"integer"}},
          "required":["part","count"],"additionalProperties":false})";
  for (const std::string& form :
       {R"("response_format":{"type":"json_schema","json_schema":{"name":"order","strict":true,"schema":)" + schema +
            "}}",
        R"("guided_json":)" + schema, R"("guided_json":)" + json::serialize(json::value(schema)),
        R"("structured_outputs":{"choice":null,"json":)" + schema + "}"}) {
    const json::object answer = json::parse(text(form)).as_object();
    EXPECT_TRUE(answer.at("part") == "bearing" || answer.at("part") == "벨트");
    EXPECT_TRUE(answer.at("count").is_int64());
  }
  EXPECT_TRUE(json::parse(text(R"("response_format":{"type":"json_object"})")).is_object());
  EXPECT_EQ(text(R"("guided_choice":["높음"],"response_format":{"type":"text"})"), "높음");
  EXPECT_EQ(text(R"("structured_outputs":{"choice":["hot"]})"), "hot");
  const auto chat = post("/v1/chat/completions",
                         json::parse(R"({"messages":[{"role":"user","content":"x"}],"guided_choice":["hot","cold"]})"));
  const json::value content = chat.at("choices").at(0).at("message").at("content");
  EXPECT_TRUE(content == "hot" || content == "cold") << content;
}

TEST_F(Serving, RefusesAFormThatItDoesNotKnow) {
  serve(1);
  for (const auto& [form, said] : std::vector<std::pair<std::string, std::string>>{
           {R"("response_format":{"type":"xml"})", "json_schema"},
           {R"("response_format":{"type":"json_schema","json_schema":{"schema":{"type":"integer","minimum":1}}})",
            "schema.minimum"},
           {R"("response_format":{"type":"json_schema","json_schema":{"name":"x"}})", "schema"},
           {R"("guided_regex":"a+")", "guided_regex"},
           {R"("guided_grammar":"root ::= x")", "guided_grammar"},
           {R"("structured_outputs":{"structural_tag":{}})", "structural_tag"},
           {R"("guided_choice":["a"],"guided_json":{})", "stands beside another"},
           {R"("guided_choice":[])", "guided_choice"},
           {R"("guided_choice":["hot"],"stop":["h"])", "leave stop out"},
           {R"("guided_json":{"const":"a long text that no three tokens write"},"max_tokens":3)",
            "raise max_tokens"}}) {
    const auto refused = post("/v1/completions", json::parse(R"({"prompt":"spindle",)" + form + "}"), 400);
    EXPECT_NE(std::string(refused.at("error").at("message").as_string()).find(said), std::string::npos)
        << form << json::serialize(refused);
  }
}

TEST_F(Serving, GivesLogprobsInTheShapeOfEachRoute) {
  serve(1);
  const auto whole = post("/v1/completions", json::parse(R"({"prompt":"spindle","max_tokens":4,"logprobs":2})"));
  const auto& choice = whole.at("choices").as_array()[0].as_object();
  const auto& logprobs = choice.at("logprobs").as_object();
  const std::size_t tokens = static_cast<std::size_t>(whole.at("usage").as_object().at("completion_tokens").as_int64());
  EXPECT_EQ(logprobs.at("tokens").as_array().size(), tokens);
  EXPECT_EQ(logprobs.at("top_logprobs").as_array().size(), tokens);
  for (const json::value& one : logprobs.at("token_logprobs").as_array()) EXPECT_LE(one.to_number<double>(), 0.0);
  json::object ask = json::parse(R"({"messages":[{"role":"user","content":"spindle"}],"max_tokens":4,
                                     "logprobs":true,"top_logprobs":2})")
                         .as_object();
  const auto chat = post("/v1/chat/completions", ask);
  const auto& content =
      chat.at("choices").as_array()[0].as_object().at("logprobs").as_object().at("content").as_array();
  for (const json::value& one : content) EXPECT_EQ(one.at("top_logprobs").as_array().size(), 2u);
  ask["stream"] = true;
  EXPECT_EQ(post("/v1/chat/completions", ask, 400).at("error").as_object().at("param"), "logprobs");
}

TEST_F(Serving, RefusesAConversationThatTheBasesTemplateDoesNotWrite) {
  serve(1);
  for (const char* message : {R"({"role":"robot","content":"x"})", R"({"role":"user","content":"a<|end|>b"})"})
    post("/v1/chat/completions", json::parse(R"({"messages":[)" + std::string(message) + "]}"), 400);
}

TEST_F(Serving, StreamsTheSameTextInPieces) {
  serve(1);
  json::object ask = json::parse(R"({"messages":[{"role":"user","content":"spindle"}],"max_tokens":6})").as_object();
  const auto whole = post("/v1/chat/completions", ask);
  ask["stream"] = true;
  ask["stream_options"] = json::object{{"include_usage", true}};
  const auto response = client_->post("/v1/chat/completions", json::serialize(ask));
  ASSERT_EQ(response.status, 200);
  EXPECT_TRUE(response.headers.at("Content-Type").starts_with("text/event-stream"));
  std::vector<std::string> events;
  for (std::size_t at = 0, end = 0; (end = response.body.find("\n\n", at)) != std::string::npos; at = end + 2)
    events.push_back(response.body.substr(at, end - at));
  ASSERT_GE(events.size(), 4u);
  EXPECT_EQ(events.back(), "data: [DONE]");
  std::string text, finish;
  bool usage = false;
  for (std::size_t i = 0; i + 1 < events.size(); ++i) {
    ASSERT_TRUE(events[i].starts_with("data: ")) << events[i];
    const json::value document = json::parse(events[i].substr(6));
    const json::object& chunk = document.as_object();
    EXPECT_EQ(chunk.at("object"), "chat.completion.chunk");
    usage = usage || chunk.contains("usage");
    for (const json::value& choice : chunk.at("choices").as_array()) {
      if (const auto* content = choice.as_object().at("delta").as_object().if_contains("content"))
        text += content->as_string();
      if (choice.as_object().at("finish_reason").is_string())
        finish = choice.as_object().at("finish_reason").as_string();
    }
  }
  EXPECT_TRUE(usage);
  EXPECT_EQ(
      text,
      std::string(whole.at("choices").as_array()[0].as_object().at("message").as_object().at("content").as_string()));
  EXPECT_EQ(finish, std::string(whole.at("choices").as_array()[0].as_object().at("finish_reason").as_string()));
}

TEST_F(Serving, RefusesAReleaseWhoseFilesWereChangedAndKeepsAnswering) {
  serve(1);
  const auto release = stage(2);
  const auto weights = release.adapter() / "adapter_model.safetensors";
  std::string bytes = platform::read_file(weights);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  std::filesystem::remove(weights);
  platform::write_file_atomically(weights, bytes);
  EXPECT_THROW(serving_.prepare(release), Error);
  EXPECT_EQ(post("/v1/predict", json::object{{"torque", 25.5}}).at("model_version"), "1");
}

}  // namespace
