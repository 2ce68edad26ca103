// Which agents a deployment is for: "line=3", "site=ulsan,line=3" (all must match), "name=edge-01", or "*" for all.
// Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace deploy {

using Labels = std::map<std::string, std::string>;

/// "line=3,site=ulsan" -> labels. Throws kInvalidInput with the part at fault; an empty text gives no labels.
Labels parse_labels(std::string_view text);
/// True if every pair of the selector is among the labels; `name` counts as the label "name".
/// Throws kInvalidInput for a malformed or empty selector.
bool selects(std::string_view selector, std::string_view name, const Labels& labels);

}  // namespace deploy
