// Small files of each set's form, made here, with what the reader's rules make of them.
#include "finetune/bench/set_readers.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "finetune/bench/hash_split.h"
#include "platform/base/error.h"
#include "platform/base/file.h"
#include "tests/finetune/bench/zip_archive.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
using platform::Example;
using platform::Split;

class SetReaders : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const {
    const fs::path file = folder() / name;
    fs::create_directories(file.parent_path());
    platform::write_file_atomically(file, text);
  }
  fs::path folder() const { return folder_.path(); }
  // What the reader says, without the folder.
  std::string refusal(SetExamples (*read)(const fs::path&, int)) const {
    try {
      read(folder(), 0);
    } catch (const platform::Error& error) {
      std::string message = error.what();
      const std::string prefix = folder().string() + "/";
      if (const std::size_t at = message.find(prefix); at != std::string::npos) message.erase(at, prefix.size());
      return message;
    }
    ADD_FAILURE() << "nothing was refused";
    return {};
  }
  platform::TemporaryFolder folder_;
};

std::vector<std::string> ids_of(const SetExamples& examples, Split split) {
  std::vector<std::string> ids;
  for (const Example& example : examples) {
    if (example.split == split) ids.push_back(example.id);
  }
  return ids;
}

using Ids = std::vector<std::string>;

TEST_F(SetReaders, Ai4iTakesFiveNumbersAndTheGradeAndNeverTheKindOfFailure) {
  write("data/raw/ai4i2020.csv",
        "\xEF\xBB\xBFUDI,Product ID,Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque "
        "[Nm],Tool wear [min],Machine failure,TWF,HDF,PWF,OSF,RNF\n"
        "1,M1,M,298.1,308.6,1551,42.8,0,0,0,0,0,0,0\n"
        "10,L1,L,298.2,308.7,1408,46.3,3,1,1,0,0,0,0\n"
        "18,H1,H,298,308,1400,46,5,0,0,0,0,0,0\n");
  const SetExamples examples = read_ai4i2020(folder(), 0);
  ASSERT_EQ(examples.size(), 3u);
  const Example& first = examples[0];
  EXPECT_EQ(first.prompt,
            "{{ category:grade }} {{ number:air_temperature }} {{ number:process_temperature }} "
            "{{ number:rotational_speed }} {{ number:torque }} {{ number:tool_wear }} ->");
  EXPECT_EQ(first.numbers.at("torque"), 42.8);
  EXPECT_EQ(first.numbers.size(), 5u);
  EXPECT_EQ(first.categories.at("grade"), "M");
  EXPECT_EQ(first.label, "0");
  EXPECT_EQ(examples[1].label, "1");
  EXPECT_EQ(ids_of(examples, Split::kTest), Ids{"1"});
  EXPECT_EQ(ids_of(examples, Split::kTrain), Ids{"10"});
  EXPECT_EQ(ids_of(examples, Split::kValidation), Ids{"18"});
  write("data/raw/ai4i2020.csv",
        "UDI,Type,Air temperature [K],Process temperature [K],Rotational speed [rpm],Torque [Nm],Tool wear "
        "[min],Machine failure\n1,M,298.1,308.6,fast,42.8,0,0\n");
  EXPECT_EQ(refusal(read_ai4i2020), "data/raw/ai4i2020.csv:2: a number is expected, not \"fast\"");
}

TEST_F(SetReaders, SkillcraftKeepsMissingColumnsAndTheLeague) {
  write("SkillCraft1_Dataset.csv", "GameID,LeagueIndex,Age,APM\n21,5,27,143.7\n8,8,?,100\n3,1,,9\n");
  const SetExamples examples = read_skillcraft1(folder(), 0);
  ASSERT_EQ(examples.size(), 3u);
  EXPECT_EQ(examples[0].prompt, "{{ number:Age }} {{ number:APM }} ->");
  EXPECT_EQ(examples[0].numbers.at("Age"), 27.0);
  EXPECT_EQ(examples[1].numbers.at("Age"), std::nullopt);
  EXPECT_EQ(examples[2].numbers.at("Age"), std::nullopt);
  EXPECT_EQ(examples[1].label, "8");
  EXPECT_EQ(ids_of(examples, Split::kTrain), Ids{"21"});
  EXPECT_EQ(ids_of(examples, Split::kValidation), Ids{"8"});
  EXPECT_EQ(ids_of(examples, Split::kTest), Ids{"3"});
}

std::string ranges(const std::string& move) {
  std::string row;
  for (int i = 1; i <= 24; ++i) row += "0." + std::to_string(i) + ",";
  return row + move + "\n";
}

TEST_F(SetReaders, WallFollowingIsSplitByTime) {
  std::string rows = "header," + ranges("OUTPUT").substr(4);
  for (int i = 0; i < 40; ++i) rows += ranges(i % 2 == 0 ? "Move-Forward" : "Sharp-Right-Turn");
  write("sensor_readings_24.data", rows);
  const SetExamples examples = read_wall_following(folder(), 0);
  ASSERT_EQ(examples.size(), 40u);
  EXPECT_EQ(examples[0].numbers.size(), 24u);
  EXPECT_EQ(examples[0].numbers.at("S24"), 0.24);
  EXPECT_EQ(examples[1].label, "Sharp-Right-Turn");
  EXPECT_EQ(ids_of(examples, Split::kValidation), (Ids{"27", "28", "29"}));
  EXPECT_EQ(ids_of(examples, Split::kTest).size(), 10u);
  EXPECT_EQ(ids_of(examples, Split::kTest).front(), "30");
  write("sensor_readings_24.data", "a,b\n1,2\n");
  EXPECT_EQ(refusal(read_wall_following), "sensor_readings_24.data:2: 24 ranges and a move are expected");
}

TEST_F(SetReaders, FailureModesStandBehindTheLastCommaAndAreHashedByText) {
  const std::string place = "mwo2kg/failure_mode_classification/input_data/";
  write(place + "train.txt", "word 7,Breakdown\n\nword 18, loud,Noise\n");
  write(place + "dev.txt", "word 3,Leaking\r\n");
  write(place + "test.txt", "open {{ bracket,Structural deficiency\n");
  const SetExamples examples = read_fmc_mwo2kg(folder(), 0);
  ASSERT_EQ(examples.size(), 4u);
  EXPECT_EQ(examples[0].prompt, "Failure mode of: word 7 ->");
  EXPECT_EQ(examples[0].label, "Breakdown");
  EXPECT_EQ(examples[1].prompt, "Failure mode of: word 18, loud ->");
  EXPECT_EQ(examples[1].label, "Noise");
  EXPECT_EQ(examples[2].label, "Leaking");
  EXPECT_EQ(examples[3].prompt, "Failure mode of: open { { bracket ->");
  EXPECT_EQ(examples[0].split, Split::kTest) << "bucket 0";
  EXPECT_EQ(read_fmc_mwo2kg(folder(), 4)[0].split, Split::kValidation);
  EXPECT_EQ(read_fmc_mwo2kg(folder(), 2)[2].split, Split::kTest) << "bucket 4";
  write(place + "dev.txt", "word 3,Leaking\nno mode\n");
  EXPECT_EQ(refusal(read_fmc_mwo2kg), place + "dev.txt:2: no comma before a failure mode");
}

// 26 numbers: unit, cycle, settings, sensors that all stand still but s2 and s5.
std::string cycle(int unit, int number, int s2, int s5) {
  std::string line = std::to_string(unit) + " " + std::to_string(number) + " 0 0 100";
  for (int sensor = 1; sensor <= 21; ++sensor)
    line += " " + std::to_string(sensor == 2 ? s2 : sensor == 5 ? s5 : 7) + ".5";
  return line + "  \n";
}

TEST_F(SetReaders, EnginesAreCutIntoWindowsWithoutConstantSensorsAndCappedTargets) {
  std::string train, test;
  for (int i = 1; i <= 161; ++i) train += cycle(1, i, i, 1);
  for (int i = 1; i <= 34; ++i) train += cycle(10, i, i, 1);
  for (int i = 1; i <= 31; ++i) test += cycle(1, i, i, i);  // s5 moves in the test part alone
  for (int i = 1; i <= 20; ++i) test += cycle(2, i, i, i);
  write("data/raw/train_FD001.txt", train);
  write("data/raw/test_FD001.txt", test);
  write("data/raw/RUL_FD001.txt", "140\n9 \n");
  const SetExamples examples = read_cmapss_fd001(folder(), 0);
  const Ids trained = ids_of(examples, Split::kTrain);
  ASSERT_EQ(trained.size(), 27u) << "every fifth cycle from 30 to 160";
  EXPECT_EQ(trained.front(), "1-30");
  EXPECT_EQ(trained.back(), "1-160");
  EXPECT_EQ(ids_of(examples, Split::kValidation), Ids{"10-30"});
  EXPECT_EQ(ids_of(examples, Split::kTest), (Ids{"t1", "t2"}));
  const Example& first = examples.front();
  EXPECT_EQ(first.prompt, "s2 {{ signal:s2 }} ->");
  EXPECT_EQ(first.signals.size(), 1u);
  EXPECT_EQ(first.signals.at("s2").rate_hz, 0);
  EXPECT_EQ(first.signals.at("s2").values.size(), 30u);
  EXPECT_EQ(first.signals.at("s2").values.back(), 30.5f);
  EXPECT_EQ(first.value, 125.0) << "131 cycles are left, and the target is capped";
  EXPECT_EQ(examples[26].value, 1.0);
  const Example& tested = examples[examples.size() - 2];
  EXPECT_EQ(tested.value, 125.0);
  EXPECT_EQ(tested.signals.at("s2").values.front(), 2.5f) << "the last 30 of 31";
  EXPECT_EQ(examples.back().value, 9.0);
  EXPECT_EQ(examples.back().signals.at("s2").values.size(), 20u);
}

TEST_F(SetReaders, EnginesNeedWholeLinesAndATruthForEach) {
  write("data/raw/train_FD001.txt", cycle(1, 1, 1, 1) + "1 2 3\n");
  write("data/raw/test_FD001.txt", cycle(1, 1, 1, 1));
  write("data/raw/RUL_FD001.txt", "1\n2\n");
  EXPECT_EQ(refusal(read_cmapss_fd001), "data/raw/train_FD001.txt:2: a cycle has 26 numbers, this one 3");
  write("data/raw/train_FD001.txt", cycle(1, 1, 1, 1));
  EXPECT_EQ(refusal(read_cmapss_fd001), "data/raw/RUL_FD001.txt:2: the file ends; 1 engines are tested");
}

std::string drive(int seconds, int columns) {
  std::string rows = "time,rpm,speed\n";
  for (int i = 0; i < seconds; ++i) {
    for (int c = 0; c < columns; ++c) rows += (c == 0 ? "" : ", ") + std::to_string(100 * c + i) + ".000000";
    rows += "\n";
  }
  return rows;
}

TEST_F(SetReaders, DrivesAreCutIntoWindowsThatForecastTheSpeed) {
  write("obdiidata/drive1.csv", drive(24, 22));
  write("obdiidata/live5.csv", drive(15, 27) + "16, 1\n");  // switched off in the middle of a row
  write("obdiidata/ufpe4.csv", drive(14, 27));              // too short for one window
  write("obdiidata/live6.csv", drive(20, 24));
  write("obdiidata/idle1.csv", "not read\n");
  const SetExamples examples = read_carobd(folder(), 0);
  EXPECT_EQ(ids_of(examples, Split::kTrain), (Ids{"drive1-0", "drive1-5"}));
  EXPECT_EQ(ids_of(examples, Split::kValidation), Ids{"live5-0"});
  EXPECT_EQ(ids_of(examples, Split::kTest), (Ids{"live6-0", "live6-5"}));
  const Example& second = examples[1];
  EXPECT_EQ(second.prompt,
            "{{ signal:rpm }} {{ signal:speed }} {{ signal:throttle }} {{ signal:load }} {{ signal:pressure }} "
            "{{ signal:timing }} ->");
  EXPECT_EQ(second.signals.at("speed").values.front(), 205.0f);
  EXPECT_EQ(second.signals.at("speed").values.back(), 214.0f);
  EXPECT_EQ(second.signals.at("timing").values.front(), 1805.0f);
  EXPECT_EQ(second.signals.at("pressure").rate_hz, 1.0);
  EXPECT_EQ(second.values, (std::vector<std::optional<double>>{219.0})) << "five seconds after the window";
  EXPECT_FALSE(second.value.has_value());
  write("obdiidata/drive1.csv",
        "time\n" + drive(2, 22).substr(15) + "1,2,3,4,5,6,7,8,9,x" + std::string(12, ',') + "\n");
  EXPECT_EQ(refusal(read_carobd), "obdiidata/drive1.csv:4: a number is expected, not \"x\"");
}

std::string recalls(const std::vector<std::array<std::string, 3>>& rows) {
  std::string text = "\"NHTSA ID\",\"DOCUMENT NAME\",\"MAKE\",\"SUMMARY\"\r\n";
  for (const auto& [campaign, document, summary] : rows)
    text += "\"" + campaign + "\",\"" + document + "\",\"M\",\"" + summary + "\"\r\n";
  return text;
}

TEST_F(SetReaders, RecallDocumentsAreTakenOnceAndSplitByYearAndCampaign) {
  // Campaigns by bucket: 20V016 0, 20V016 also validates; 20V004 1, 20V017 2, 20V005 3.
  write("data/raw/RCL_FROM_2020_2024.zip",
        support::zip_archive(recalls({{"20V004", "RCMN-20V004-1.pdf", "first"},
                                      {"20V004", "RCMN-20V004-1.pdf", "the same for another model"},
                                      {"20V016", "RCRIT-20V016-2.pdf", "two\nlines"},
                                      {"20V017", "RONE-20V017-3.pdf", "left out"},
                                      {"20V005", "RCMN-20V005-4.pdf", "not in the sample"}})));
  write("data/raw/RCL_FROM_2025_2026.zip",
        support::zip_archive(recalls({{"20V005", "RCMN-20V005-4.pdf", "was seen in the first file"},
                                      {"25C004", "RCONL-25C004-6.pdf", "a {{ letter"},
                                      {"25C004", "RMRP-25C004-7.pdf", "left out"}})));
  const SetExamples examples = read_nhtsa_recall_docs(folder(), 0);
  ASSERT_EQ(examples.size(), 3u);
  EXPECT_EQ(examples[0].prompt, "Recall document: first ->");
  EXPECT_EQ(examples[0].label, "RCMN");
  EXPECT_EQ(examples[0].split, Split::kTrain);
  EXPECT_EQ(examples[1].prompt, "Recall document: two\nlines ->");
  EXPECT_EQ(examples[1].split, Split::kValidation);
  EXPECT_EQ(examples[2].prompt, "Recall document: a { { letter ->");
  EXPECT_EQ(examples[2].label, "RCONL");
  EXPECT_EQ(examples[2].split, Split::kTest);
  write("data/raw/RCL_FROM_2025_2026.zip", "PK no archive at all, but long enough");
  EXPECT_NE(refusal(read_nhtsa_recall_docs).find("RCL_FROM_2025_2026.zip is no whole ZIP archive"), std::string::npos);
}

TEST_F(SetReaders, RoomsAreToldByTheirDescriptionAlone) {
  write("projects/aaai_world_building/ml-aided-maps/src/rooms.json",
        R"([{"category": "Desert", "name": "Sand, says the name", "description": "Hot.", "id": 1},
            {"category": "Lake", "name": "n", "description": "Wet.", "id": 22}])");
  const SetExamples examples = read_light_world(folder(), 0);
  ASSERT_EQ(examples.size(), 2u);
  EXPECT_EQ(examples[0].prompt, "Room: Hot. ->");
  EXPECT_EQ(examples[0].label, "Desert");
  EXPECT_EQ(ids_of(examples, Split::kTest), Ids{"1"}) << "bucket 0";
  EXPECT_EQ(ids_of(examples, Split::kValidation), Ids{"22"}) << "bucket 2";
  write("projects/aaai_world_building/ml-aided-maps/src/rooms.json", R"([{"category": "Desert", "id": 1}])");
  EXPECT_NE(refusal(read_light_world).find("rooms.json[0].description"), std::string::npos)
      << refusal(read_light_world);
}

TEST_F(SetReaders, SignalsAreHashedByFileAndBranchesAreNone) {
  write("spec/D.vspec",
        "# comment\nSeat:\n  type: branch\n  description: none\nSeat.Row.Height:\n  datatype: uint8\n  type: sensor\n"
        "  unit: mm\n  description: How high\n    it is.\n");
  write("spec/B.vspec", "IsOpen:\n  datatype: boolean\n  type: actuator\n  description: Open.\n");
  write("spec/units.yaml", "mm: not read\n");
  const SetExamples examples = read_vss_unit(folder(), 0);
  ASSERT_EQ(examples.size(), 2u);
  EXPECT_EQ(examples[0].prompt, "IsOpen : Open. ->");
  EXPECT_EQ(examples[0].label, "none");
  EXPECT_EQ(examples[0].split, Split::kValidation) << "B.vspec lies in bucket 2";
  EXPECT_EQ(examples[1].prompt, "Height : How high it is. ->");
  EXPECT_EQ(examples[1].label, "mm");
  EXPECT_EQ(examples[1].split, Split::kTest) << "D.vspec lies in bucket 0";
  write("spec/B.vspec", "IsOpen:\n  type: actuator\n  type: sensor\n");
  EXPECT_NE(refusal(read_vss_unit).find("B.vspec:3:"), std::string::npos) << refusal(read_vss_unit);
}

TEST_F(SetReaders, EqualPlansOfATitleCountOnceAndTitlesStayTogether) {
  write("src/available_examples.json",
        R"(["Task: Watch TV\nStep 1: Find remote\n\n Step 2: Sit\n", "Task: watch TV\nStep 1: Find remote\nStep 2: Sit",
            "Task: Watch TV\nStep 1: Sit", "Task: Relax\nStep 1: Lie", "Task: Sleep\nStep 1: Lie"])");
  const SetExamples examples = read_virtualhome(folder(), 0);
  ASSERT_EQ(examples.size(), 4u);
  EXPECT_EQ(examples[0].prompt, "Task: Watch TV\n");
  EXPECT_EQ(examples[0].completion, "Step 1: Find remote\nStep 2: Sit");
  EXPECT_EQ(ids_of(examples, Split::kTest), (Ids{"0", "1"}));
  EXPECT_EQ(ids_of(examples, Split::kValidation), Ids{"2"});
  EXPECT_EQ(ids_of(examples, Split::kTrain), Ids{"3"});
  write("src/available_examples.json", R"(["Task: Relax\nStep 1: Lie", "Task: Relax"])");
  EXPECT_EQ(refusal(read_virtualhome), "src/available_examples.json[1]: a plan needs a title and steps");
}

TEST_F(SetReaders, SayWhichFileIsNotThere) {
  for (const auto read :
       {read_ai4i2020, read_carobd, read_cmapss_fd001, read_fmc_mwo2kg, read_light_world, read_nhtsa_recall_docs,
        read_skillcraft1, read_virtualhome, read_vss_unit, read_wall_following}) {
    try {
      read(folder() / "absent", 0);
      ADD_FAILURE() << "an absent set was read";
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kNotFound) << error.what();
      EXPECT_NE(std::string(error.what()).find("absent"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace finetune
