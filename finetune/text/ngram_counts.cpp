#include "finetune/text/ngram_counts.h"

#include <algorithm>
#include <map>

namespace finetune {

NgramCounts::NgramCounts(std::size_t largest) : largest_(std::max<std::size_t>(largest, 2)) {}

void NgramCounts::add(const std::string& ngram, std::size_t text) {
  auto found = held_.find(ngram);
  if (found == held_.end()) {
    if (closed_) return;
    if (held_.size() >= largest_) make_room();
    found = held_.emplace(ngram, Count{.texts = lost_}).first;
  }
  Count& count = found->second;
  if (count.last == text + 1) return;
  count.last = text + 1;
  ++count.texts;
}

void NgramCounts::make_room() {
  std::map<std::size_t, std::size_t> held_by_texts;
  for (const auto& [ngram, count] : held_) ++held_by_texts[count.texts];
  std::size_t left = held_.size();
  for (const auto& [texts, held] : held_by_texts) {
    if (left <= largest_ / 2) break;
    left -= held;
    lost_ = texts;
  }
  std::erase_if(held_, [this](const auto& item) { return item.second.texts <= lost_; });
}

void NgramCounts::recount() {
  closed_ = true;
  for (auto& [ngram, count] : held_) count = {};
}

}  // namespace finetune
