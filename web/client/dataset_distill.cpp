#include "web/client/dataset_distill.h"

#include <cstdio>
#include <fstream>

#include "finetune/commands/progress_line.h"
#include "platform/base/digest.h"
#include "platform/base/file.h"
#include "web/client/dataset_examples.h"
#include "web/client/student.h"
#include "web/client/table.h"
#include "web/client/teacher.h"

namespace web {
namespace {

namespace json = platform::json;
using platform::CommandLine;
using platform::Error;
using platform::ErrorCode;
using Examples = std::vector<platform::Example>;

std::int64_t between(const CommandLine& line, const char* name, std::int64_t least, std::int64_t most) {
  const std::int64_t value = line.integer(name);
  if (value >= least && value <= most) return value;
  throw Error(ErrorCode::kInvalidInput,
              "--" + std::string(name) + " is " + std::to_string(value) + "; it is " + std::to_string(least) + " to " +
                  std::to_string(most),
              name);
}

TeacherOptions teacher_options(const CommandLine& line) {
  TeacherOptions options;
  options.url = line.text("teacher");
  options.model = line.text("model");
  options.max_tokens = between(line, "max-tokens", 1, 8192);
  options.top = between(line, "top", 0, 20);
  options.temperature = line.number("temperature");
  options.seed = between(line, "seed", 0, std::int64_t{1} << 53);
  if (line.has("teacher-token-file")) {
    options.token = platform::read_file(line.text("teacher-token-file"));
    options.token.erase(options.token.find_last_not_of(" \t\r\n") + 1);
  }
  return options;
}

// What is known so far: a first line that names the request, then a line for each example that was asked, in their
// order; "null" where the teacher gave no whole answer. It grows by whole lines, so that a stopped command goes on.
class Answers {
 public:
  Answers(const std::filesystem::path& out, const std::string& request) : file_(out.string() + ".partial") {
    const json::object head{{"request", request}};
    if (std::filesystem::exists(file_)) take(platform::canonical_json(head));
    platform::write_file_atomically(file_, text(platform::canonical_json(head)));
    stream_.open(file_, std::ios::app | std::ios::binary);
  }
  std::size_t count() const { return lines_.size(); }
  void add(const std::optional<platform::Example>& example) {
    lines_.push_back(example ? platform::canonical_json(platform::to_json(*example)) : "null");
    stream_ << lines_.back() << "\n" << std::flush;
    if (!stream_) throw Error(ErrorCode::kUnavailable, "cannot write " + file_.string());
  }
  const std::vector<std::string>& lines() const { return lines_; }
  void remove() {
    stream_.close();
    std::filesystem::remove(file_);
  }

 private:
  void take(const std::string& head) {
    const std::string all = platform::read_file(file_, std::uint64_t{8} << 30);
    if (all.substr(0, all.find('\n')) != head)
      throw Error(ErrorCode::kConflict,
                  file_.string() + " holds the answers to another request; remove it, or give another --out", "out");
    std::size_t at = all.find('\n') + 1;
    for (std::size_t end = 0; at < all.size() && (end = all.find('\n', at)) != std::string::npos; at = end + 1)
      lines_.push_back(all.substr(at, end - at));
  }
  std::string text(const std::string& head) const {
    std::string all = head + "\n";
    for (const std::string& line : lines_) all += line + "\n";
    return all;
  }

  std::filesystem::path file_;
  std::vector<std::string> lines_;
  std::ofstream stream_;
};

std::string request_key(const Examples& examples, const TeacherOptions& options, const std::string& tokenizer) {
  std::string prompts;
  for (const platform::Example& example : examples) prompts += platform::canonical_json(platform::to_json(example));
  return platform::sha256_hex(platform::canonical_json(json::object{{"prompts", platform::sha256_hex(prompts)},
                                                                    {"teacher", options.url},
                                                                    {"model", options.model},
                                                                    {"tokenizer", tokenizer},
                                                                    {"max_tokens", options.max_tokens},
                                                                    {"top", options.top},
                                                                    {"temperature", options.temperature},
                                                                    {"seed", options.seed}}));
}

bool has_answer(const platform::Example& example) {
  return !example.completion.empty() || (!example.messages.empty() && example.messages.back().role == "assistant");
}

// What tests a model keeps its own answer: the teacher is no judge of itself.
std::optional<platform::Example> answer_to(Teacher& teacher, const Student& student, const platform::Example& asked) {
  if (asked.split == platform::Split::kTest && has_answer(asked)) return asked;
  const TaughtAnswer answer = teacher.ask(asked);
  // An answer that was cut off would teach to end there.
  if (!answer.ended || answer.text.empty()) return std::nullopt;
  return student.taught(asked, answer);
}

int finish(Answers& answers, const CommandLine& line) {
  std::string written;
  std::int64_t whole = 0, with_teacher = 0;
  for (const std::string& text : answers.lines()) {
    if (text == "null") continue;
    written += text + "\n";
    ++whole;
    if (platform::parse_json(text, "an answer").as_object().contains("teacher")) ++with_teacher;
  }
  const auto asked = static_cast<std::int64_t>(answers.count());
  if (whole == 0)
    throw Error(ErrorCode::kInvalidInput,
                "the teacher gave no whole answer to " + std::to_string(asked) + " examples; raise --max-tokens");
  platform::write_file_atomically(line.text("out"), written);
  answers.remove();
  const json::object summary{
      {"file", line.text("out")}, {"examples", whole}, {"with_teacher", with_teacher}, {"left_out", asked - whole}};
  if (line.has("json")) {
    print_json(summary);
    return 0;
  }
  std::printf("Wrote %s: %s answers, %s of them with the teacher's probabilities; %s left out, cut off or empty.\n",
              line.text("out").c_str(), with_separators(whole).c_str(), with_separators(with_teacher).c_str(),
              with_separators(asked - whole).c_str());
  std::printf("Train on it: anneal train --base BASE --data %s --task lm --objective %s --out ADAPTER\n",
              line.text("out").c_str(), with_teacher > 0 ? "distillation" : "sft");
  return 0;
}

int distill(const Examples& examples, const CommandLine& line) {
  const std::filesystem::path base = base_of(line);
  const Student student(base);
  Teacher teacher(teacher_options(line));
  TeacherOptions settled = teacher_options(line);
  settled.model = teacher.model();
  Answers answers(line.text("out"), request_key(examples, settled, student.tokenizer_digest()));
  finetune::StageLine stages;
  stages.begin("asking " + teacher.model() + " at " + settled.url);
  while (answers.count() < examples.size()) {
    stages.tick();
    answers.add(answer_to(teacher, student, examples[answers.count()]));
  }
  stages.done();
  return finish(answers, line);
}

}  // namespace

void declare_distill(CommandLine& line) {
  line.argument("NAME", "name of the dataset with the prompts; none with --data", false);
  line.option("version", "N", "number of the version, or latest", {.fallback = "latest"});
  line.option("data", "FILE", "JSON lines of examples, instead of a dataset of the server");
  line.option("teacher", "URL", "server that speaks OpenAI's API, such as http://127.0.0.1:8471", {.required = true});
  line.option("model", "NAME", "the teacher's name there; default the only one that the server lists");
  line.option("teacher-token-file", "FILE", "file with the teacher's access token");
  line.option("base", "NAME", "base of the student: a name, or a folder with a tokenizer", {.fallback = "anneal-nano"});
  line.option("out", "FILE", "where to write the answers; a stopped command goes on from FILE.partial",
              {.required = true});
  line.option("top", "N", "likely tokens that are kept for each token of an answer, 0 = answers alone, at most 20",
              {.fallback = "20"});
  line.option("max-tokens", "N", "longest answer; longer ones are left out", {.fallback = "256"});
  line.option("temperature", "X", "of the teacher's choice, 0 = greedy", {.fallback = "0"});
  line.option("seed", "S", "of the teacher's choice", {.fallback = "1"});
}

std::optional<int> distill_file(const CommandLine& line) {
  const auto examples = examples_of_file(line);
  return examples ? std::optional(distill(*examples, line)) : std::nullopt;
}

int distill_version(ServerConnection& server, const CommandLine& line) {
  return distill(examples_of_version(server, line), line);
}

}  // namespace web
