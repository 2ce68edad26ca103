#include "connectors/rest_push_connector.h"

#include "platform/http/request.h"

namespace connectors {
namespace {

class RestPushConnector final : public Connector {
 public:
  explicit RestPushConnector(std::string source) : source_(std::move(source)) {}

  CheckResult check() override {
    return {true, "ready: post records to /api/v1/sources/" + platform::percent_encode(source_) + "/records"};
  }
  std::vector<Stream> discover() override { return {{"records", {}}}; }
  void read(const platform::json::value&, const BatchSink&) override {}

 private:
  std::string source_;
};

}  // namespace

std::unique_ptr<Connector> make_rest_push_connector(const SourceConfig& config, const SecretReader&) {
  platform::refuse_unknown_keys(config.settings, {"input"}, "settings");
  input_of(config);
  return std::make_unique<RestPushConnector>(config.name);
}

}  // namespace connectors
