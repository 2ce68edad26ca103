// How a store writes an audit line in its own transaction, so that a change and the line about it are there together or
// not at all. Included by platform/store only.
#pragma once

#include "platform/store/audit_store.h"
#include "platform/store/transaction.h"

namespace platform {

/// As AuditStore::append, within `work`. Appenders queue for a lock that is held to the end of the transaction, so this
/// is its last statement.
AuditLine append_audit(pqxx::work& work, const AuditLine& line);

}  // namespace platform
