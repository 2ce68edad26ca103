#include "platform/store/project_store.h"

#include "platform/store/transaction.h"

namespace platform {

std::vector<std::string> ProjectStore::names() {
  return transact(database_, [](pqxx::work& work) {
    std::vector<std::string> names;
    for (const pqxx::row& row : work.exec("SELECT id FROM projects ORDER BY id")) names.emplace_back(row[0].c_str());
    return names;
  });
}

}  // namespace platform
