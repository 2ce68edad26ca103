#include "finetune/text/template/chat_template.h"

#include "finetune/text/template/interpreter.h"
#include "finetune/text/template/methods.h"
#include "finetune/text/template/parser.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

std::string listed_template(const json::array& list, std::string_view name, const std::string& where) {
  for (const json::value& value : list) {
    const json::object& entry = platform::as_object(value, where);
    if (platform::require_string(entry, "name", where) == name) {
      return platform::require_string(entry, "template", where);
    }
  }
  throw Error(ErrorCode::kNotFound, where + " has no template named '" + std::string(name) + "'");
}

}  // namespace

struct ChatTemplate::Program {
  jinja::Body body;
  TemplateLimits limits;
};

ChatTemplate ChatTemplate::parse(std::string_view text, const TemplateLimits& limits) {
  return ChatTemplate(std::make_shared<const Program>(Program{jinja::parse_template(text, limits), limits}));
}

std::optional<ChatTemplate> ChatTemplate::load(const std::filesystem::path& folder, std::string_view name) {
  const std::filesystem::path own = folder / "chat_template.jinja";
  const TemplateLimits limits;
  if (std::filesystem::exists(own)) return parse(platform::read_file(own, limits.template_bytes), limits);
  const std::filesystem::path config = folder / "tokenizer_config.json";
  if (!std::filesystem::exists(config)) return std::nullopt;
  return of_config(platform::read_json_file(config), config.string(), name);
}

std::optional<ChatTemplate> ChatTemplate::of_config(const json::value& config, const std::string& file,
                                                    std::string_view name) {
  const TemplateLimits limits;
  const json::value* found = platform::find(platform::as_object(config, file), "chat_template");
  if (!found) return std::nullopt;
  const std::string where = file + ": chat_template";
  if (const auto* list = found->if_array()) return parse(listed_template(*list, name, where), limits);
  if (const auto* text = found->if_string()) return parse(*text, limits);
  throw Error(ErrorCode::kInvalidInput, where + " must be a text or a list of named templates");
}

RenderedChat ChatTemplate::render(const json::array& messages, const json::value& tools, const json::object& variables,
                                  const platform::Clock& clock) const {
  jinja::Interpreter interpreter(program_->limits, clock);
  const auto globals = std::make_shared<jinja::Scope>(nullptr);
  jinja::add_functions(*globals);
  globals->set("documents", jinja::none());
  globals->set("add_generation_prompt", jinja::boolean(false));
  for (const auto& [name, value] : variables) globals->set(std::string(name), interpreter.from_json(value));
  globals->set("messages", interpreter.from_json(messages));
  globals->set("tools", interpreter.from_json(tools));
  jinja::TextBuilder out(interpreter.budget(), program_->limits.output_bytes, "output");
  // Macros of the template may hold its scope, and the interpreter empties what they hold.
  interpreter.keep(globals);
  jinja::run_body(program_->body, interpreter, *globals->inner(), out);
  return {out.bytes(), out.generated()};
}

}  // namespace finetune
