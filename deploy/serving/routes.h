// What a plant agent answers on its own port. Predictions and feedback: predict_routes.cpp; OpenAI's wire format:
// openai_routes.cpp. `serving` must outlive the table.
#pragma once

#include <functional>

#include "deploy/serving/serving.h"
#include "platform/http/router.h"

namespace deploy {

/// POST /v1/predict, POST /v1/feedback, GET /healthz, GET /readyz, GET /metrics.
///   /v1/predict   {"record": R} or {"records": [R, ...]}; R is an object of raw fields, or an array of them for a
///                 windowed profile; without either name the body is one record. `problems` of an answer lists what
///                 the record lacks ("missing"), what the model does not know ("unknown_field") and bad values; a
///                 record with none of the model's fields is refused, in a list by an `error` in its place
///   /v1/feedback  {"id": ID, "label" | "value" | "text": what really happened}; ID as in the answer of /v1/predict or
///                 of a completion; on disk when it answers 202; of several for one ID the newest counts. A
///                 truth that the model could not have said is refused, and with 404 an ID that no agent of this plant
///                 gave
void add_predict_routes(platform::RouteTable& table, Serving& serving);
/// GET /v1/models, POST /v1/chat/completions, POST /v1/completions, with `stream`. Temperature is 0 unless given. The
/// answer has the form that answer_forms.h reads from the request, and is finished within max_tokens then.
/// Answers are kept for the server as those of /v1/predict are.
void add_openai_routes(platform::RouteTable& table, Serving& serving);
/// GET /openapi.json: the routes that stand in the table by now.
void add_description_route(platform::RouteTable& table);
/// `handler` behind a check that the body is said to be JSON; else 415. A web page cannot say so across origins.
std::function<platform::Response(const platform::Request&)> for_json(
    std::function<platform::Response(const platform::Request&)> handler);

}  // namespace deploy
