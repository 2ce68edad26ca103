#include "web/api/audited.h"

#include <array>

#include "platform/base/error.h"
#include "web/api/project_of.h"

namespace web {

namespace json = platform::json;
using platform::Method;
using platform::Request;
using platform::Response;

namespace {

struct Action {
  Method method;
  std::string_view pattern;
  std::string_view name;
  std::string_view subject;               // {names} of the path, else of the answer
  std::vector<std::string_view> details;  // keys of the request's body, else of the path, else of the answer
};

const std::array kActions{
    Action{Method::kPost,
           "/api/v1/deployments",
           "deployment.create",
           "deployment/{id}",
           {"model", "model_version", "to", "waves"}},
    Action{Method::kPost, "/api/v1/deployments/{id}/bundle", "deployment.export", "deployment/{id}", {"valid_days"}},
    Action{Method::kPost, "/api/v1/deployments/{id}/pause", "deployment.pause", "deployment/{id}", {"reason"}},
    Action{Method::kPost, "/api/v1/deployments/{id}/resume", "deployment.resume", "deployment/{id}", {}},
    Action{Method::kPost, "/api/v1/deployments/{id}/rollback", "deployment.roll_back", "deployment/{id}", {"reason"}},
    Action{Method::kPost, "/api/v1/runs", "run.start", "run/{id}", {"workflow", "workflow_hash", "inputs"}},
    Action{Method::kPost, "/api/v1/runs/{id}/cancel", "run.cancel", "run/{id}", {"workflow"}},
    Action{Method::kPost, "/api/v1/runs/{id}/retry", "run.retry", "run/{id}", {"step", "workflow"}},
    Action{Method::kPost,
           "/api/v1/runs/{id}/steps/{step}/approve",
           "run.approve",
           "run/{id}",
           {"step", "comment", "workflow"}},
    Action{Method::kPost,
           "/api/v1/runs/{id}/steps/{step}/reject",
           "run.reject",
           "run/{id}",
           {"step", "comment", "workflow"}},
    Action{Method::kPost, "/api/v1/sources", "source.create", "source/{name}", {"connector", "profile"}},
    Action{Method::kDelete, "/api/v1/sources/{name}", "source.delete", "source/{name}", {}},
    Action{Method::kPost, "/api/v1/sources/{name}/start", "source.start", "source/{name}", {}},
    Action{Method::kPost, "/api/v1/sources/{name}/stop", "source.stop", "source/{name}", {}},
    Action{Method::kPost, "/api/v1/workflows", "workflow.save", "workflow/{name}", {"content_hash"}},
    Action{Method::kDelete, "/api/v1/workflows/{name}", "workflow.delete", "workflow/{name}", {}},
};

// What a line may take its words from.
struct Told {
  json::object body, path, answer;

  Told(const Request& request, const Response& response) {
    if (request.content_type() != "application/yaml" && !request.body.empty()) {
      boost::system::error_code other;
      const json::value sent = json::parse(request.body, other);
      if (!other && sent.is_object()) body = sent.get_object();
    }
    for (const auto& [name, value] : request.params) path[name] = value;
    const auto* text = std::get_if<std::string>(&response.body);
    if (text == nullptr || text->empty()) return;
    const json::value given = platform::parse_json(*text, "answer");
    if (given.is_object()) answer = given.get_object();
  }

  const json::value* first(std::initializer_list<const json::object*> places, std::string_view key) const {
    for (const json::object* place : places) {
      if (const json::value* found = platform::find(*place, key)) return found;
    }
    return nullptr;
  }
};

std::string subject_of(const Action& action, const Told& told) {
  const std::size_t open = action.subject.find('{');
  const std::string_view key = action.subject.substr(open + 1, action.subject.size() - open - 2);
  const json::value* value = told.first({&told.path, &told.answer}, key);
  return std::string(action.subject.substr(0, open)) +
         (value != nullptr && value->is_string() ? std::string(value->get_string()) : "");
}

platform::AuditLine line_of(const Action& action, const Request& request, const Response& response) {
  const Told told(request, response);
  platform::AuditLine line;
  line.project = project_of(request);
  line.actor = request.identity.name;
  line.action = action.name;
  line.subject = subject_of(action, told);
  for (const std::string_view key : action.details) {
    if (const json::value* value = told.first({&told.body, &told.path, &told.answer}, key)) line.details[key] = *value;
  }
  return line;
}

}  // namespace

platform::RouteTable audited(const platform::RouteTable& routes, platform::AuditStore& audit) {
  platform::RouteTable made;
  std::size_t found = 0;
  for (platform::Route route : routes.routes()) {
    for (const Action& action : kActions) {
      if (action.method != route.method || action.pattern != route.pattern) continue;
      ++found;
      route.handler = [&action, &audit, handle = std::move(route.handler)](const Request& request) {
        Response response = handle(request);
        audit.append(line_of(action, request, response));
        return response;
      };
      break;
    }
    made.add(std::move(route));
  }
  if (found != kActions.size())
    throw platform::Error(platform::ErrorCode::kInternal, "an action of the audit log is the action of no route");
  return made;
}

}  // namespace web
