#include "web/client/dataset_examples.h"

#include "finetune/train/example_encoding.h"
#include "platform/base/data_folder.h"
#include "web/client/server_connection.h"

namespace web {

using platform::CommandLine;
using platform::Error;
using platform::ErrorCode;

std::filesystem::path base_of(const CommandLine& line) {
  const std::string name = line.text("base");
  if (std::filesystem::exists(std::filesystem::path(name) / "tokenizer.json") ||
      std::filesystem::exists(std::filesystem::path(name) / "tokenizer.model"))
    return name;
  return platform::base_folder(platform::data_folder(line.text("data-folder")), name);
}

std::optional<std::vector<platform::Example>> examples_of_file(const CommandLine& line) {
  if (line.has("data") && line.has("NAME"))
    throw Error(ErrorCode::kInvalidInput, "a dataset's name and --data are both given; give one", "data");
  if (line.has("data")) return finetune::read_examples(line.text("data"));
  if (line.has("NAME")) return std::nullopt;
  throw Error(ErrorCode::kInvalidInput, "give the name of a dataset, or a file of examples with --data", "NAME");
}

std::vector<platform::Example> examples_of_version(ServerConnection& server, const CommandLine& line) {
  const std::string path =
      "/datasets/" + segment(line.text("NAME")) + "/versions/" + segment(line.text("version")) + "/examples";
  const platform::HttpResponse answer = server.send(platform::Method::kGet, path, {}, {});
  return finetune::examples_from_lines(answer.checked().body, line.text("NAME"));
}

}  // namespace web
