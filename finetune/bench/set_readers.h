// How the files of each public data set become examples, in the order of the files. `folder` is the set's own; `fold`
// counts from 0 and means nothing to a set whose split is given. Prompts of tables and windows are bare slots. All
// throw as PublicSet::read says. Pure but for reading; any thread.
#pragma once

#include <filesystem>

#include "finetune/bench/public_set.h"

namespace finetune {

/// Ten seconds of six signals of a car at 1 Hz, every 5 s -> its speed 5 s after the last one, as a forecast of one
/// step. Split by drive: drive5, live6 and ufpe4 test, live5 validates; standing cars (idle) are left out.
SetExamples read_carobd(const std::filesystem::path& folder, int fold);
/// Summary of a recall document -> its kind, which its name begins with; RONE and RMRP are left out. One example a
/// document. Documents of 2025 and later test; of those before, the campaigns in hash buckets 0 to 2 train, a tenth of
/// them validates.
SetExamples read_nhtsa_recall_docs(const std::filesystem::path& folder, int fold);
/// Last part of a signal's name and its description -> its unit, or "none". Hashed by file, so that siblings stay
/// together.
SetExamples read_vss_unit(const std::filesystem::path& folder, int fold);

/// Description of a room, never its name -> one of 37 biomes. Hashed by room.
SetExamples read_light_world(const std::filesystem::path& folder, int fold);
/// 18 columns of a player -> league 1 to 8; "?" is missing. Hashed by player.
SetExamples read_skillcraft1(const std::filesystem::path& folder, int fold);

/// Grade and five numbers of a cycle -> failure or not (0, 1); the columns that name the failure are left out. Hashed
/// by cycle.
SetExamples read_ai4i2020(const std::filesystem::path& folder, int fold);
/// The last 30 cycles of an engine, of the sensors that are not constant in the training file -> cycles left, at most
/// 125. Training windows end at every fifth cycle from the 30th; every tenth engine validates; test is official.
SetExamples read_cmapss_fd001(const std::filesystem::path& folder, int fold);
/// Work order -> failure mode, behind the last comma of a line. The three official files together, hashed by text.
SetExamples read_fmc_mwo2kg(const std::filesystem::path& folder, int fold);

/// "Task: <title>" -> its steps, a line each; equal plans of a title once. Hashed by title.
SetExamples read_virtualhome(const std::filesystem::path& folder, int fold);
/// 24 ranges of one moment -> one of four moves. Split by time: the last quarter tests, of what is before it the last
/// tenth validates.
SetExamples read_wall_following(const std::filesystem::path& folder, int fold);

}  // namespace finetune
