#include "web/server/services.h"

#include "deploy/model_release.h"
#include "platform/security/token.h"

namespace web {

namespace {

constexpr std::chrono::milliseconds kClusterLook{500};
constexpr std::chrono::milliseconds kRolloutLook{
    5'000};  // reports of agents move rollouts on at once; this is for the rest

}  // namespace

Services::Services(ServicesOptions options, platform::Log log)
    : options_(std::move(options)),
      files_(options_.files_from, options_.data),
      log_(std::move(log)),
      cluster_(options_.database.empty() ? std::optional<platform::PrivateCluster>(std::in_place, options_.data, log_)
                                         : std::nullopt),
      database_({.connection = cluster_ ? cluster_->connection_string() : options_.database, .connections = 16}, log_),
      blobs_(options_.data.blobs()),
      sources_(database_),
      records_(database_),
      datasets_(database_),
      runs_(database_),
      models_(database_),
      registry_(models_, datasets_),
      deployment_store_(database_),
      deployments_(deployment_store_, blobs_, deploy::SigningKeys::open(options_.data.keys()), clock_, log_,
                   deploy::move_production(registry_, log_)),
      references_(database_),
      artifacts_(references_, deployment_store_, blobs_),
      projects_(database_),
      tokens_(database_),
      audit_(database_),
      authenticator_(tokens_, audit_, clock_, log_),
      sink_(records_),
      supervisor_(sink_, log_) {
  database_.migrate();
  admin_token_ = authenticator_.ensure_admin(options_.data);
  for (const std::string& project : options_.only_token.empty() ? projects_.names() : std::vector<std::string>{})
    start_running_sources({sources_, records_, supervisor_, options_.data, files_}, project, log_);
  rollout_keeper_.emplace(
      "moving rollouts on", kRolloutLook, [this] { deployments_.advance_all(); }, log_);
  if (!cluster_) return;
  cluster_keeper_.emplace(
      "keeping the database alive", kClusterLook,
      [this] {
        if (!cluster_->is_gone()) return;
        log_.warning("the database is gone; starting it again");
        cluster_->start();
      },
      log_);
}

platform::Identity Services::authorize(const platform::Request& request, std::string_view permission) {
  const std::string token = platform::bearer_token(request);
  if (!options_.only_token.empty()) return permission.empty() ? platform::Identity{} : only_one(token);
  return authenticator_.authorize(token, permission, request.path);
}

platform::Identity Services::only_one(const std::string& token) const {
  // Of hashes, so that the time of the comparison tells nothing.
  if (platform::token_hash(token) != platform::token_hash(options_.only_token))
    throw platform::Error(platform::ErrorCode::kUnauthenticated,
                          "the server on " + options_.data.root.string() +
                              " belongs to one `anneal run` and takes no token but its own; ask again when that run is "
                              "over, or run `anneal serve` then");
  return {"admin", std::string(platform::to_string(platform::Role::kAdmin)), "default"};
}

}  // namespace web
