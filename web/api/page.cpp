#include "web/api/routes.h"
#include "web/console/status_page.h"

namespace web {

void add_page_routes(platform::RouteTable& routes, Services&) {
  routes.add({platform::Method::kGet, "/", "The status page", "", [](const platform::Request&) {
                platform::Response page = platform::text_response(std::string(kStatusPage), "text/html; charset=utf-8");
                page.headers["Content-Security-Policy"] =
                    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
                    "base-uri 'none'; form-action 'none'";
                return page;
              }});
}

}  // namespace web
