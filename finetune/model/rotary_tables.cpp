#include "finetune/model/rotary_tables.h"

namespace finetune {

using kernels::Tensor;

RotaryTables::RotaryTables(const ModelConfig& config) : config_(config), tables_(config.rotaries.size()) {
  for (const RotaryConfig& rotary : config.rotaries)
    frequencies_.push_back(Tensor::from(inverse_frequencies(rotary, config.head_dim, 0)));
}

void RotaryTables::make(kernels::Context& context, const Tensor& positions, const Tensor& cu_seqlens) {
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    const RotaryConfig& rotary = config_.rotaries[i];
    if (rotary.by_length())
      make_by_document(context, i, positions, cu_seqlens);
    else
      kernels::make_rotary_table(context, positions, frequencies_[i], static_cast<float>(rotary.attention_factor),
                                 tables_[i]);
  }
}

void RotaryTables::make_by_document(kernels::Context& context, std::size_t index, const Tensor& positions,
                                    const Tensor& cu_seqlens) {
  const RotaryConfig& rotary = config_.rotaries[index];
  const auto borders = cu_seqlens.values<std::int32_t>();
  kernels::RotaryTable& table = tables_[index];
  kernels::RotaryTable part;
  table.cosine.resize({positions.count(), config_.head_dim / 2});
  table.sine.resize({positions.count(), config_.head_dim / 2});
  for (std::size_t document = 0; document + 1 < borders.size(); ++document) {
    const std::int64_t begin = borders[document], end = borders[document + 1];
    if (begin == end) continue;
    const Tensor rows = positions.slice_rows(begin, end);
    const std::int64_t length = rows.values<std::int32_t>().back() + 1;
    kernels::make_rotary_table(context, rows, Tensor::from(inverse_frequencies(rotary, config_.head_dim, length)),
                               static_cast<float>(rotary.attention_factor), part);
    table.cosine.slice_rows(begin, end).copy_from(part.cosine);
    table.sine.slice_rows(begin, end).copy_from(part.sine);
  }
}

}  // namespace finetune
