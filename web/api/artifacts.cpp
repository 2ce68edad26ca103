#include "platform/base/error.h"
#include "web/api/artifact_access.h"
#include "web/api/project_of.h"
#include "web/api/routes.h"

namespace web {

using platform::Method;
using platform::Request;

void add_artifacts_routes(platform::RouteTable& routes, Services& services) {
  routes.add({Method::kGet, "/api/v1/artifacts/{digest}",
              "Downloads the bytes of an artifact of the project, an agent what is offered to it; Range resumes",
              "artifacts.read", [&services](const Request& request) {
                const std::string& digest = request.param("digest");
                const std::filesystem::path file = services.blobs().path_of(digest);  // throws kInvalidInput
                platform::Identity asking = request.identity;
                asking.project = project_of(request);
                if (!services.blobs().has(digest) || !services.artifacts().allows(asking, digest))
                  throw platform::Error(platform::ErrorCode::kNotFound,
                                        "there is no artifact " + digest +
                                            " here; versions, runs and deployments name those that there are",
                                        "digest");
                platform::Response response = platform::file_response(file, "application/octet-stream", digest);
                response.headers["Cache-Control"] = "private, immutable, max-age=31536000";
                return response;
              }});
}

}  // namespace web
