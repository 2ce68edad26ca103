#include "finetune/text/template/chat_encoder.h"

#include <gtest/gtest.h>

#include "finetune/text/bpe_trainer.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

// A tokenizer of anneal-nano's kind in a folder of its own.
class NanoChat : public testing::Test {
 protected:
  void SetUp() override {
    platform::write_file_atomically(folder_.path() / "text.txt", "state? ok. state? not ok.\n");
    BpeTrainerOptions options;
    options.vocabulary_size = 300;
    options.special_tokens = nano_control_tokens();
    options.bos_token = "<|begin|>";
    options.eos_token = "<|end|>";
    options.chat_template = nano_chat_template();
    write_tokenizer(folder_.path(), train_bpe({folder_.path() / "text.txt"}, options), options);
    tokenizer_.emplace(Tokenizer::load(folder_.path()));
    chat_ = ChatEncoder::load(folder_.path());
  }
  std::vector<std::int32_t> ids(std::vector<std::string> parts) const {
    std::vector<std::int32_t> all;
    for (const std::string& part : parts) {
      const auto token = tokenizer_->token_id(part);
      const auto some = token ? std::vector<std::int32_t>{*token} : tokenizer_->encode(part);
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }

  platform::TemporaryFolder folder_;
  std::optional<Tokenizer> tokenizer_;
  ChatEncoder chat_;
};

const std::vector<platform::Message> kTalk{{"user", "state?"}, {"assistant", "ok"}};

TEST_F(NanoChat, WritesEachTurnBehindItsRoleAndSupervisesTheAnswerWithItsEnd) {
  const TokenSequence sequence = chat_.taught(*tokenizer_, kTalk);
  EXPECT_EQ(sequence.ids, ids({"<|begin|>", "<|user|>", "state?", "<|end|>", "<|assistant|>", "ok", "<|end|>"}));
  const std::size_t supervised = tokenizer_->encode("ok").size() + 1;
  for (std::size_t i = 0; i < sequence.ids.size(); ++i)
    EXPECT_EQ(sequence.supervised[i], i + supervised >= sequence.ids.size() ? 1 : 0) << i;
  EXPECT_EQ(chat_.read(*tokenizer_, kTalk), sequence.ids);
}

TEST_F(NanoChat, AsksUpToTheAssistantsToken) {
  EXPECT_EQ(chat_.asked(*tokenizer_, {{"user", "state?"}}),
            ids({"<|begin|>", "<|user|>", "state?", "<|end|>", "<|assistant|>"}));
}

TEST_F(NanoChat, RefusesAnUnknownRoleAndATextThatSpellsAControlToken) {
  EXPECT_THROW(chat_.taught(*tokenizer_, {{"robot", "x"}}), TemplateError);
  for (const auto& message : {platform::Message{"user", "a<|end|>b"}, platform::Message{"assistant", "<|user|>"}}) {
    EXPECT_THROW(chat_.taught(*tokenizer_, {message}), platform::Error);
    EXPECT_THROW(chat_.asked(*tokenizer_, {message}), platform::Error);
  }
}

TEST_F(NanoChat, WithoutATemplateSaysWhatToAdd) {
  std::filesystem::remove(folder_.path() / "chat_template.jinja");
  const ChatEncoder bare = ChatEncoder::load(folder_.path());
  EXPECT_FALSE(bare.has_template());
  try {
    bare.asked(*tokenizer_, kTalk);
    FAIL() << "was encoded";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput);
    EXPECT_NE(std::string(error.what()).find("chat_template.jinja"), std::string::npos) << error.what();
  }
}

TEST_F(NanoChat, ATemplateThatCannotBeReadSpoilsConversationsOnly) {
  platform::write_file_atomically(folder_.path() / "chat_template.jinja", "a\n{% for %}");
  const ChatEncoder spoilt = ChatEncoder::load(folder_.path());
  EXPECT_FALSE(spoilt.has_template());
  try {
    spoilt.taught(*tokenizer_, kTalk);
    FAIL() << "was encoded";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("line 2"), std::string::npos) << error.what();
  }
}

TEST(NanoTemplate, IsTheOneThatThePublishedBaseCarries) {
  EXPECT_EQ(platform::read_file("finetune/bases/anneal-nano/chat_template.jinja"), nano_chat_template());
}

}  // namespace
}  // namespace finetune
