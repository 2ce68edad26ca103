// What a plant agent answers on its own port. Predictions and feedback: predict_routes.cpp; OpenAI's wire format:
// openai_routes.cpp. `serving` must outlive the table.
#pragma once

#include "deploy/serving/serving.h"
#include "platform/http/router.h"

namespace deploy {

/// POST /v1/predict, POST /v1/feedback, GET /healthz, GET /readyz, GET /metrics.
///   /v1/predict   {"record": R} or {"records": [R, ...]}; R is an object of raw fields, or for a windowed profile an
///   array of them /v1/feedback  {"id": ID, "label" | "value" | "text": what really happened}; on disk when it answers
///   202
void add_predict_routes(platform::RouteTable& table, Serving& serving);
/// GET /v1/models, POST /v1/chat/completions, POST /v1/completions, with `stream`. Temperature is 0 unless given.
void add_openai_routes(platform::RouteTable& table, Serving& serving);

}  // namespace deploy
