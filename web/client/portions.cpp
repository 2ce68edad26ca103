#include "web/client/portions.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "platform/base/error.h"

namespace web {

using platform::Error;
using platform::ErrorCode;

namespace {

constexpr std::size_t kRequestLimit = std::size_t{60} << 20;  // the server's own is 64 MiB
constexpr std::size_t kSample = 64 << 10;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string format_of_name(const std::string& file) {
  const std::string extension = std::filesystem::path(file).extension().string();
  if (extension == ".jsonl" || extension == ".ndjson") return "ndjson";
  if (extension == ".json") return "json";
  if (extension == ".csv" || extension == ".tsv") return "csv";
  return {};
}

std::string format_of_content(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == std::string_view::npos) return "csv";
  return text[first] == '[' ? "json" : text[first] == '{' ? "ndjson" : "csv";
}

std::string content_type_of(const std::string& format) {
  if (format == "json") return "application/json";
  if (format == "ndjson") return "application/x-ndjson";
  return format == "csv" ? "text/csv" : "text/plain";  // plain text: the source's own format decides
}

std::int64_t newlines(std::string_view text) { return std::count(text.begin(), text.end(), '\n'); }

}  // namespace

std::string content_type_of_name(const std::string& file) {
  const std::string format = format_of_name(file);
  return format.empty() ? std::string() : content_type_of(format);
}

PortionReader::PortionReader(const std::string& file, connectors::InputFormat input, std::size_t portion_bytes)
    : file_(file), input_(std::move(input)), portion_bytes_(std::min(portion_bytes, kRequestLimit)) {
  if (file == "-") {
    descriptor_ = platform::FileDescriptor(::dup(STDIN_FILENO));
  } else {
    descriptor_ = platform::FileDescriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!descriptor_) platform::throw_errno("reading " + file, errno);
    struct stat status {};
    if (::fstat(descriptor_.get(), &status) == 0) {
      if (S_ISDIR(status.st_mode))
        throw Error(ErrorCode::kInvalidInput,
                    file + " is a folder; name its files, or create a source with --connector file");
      if (S_ISREG(status.st_mode)) total_bytes_ = static_cast<std::uint64_t>(status.st_size);
    }
  }
  fill(portion_bytes_);
  if (buffer_.starts_with("\x1F\x8B"))
    throw Error(ErrorCode::kInvalidInput,
                file + " is compressed; send it as gzip -dc " + file + " | anneal ingest SOURCE -");
  find_format();
}

// Reads until the buffer holds `bytes` or the file ends.
void PortionReader::fill(std::size_t bytes) {
  while (!ended_ && buffer_.size() < bytes) {
    const std::size_t have = buffer_.size();
    buffer_.resize(have + std::min<std::size_t>(bytes - have, std::size_t{1} << 20));
    const ssize_t got = ::read(descriptor_.get(), buffer_.data() + have, buffer_.size() - have);
    const int failure = errno;
    buffer_.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && failure != EINTR) platform::throw_errno("reading " + file_, failure);
    if (got == 0) ended_ = true;
  }
  if (!ended_ && total_bytes_ && *total_bytes_ == buffer_.size()) ended_ = true;
}

void PortionReader::find_format() {
  const std::string by_name = format_of_name(file_);
  if (by_name == "csv" && input_.format == "lines")
    format_ = "lines";
  else if (!by_name.empty())
    format_ = by_name;
  else
    format_ = input_.format.empty() ? format_of_content(buffer_) : input_.format;
}

std::optional<Portion> PortionReader::next() {
  if (!begun_) {
    begun_ = true;
    if (ended_) return whole_file();
    if (format_ == "json") {
      fill(kRequestLimit + 1);
      if (!ended_)
        throw Error(ErrorCode::kTooLarge, file_ +
                                              " is a JSON array of more than 60 MiB; write one record a line, such as "
                                              "with jq -c '.[]', and send that");
      return whole_file();
    }
    take_heading();
  }
  fill(portion_bytes_);
  if (buffer_.empty()) return std::nullopt;
  return cut();
}

Portion PortionReader::whole_file() {
  Portion portion;
  portion.content_type = content_type_of(format_);
  portion.file_bytes = buffer_.size();
  portion.body = std::move(buffer_);
  buffer_.clear();
  return portion;
}

// By the rules of the server for a whole file, so that every portion is read alike.
void PortionReader::take_heading() {
  if (format_ != "csv") return;
  if (buffer_.starts_with(kByteOrderMark)) buffer_.erase(0, kByteOrderMark.size());
  std::optional<connectors::TableShape> shape = connectors::table_shape(buffer_, input_, ended_);
  while (!shape && !ended_ && buffer_.size() < kRequestLimit) {
    fill(buffer_.size() * 2);
    shape = connectors::table_shape(buffer_, input_, ended_);
  }
  if (!shape) return;  // no row of data: nothing is there to be cut
  shape_ = *std::move(shape);
  if (!shape_.header) return;
  connectors::CsvParser parser(buffer_, shape_.dialect, ended_);
  connectors::CsvRow first;
  do {
    if (!parser.next(first)) return;
    rows_before_heading_ += first.error.empty() ? 0 : 1;
  } while (!first.error.empty());
  before_heading_ = buffer_.substr(0, first.begin);
  heading_ = buffer_.substr(first.begin, first.end - first.begin);
  lines_before_ = newlines(before_heading_) + newlines(heading_);
  buffer_.erase(0, first.end);
}

PortionReader::Extent PortionReader::rows_of_table() const {
  Extent extent;
  connectors::CsvParser parser(buffer_, shape_.dialect, ended_);
  for (connectors::CsvRow row; parser.next(row);) ++extent.records;
  extent.bytes = ended_ ? buffer_.size() : parser.consumed();
  return extent;
}

PortionReader::Extent PortionReader::lines_of_text() const {
  Extent extent;
  const std::size_t last = buffer_.rfind('\n');
  extent.bytes = ended_ ? buffer_.size() : last == std::string::npos ? 0 : last + 1;
  for (std::size_t at = 0; at < extent.bytes;) {
    const std::size_t end = std::min(buffer_.find('\n', at), extent.bytes);
    if (std::string_view(buffer_).substr(at, end - at).find_first_not_of(" \t\r") != std::string_view::npos)
      ++extent.records;
    at = end + 1;
  }
  return extent;
}

Portion PortionReader::cut() {
  Extent extent = format_ == "csv" ? rows_of_table() : lines_of_text();
  while (extent.bytes == 0 && !ended_ && buffer_.size() < kRequestLimit) {
    fill(buffer_.size() * 2);
    extent = format_ == "csv" ? rows_of_table() : lines_of_text();
  }
  if (extent.bytes == 0)
    throw Error(ErrorCode::kTooLarge, file_ + ":" + std::to_string(lines_before_ + 1) +
                                          ": a record of more than 60 MiB, or a quote that is never closed");
  Portion portion;
  portion.content_type = content_type_of(format_);
  const bool first = std::exchange(first_, false);
  const std::string ahead = first ? before_heading_ + heading_ : heading_;
  portion.file_bytes = extent.bytes + (first ? ahead.size() : 0);
  portion.body = ahead + buffer_.substr(0, extent.bytes);
  portion.line_shift = lines_before_ - newlines(ahead);
  portion.query["first_row"] = std::to_string(input_.first_row + rows_before_);
  if (format_ == "csv") {
    portion.query["header"] = shape_.header ? "true" : "false";
    portion.query["delimiter"] = std::string(1, shape_.dialect.delimiter);
    portion.query["decimal_comma"] = shape_.decimal_comma.value_or(false) ? "true" : "false";
  }
  if (first) rows_before_ = rows_before_heading_;
  lines_before_ += newlines(std::string_view(buffer_).substr(0, extent.bytes));
  rows_before_ += extent.records;
  buffer_.erase(0, extent.bytes);
  return portion;
}

}  // namespace web
