// `anneal completion`: the shell's tab completion, made of the same tables that dispatch and --help read.
#include <cstdio>

#include "web/client/client_command.h"
#include "web/client/commands.h"

namespace web {
namespace {

std::string words_of(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// The words that may follow "anneal COMMAND" and "anneal COMMAND ACTION".
std::string branches() {
  std::string text;
  for (const ClientCommand& command : client_commands()) {
    const std::string name(command.name);
    std::vector<std::string> actions;
    for (const ClientAction& action : command.actions) {
      const std::string options = words_of(command_line_of(command, action).option_names());
      if (!action.name.empty()) actions.emplace_back(action.name);
      text += "    \"" + name + (action.name.empty() ? "" : " " + std::string(action.name)) + "\") words=\"" + options +
              "\";;\n";
    }
    if (!actions.empty()) text += "    \"" + name + "\") words=\"" + words_of(actions) + "\";;\n";
  }
  return text;
}

// The same of commands that speak to no server: they say their options themselves.
std::string local_branches(const LocalActions& local) {
  std::string text;
  for (const auto& [command, actions] : local) {
    text += "    \"" + command + "\") words=\"" + words_of(actions) + "\";;\n";
    for (const std::string& action : actions)
      text += "    \"" + command + " " + action + "\") words=\"$(_anneal_options " + command + " " + action + ")\";;\n";
  }
  return text;
}

}  // namespace

std::string bash_completion(const std::vector<std::string>& commands, const LocalActions& local) {
  return "_anneal() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\" place=\"${COMP_WORDS[1]}\"\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then words=\"" +
         words_of(commands) +
         "\"; else\n"
         "    case \"$place\" in\n"
         "      *) [ \"$COMP_CWORD\" -gt 2 ] && [ -n \"$(_anneal_words \"$place ${COMP_WORDS[2]}\")\" ] && "
         "place=\"$place ${COMP_WORDS[2]}\";;\n"
         "    esac\n"
         "    words=\"$(_anneal_words \"$place\")\"\n"
         "  fi\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  [ ${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- \"$current\"))\n"
         "}\n"
         "_anneal_words() {\n"
         "  local words=\"\"\n"
         "  case \"$1\" in\n" +
         branches() + local_branches(local) +
         "    *\" \"*) ;;\n"
         "    *) words=\"$(_anneal_options \"$1\")\";;\n"
         "  esac\n"
         "  echo \"$words\"\n"
         "}\n"
         "_anneal_options() {\n"
         "  anneal \"$@\" --help 2>/dev/null | grep -oE -- '(^| )--[a-z][a-z-]*' | tr -d ' ' | sort -u | tr '\\n' ' '\n"
         "}\n"
         "complete -F _anneal anneal\n";
}

}  // namespace web
