#include "tests/support/temp_database.h"

#include <pqxx/pqxx>

#include "platform/base/id.h"

namespace tests {

std::string make_database(platform::PrivateCluster& cluster) {
  std::string name = "t" + platform::new_uuid();
  name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
  pqxx::connection connection(cluster.connection_string());
  pqxx::nontransaction(connection).exec0("CREATE DATABASE " + name);
  return cluster.connection_string() + " dbname=" + name;
}

}  // namespace tests
