#include "web/api/routes.h"

namespace web {

using platform::Method;
using platform::Request;

void add_artifacts_routes(platform::RouteTable& routes, Services& services) {
  routes.add({Method::kGet, "/api/v1/artifacts/{digest}",
              "Downloads the bytes of an artifact; Range resumes a download", "artifacts.read",
              [&services](const Request& request) {
                const std::string& digest = request.param("digest");
                services.blobs().size(digest);  // throws kInvalidInput or kNotFound
                platform::Response response =
                    platform::file_response(services.blobs().path_of(digest), "application/octet-stream", digest);
                response.headers["Cache-Control"] = "private, immutable, max-age=31536000";
                return response;
              }});
}

}  // namespace web
