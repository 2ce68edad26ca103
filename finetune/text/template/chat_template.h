// The chat template of a base: a small program that writes a conversation as the text that the base was trained on.
// It is interpreted, in the template language that model folders use (Jinja, as transformers sets it up), with limits
// on everything: no template reads a file, reaches into the program, or runs without an end.
// Immutable; any number of threads may render one template at the same time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/text/template/budget.h"
#include "finetune/text/template/value.h"
#include "platform/base/clock.h"
#include "platform/base/json.h"

namespace finetune {

struct RenderedChat {
  std::string text;
  /// What stands in {% generation %} blocks, in the order of their ends: what a model shall learn. Empty where the
  /// template has no such blocks.
  std::vector<ByteSpan> generated;
};

class ChatTemplate {
 public:
  /// Throws TemplateError, with the line, where the text is no template.
  static ChatTemplate parse(std::string_view text, const TemplateLimits& limits = {});
  /// The template of a model folder: chat_template.jinja, else chat_template in tokenizer_config.json, a text or a list
  /// of {name, template} of which `name` is taken. nullopt if the folder has none.
  static std::optional<ChatTemplate> load(const std::filesystem::path& folder, std::string_view name = "default");
  /// The same of the content of a tokenizer_config.json; `file` names it in an error.
  static std::optional<ChatTemplate> of_config(const platform::json::value& config, const std::string& file,
                                               std::string_view name = "default");

  /// `messages`: objects with role, content and what else the template knows. `tools`: a list, or null for none.
  /// `variables`: whatever else the template may ask for (bos_token, add_generation_prompt, enable_thinking, ...).
  /// `clock` is what strftime_now reads. Throws TemplateError where the template refuses the messages or fails.
  RenderedChat render(const platform::json::array& messages, const platform::json::value& tools = nullptr,
                      const platform::json::object& variables = {},
                      const platform::Clock& clock = platform::SystemClock()) const;

 private:
  struct Program;
  explicit ChatTemplate(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  std::shared_ptr<const Program> program_;  // shared by copies; never changes
};

}  // namespace finetune
