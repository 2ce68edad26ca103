#include "deploy/agent/agent.h"

#include <exception>
#include <utility>

#include "deploy/agent/front_door.h"
#include "deploy/bundle.h"
#include "deploy/serving/routes.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace deploy {
namespace {

constexpr const char* kNoServer = "http://127.0.0.1:9";  // nothing is ever sent there

// Two agents would send the same queue twice and switch each other's versions.
platform::FolderLock only_agent_of(const std::filesystem::path& data) {
  std::filesystem::create_directories(data);
  const std::filesystem::path address = data / "agent-address";
  if (auto lock = platform::FolderLock::take(data)) {
    std::error_code absent;
    std::filesystem::remove(address, absent);  // of an agent that was killed
    return *std::move(lock);
  }
  std::string where = "which is just starting";
  if (std::filesystem::exists(address)) {
    where = "on " + platform::read_file(address, 4096);
    where.erase(where.find_last_not_of("\r\n") + 1);
  }
  throw platform::Error(platform::ErrorCode::kConflict, "another agent runs with the folder " + data.string() + ", " +
                                                            where + "; stop it, or give this one its own --data");
}

// Whom this machine believes; pinned at the first start.
std::string pinned_root(const AgentOptions& options, const std::filesystem::path& trust) {
  MetadataStore store(trust);
  if (options.root) store.pin(platform::read_file(*options.root, kMetadataLimitBytes));
  if (store.pinned()) return store.root();
  throw platform::Error(platform::ErrorCode::kInvalidInput,
                        "this agent trusts nobody yet; give it the server's keys/root.json once with --root FILE");
}

// Empty without a file. Throws where it cannot be read.
std::string token_of(const AgentOptions& options) {
  if (!options.token_file) return "";
  const std::string text = platform::read_file(*options.token_file, 4096);
  return text.substr(0, text.find_first_of("\r\n"));
}

}  // namespace

Agent::Agent(AgentOptions options, const platform::Clock& clock, platform::Log log)
    : options_(std::move(options)),
      clock_(clock),
      log_(log.with({{"agent", options_.name}})),
      lock_(only_agent_of(options_.data)),
      folder_(options_.data),
      outbox_(folder_.queue()),
      serving_(outbox_, metrics_, clock_,
               {.agent = options_.name,
                .threads = options_.threads,
                .keep_answers = !options_.server.empty(),
                .root = pinned_root(options_, folder_.trust()),
                .log = log_}),
      token_(token_of(options_)),
      peer_(options_.server.empty() ? kNoServer : options_.server, token_, options_.name, outbox_, stopping_, log_),
      updater_(folder_, peer_, serving_, clock_, {.log = log_, .name = options_.name, .labels = options_.labels}) {
  updater_.resume();
  platform::RouteTable routes;
  add_predict_routes(routes, serving_);
  add_openai_routes(routes, serving_);
  add_description_route(routes);
  platform::ServerOptions server;
  server.address = options_.address;
  server.port = options_.port;
  http_ = std::make_unique<platform::Server>(server, std::move(routes), front_door(options_.address, options_.hosts),
                                             metrics_, log_);
}

void Agent::install_bundle() {
  BundleMetadata metadata;
  const Targets targets = read_bundle(*options_.bundle, folder_.blobs(), [&](const BundleMetadata& read) {
    metadata = read;
    return MetadataStore(folder_.trust()).accept(read.timestamp, read.targets, clock_.now());
  });
  updater_.offer({targets.deployment, metadata.timestamp, metadata.targets, true});
}

void Agent::install_bundle_or_say_why_not() {
  try {
    install_bundle();
  } catch (const std::exception& failure) {
    const std::string refusal =
        "courier bundle " + options_.bundle->filename().string() + " refused: " + failure.what();
    log_.error("courier bundle refused", {{"file", options_.bundle->string()}, {"reason", failure.what()}});
    serving_.say_why_none(refusal);
    if (!options_.server.empty()) peer_.notice(refusal, clock_.now());
  }
}

void Agent::describe_if_changed() {
  const auto served = serving_.model_or_null();
  const std::string now = served ? served->targets().adapter_digest : "";
  if (described_ == now) return;
  if (served)
    peer_.describe(options_.labels, served->targets().model, served->targets().model_version,
                   served->targets().adapter_digest);
  else
    peer_.describe(options_.labels, "", "", "");
  described_ = now;
}

// So that a token is renewed by writing its file, without a restart.
void Agent::take_new_token() {
  std::string now;
  try {
    now = token_of(options_);
  } catch (const platform::Error&) {
    return;  // somebody is at it; the next refusal looks again
  }
  if (now == token_) return;
  token_ = now;
  peer_.take_token(now);
  log_.info("the token's file holds another one; it is used from now on");
}

void Agent::speak() {
  if (options_.server.empty()) return;
  try {
    describe_if_changed();
    peer_.deliver();
    const auto offered = peer_.poll();
    if (peer_.believed() != described_) described_.reset();  // a server that was restored from its backup
    if (offered && updater_.state() == AgentState::kIdle) updater_.offer(peer_.fetch_offer(*offered));
    metrics_.gauge("anneal_agent_server_reachable", "1 while the server answers", 1);
    if (std::exchange(silent_server_, false)) log_.info("the server answers again");
  } catch (const std::exception& failure) {
    described_.reset();  // it may have forgotten us when it answers again
    metrics_.gauge("anneal_agent_server_reachable", "1 while the server answers", 0);
    if (!std::exchange(silent_server_, true))
      log_.warning("nothing comes from the server; answering goes on", {{"reason", failure.what()}});
    const auto* error = dynamic_cast<const platform::Error*>(&failure);
    if (error != nullptr && error->code() == platform::ErrorCode::kUnauthenticated) take_new_token();
  }
}

void Agent::work() {
  while (!stopping_ && updater_.step()) {
  }
}

void Agent::wait() {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, options_.poll, [this] { return stopping_.load(); });
}

void Agent::pass() {
  work();
  speak();
  work();
  outbox_.sync();
  metrics_.gauge("anneal_agent_queue_bytes", "Bytes that wait for the server",
                 static_cast<double>(outbox_.backlog_bytes()));
}

void Agent::run() {
  bool bundle = options_.bundle && updater_.state() == AgentState::kIdle;
  while (!stopping_) {
    // Whatever goes wrong here, a full disk above all, the port goes on answering.
    try {
      if (std::exchange(bundle, false)) install_bundle_or_say_why_not();
      pass();
    } catch (const std::exception& failure) {
      log_.error("this pass is cut short; the next one tries again", {{"reason", failure.what()}});
    }
    wait();
  }
  http_->stop();
}

void Agent::stop() {
  stopping_ = true;
  const std::lock_guard lock(mutex_);
  wake_.notify_all();
}

}  // namespace deploy
