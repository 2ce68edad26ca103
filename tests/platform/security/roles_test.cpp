#include "platform/security/roles.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "platform/base/error.h"

namespace platform {
namespace {

std::vector<std::string_view> permissions_of(Role role) {
  std::vector<std::string_view> found;
  for (const std::string_view permission : all_permissions()) {
    if (allows(role, permission)) found.push_back(permission);
  }
  return found;
}

TEST(Roles, HaveNamesThatLeadBack) {
  EXPECT_EQ(all_roles().size(), 7u);
  for (const Role role : all_roles()) {
    EXPECT_EQ(role_from(to_string(role)), role);
    EXPECT_FALSE(describe(role).empty());
  }
}

TEST(Roles, AMistypedNameSaysWhichIsMeant) {
  try {
    role_from("enginer");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    EXPECT_NE(std::string(error.what()).find("did you mean 'engineer'?"), std::string::npos) << error.what();
  }
}

TEST(Roles, TheAdminMayDoEverything) {
  EXPECT_EQ(permissions_of(Role::kAdmin), all_permissions());
  EXPECT_TRUE(allows(Role::kAdmin, "something.new"));
}

TEST(Roles, OnlyTheAdminMayDoWhatTheTableLacks) {
  for (const Role role : all_roles()) EXPECT_EQ(allows(role, "something.new"), role == Role::kAdmin) << to_string(role);
}

TEST(Roles, AnAgentPollsAndDownloadsAndNothingElse) {
  EXPECT_EQ(permissions_of(Role::kAgent), (std::vector<std::string_view>{"agents.poll", "artifacts.read"}));
}

TEST(Roles, ViewersAndAuditorsChangeNothing) {
  for (const Role role : {Role::kViewer, Role::kAuditor}) {
    for (const std::string_view permission : permissions_of(role))
      EXPECT_TRUE(permission.ends_with(".read")) << permission;
  }
  EXPECT_TRUE(allows(Role::kAuditor, "audit.read"));
  EXPECT_FALSE(allows(Role::kViewer, "audit.read"));
}

TEST(Roles, TheLineSendsRecordsAndChangesNothingElse) {
  for (const std::string_view permission : permissions_of(Role::kOperator))
    EXPECT_TRUE(permission.ends_with(".read") || permission == "records.write") << permission;
}

TEST(Roles, OnlyTheAdminHandsOutTokens) {
  for (const Role role : all_roles()) EXPECT_EQ(allows(role, "users.write"), role == Role::kAdmin) << to_string(role);
}

TEST(Roles, OnlyTheAdminSaysWhereTheServerCallsOutTo) {
  for (const Role role : all_roles())
    EXPECT_EQ(allows(role, "sources.call_out"), role == Role::kAdmin) << to_string(role);
}

TEST(Roles, ApproversApproveAndEngineersDoTheWork) {
  for (const std::string_view permission : {"runs.approve", "runs.read", "models.read"})
    EXPECT_TRUE(allows(Role::kApprover, permission)) << permission;
  EXPECT_FALSE(allows(Role::kApprover, "runs.write"));
  for (const std::string_view permission : {"sources.write", "records.write", "datasets.write", "workflows.write",
                                            "runs.write", "runs.approve", "models.write", "deployments.write"}) {
    EXPECT_TRUE(allows(Role::kEngineer, permission)) << permission;
  }
}

TEST(Roles, EverybodyMayDoWhatIsPublic) {
  for (const Role role : all_roles()) EXPECT_TRUE(allows(role, ""));
}

}  // namespace
}  // namespace platform
