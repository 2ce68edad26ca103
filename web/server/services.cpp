#include "web/server/services.h"

#include "deploy/model_release.h"

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
  new_token_ = authenticator_.ensure_admin(options_.data);
  for (const std::string& project : projects_.names())
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
  return authenticator_.authorize(platform::bearer_token(request), permission, request.path);
}

}  // namespace web
