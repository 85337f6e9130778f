// Topology files: what is good gives exactly its delays, and everything else a sentence that names
// the line, the place and the remedy.

#include "bench/wan/topology.h"

#include <filesystem>
#include <gmock/gmock.h>

#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::must;

std::string error_of(const std::string& text) {
  const auto topology = Topology::parse(text, "t.toml");
  if (topology) {
    ADD_FAILURE() << "accepted:\n" << text;
    return "";
  }
  EXPECT_EQ(topology.error().code, ErrorCode::kInvalidArgument);
  return topology.error().message;
}

const std::string kThree = "sites = [\"A\", \"B\", \"C\"]\n";

// ---- What is good ----

TEST(TopologyFile, HalfARoundTripIsOneWay) {
  const Topology t = must(Topology::parse(
      kThree + "rtt_ms = [[0.5, 10, 20], [10, 0, 30.001], [20, 30.001, 0]]\n", "a/three.toml"));

  EXPECT_EQ(t.name(), "three") << "a file without a name is called as it is";
  EXPECT_THAT(t.sites(), ElementsAre("A", "B", "C"));
  EXPECT_EQ(t.one_way_us(0, 1), 5000u);
  EXPECT_EQ(t.one_way_us(1, 0), 5000u);
  EXPECT_EQ(t.round_trip_us(0, 2), 20'000u);
  EXPECT_EQ(t.one_way_us(1, 2), 15'001u) << "to the nearest microsecond";
  EXPECT_EQ(t.one_way_us(0, 0), 250u) << "within the site";
  EXPECT_EQ(t.one_way_us(1, 1), 0u);
}

TEST(TopologyFile, OneWayDelaysMayDifferByDirection) {
  const Topology t =
      must(Topology::parse("name = \"x\"\nsource = \"a ruler\"\nsites = [\"A\", \"B\"]\n"
                           "one_way_ms = [[0, 10], [30, 0]]\n",
                           "t.toml"));

  EXPECT_EQ(t.name(), "x");
  EXPECT_EQ(t.source(), "a ruler");
  EXPECT_EQ(t.one_way_us(0, 1), 10'000u);
  EXPECT_EQ(t.one_way_us(1, 0), 30'000u);
  EXPECT_EQ(t.round_trip_us(0, 1), 40'000u);
}

TEST(TopologyFile, TheUpperTriangleSuffices) {
  for (const char* rows : {"[[10, 20], [30]]", "[[10, 20], [30], []]"}) {
    const Topology t = must(Topology::parse(kThree + "rtt_ms = " + rows + "\n", "t.toml"));

    EXPECT_EQ(t.round_trip_us(0, 1), 10'000u);
    EXPECT_EQ(t.round_trip_us(2, 0), 20'000u);
    EXPECT_EQ(t.round_trip_us(1, 2), 30'000u);
    EXPECT_EQ(t.round_trip_us(2, 2), 0u);
  }
  EXPECT_EQ(
      must(Topology::parse(kThree + "one_way_ms = [[1, 2], [3]]\n", "t.toml")).one_way_us(2, 1),
      3000u);
}

TEST(TopologyFile, ASiteMayBeAlone) {
  EXPECT_EQ(must(Topology::parse("sites = [\"A\"]\nrtt_ms = [[1]]\n", "t.toml")).one_way_us(0, 0),
            500u);
  EXPECT_EQ(must(Topology::parse("sites = [\"A\"]\nrtt_ms = []\n", "t.toml")).one_way_us(0, 0), 0u);
}

TEST(TopologyFile, TwoEndsThatMeasuredAlmostTheSameAreTakenTogether) {
  const Topology t =
      must(Topology::parse("sites = [\"A\", \"B\"]\nrtt_ms = [[0, 100], [101, 0]]\n", "t.toml"));
  EXPECT_EQ(t.one_way_us(0, 1), 50'250u);
  EXPECT_EQ(t.one_way_us(1, 0), 50'250u);
}

// A quarter of the equator is 10007.557 km for a mean radius of 6371.0088 km: at 0.5 times
// 299.792458 km/ms 66.763 ms.
TEST(TopologyFile, CoordinatesAndASpeedGiveDelays) {
  const Topology t = must(Topology::parse(R"(
speed_factor = 0.5
[[sites]]
name = "zero"
latitude = 0
longitude = 0
within_ms = 0.4
[[sites]]
name = "east"
latitude = 0
longitude = 90.0
[[sites]]
name = "pole"
latitude = -90
longitude = 12
)",
                                          "t.toml"));

  for (const auto& [from, to] : {std::pair{0u, 1u}, {1u, 0u}, {0u, 2u}, {1u, 2u}}) {
    EXPECT_EQ(t.one_way_us(from, to), 66'763u) << from << " to " << to;
  }
  EXPECT_EQ(t.one_way_us(0, 0), 200u);
  EXPECT_EQ(t.one_way_us(2, 2), 0u);
}

// ---- What comes with the program ----

TEST(ShippedTopologies, AreAllThatTheFolderHolds) {
  std::vector<std::string> files;
  const auto folder = std::filesystem::path(EPAXOS_SOURCE_DIR) / "bench/wan/topologies";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path().stem());
  }
  std::vector<std::string> names;
  for (const ShippedTopology& each : shipped_topologies()) names.emplace_back(each.name);
  EXPECT_THAT(names, ::testing::UnorderedElementsAreArray(files));
}

TEST(ShippedTopologies, AreFoundByTheNameInThemAndTellTheirSource) {
  for (const ShippedTopology& each : shipped_topologies()) {
    const Topology t = must(Topology::load(std::string(each.name)));
    EXPECT_EQ(t.name(), each.name);
    EXPECT_NE(t.source(), "") << each.name;
    const std::string count = std::to_string(t.site_count());
    EXPECT_TRUE(each.name.ends_with("-" + count)) << each.name << " has " << count << " sites";
  }
}

TEST(ShippedTopologies, HoldThePublishedRoundTrips) {
  const Topology sosp = must(Topology::load("sosp13-5"));
  EXPECT_EQ(sosp.round_trip_us(*sosp.find("CA"), *sosp.find("OR")), 21'000u);
  EXPECT_EQ(sosp.round_trip_us(*sosp.find("EU"), *sosp.find("JP")), 278'000u);
  const Topology nsdi = must(Topology::load("nsdi21-5"));
  EXPECT_EQ(nsdi.round_trip_us(*nsdi.find("VA"), *nsdi.find("OR")), 59'000u);
  const Topology aws = must(Topology::load("aws-19"));
  EXPECT_EQ(aws.round_trip_us(*aws.find("eu-west-1"), *aws.find("eu-west-1")), 114u)
      << "0.113 ms, of which each way is whole microseconds";
}

// ---- What is wrong ----

TEST(TopologyFile, AnUnknownNameTellsWhichThereAre) {
  const auto unknown = Topology::load("sosp");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message,
              AllOf(HasSubstr("no topology \"sosp\""), HasSubstr("nsdi21-5"), HasSubstr("a file")));
  const auto missing = Topology::load("./none.toml");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message,
              AllOf(HasSubstr("./none.toml"), HasSubstr("Check the path")));
}

TEST(TopologyFile, AnUnknownSiteTellsWhichThereAre) {
  const Topology t = must(Topology::load("sosp13-3"));
  const auto site = t.find("LON");
  ASSERT_FALSE(site);
  EXPECT_EQ(site.error().message, "There is no site \"LON\" in sosp13-3. Known here: CA, VA, EU.");
  EXPECT_EQ(t.find("XX").error().message,
            "There is no site \"XX\" in sosp13-3. Known here: CA, VA, EU.");
  EXPECT_EQ(t.find("UE").error().message,
            "There is no site \"UE\" in sosp13-3. Did you mean \"EU\"? Known here: CA, VA, EU.");
}

TEST(TopologyFile, AMatrixThatIsNotSquareIsRefused) {
  EXPECT_THAT(error_of(kThree + "rtt_ms = [[0, 1, 2]]\n"),
              AllOf(HasSubstr("t.toml:2: rtt_ms has 1 rows, but there are 3 sites"),
                    HasSubstr("Give a row for each")));
  EXPECT_THAT(error_of(kThree + "rtt_ms = [\n [0, 1, 2],\n [1, 0],\n [2, 3, 0]]\n"),
              AllOf(HasSubstr("t.toml:4: rtt_ms[1] (from B) has 2 numbers, but must have 3"),
                    HasSubstr("Add what is missing")));
  EXPECT_THAT(
      error_of(kThree + "rtt_ms = [[1, 2], [3, 4]]\n"),
      HasSubstr("rtt_ms[1] (from B) has 2 numbers, but must have 1: one to each site after"));
  EXPECT_THAT(error_of(kThree + "one_way_ms = [[0, 1, 2], [1, 0, 3], [2, 3, 0], [1, 1, 1]]\n"),
              HasSubstr("one_way_ms has 4 rows"));
}

TEST(TopologyFile, DelaysAreFiniteNumbersAndNotNegative) {
  EXPECT_THAT(error_of(kThree + "rtt_ms = [[1, -2], [3]]\n"),
              HasSubstr("t.toml:2: rtt_ms[0][1] (A to C) is -2 ms, but a delay is from 0"));
  EXPECT_THAT(error_of(kThree + "rtt_ms = [[1, 2], [\"3\"]]\n"),
              HasSubstr("rtt_ms[1][0] (B to C) is a string, but must be a number."));
  EXPECT_THAT(error_of(kThree + "rtt_ms = [[1, nan], [3]]\n"),
              HasSubstr("rtt_ms[0][1] (A to C) is not a finite number."));
  EXPECT_THAT(error_of(kThree + "one_way_ms = [[1, inf], [3]]\n"),
              HasSubstr("not a finite number"));
  EXPECT_THAT(error_of(kThree + "rtt_ms = [[1, 20000], [3]]\n"), HasSubstr("20000 ms"));
  EXPECT_THAT(error_of(kThree + "rtt_ms = [1, 2]\n"),
              HasSubstr("rtt_ms[0] is a whole number, but must be a list of numbers."));
  EXPECT_THAT(error_of(kThree + "rtt_ms = 7\n"), HasSubstr("must be a list of rows"));
}

TEST(TopologyFile, ARoundTripIsTheSameFromEitherEnd) {
  EXPECT_THAT(error_of(kThree + "rtt_ms = [[0, 85, 2],\n[95, 0, 3],\n[2, 3, 0]]\n"),
              AllOf(HasSubstr("t.toml:3: rtt_ms[1][0] (B to A) is 95, but A to B is 85"),
                    HasSubstr("one_way_ms")));
}

TEST(TopologyFile, SitesHaveNamesOfTheirOwn) {
  EXPECT_THAT(error_of("sites = [\"A\", \"B\", \"A\"]\nrtt_ms = [[1, 2], [3]]\n"),
              HasSubstr("t.toml:1: sites[2] is \"A\", as is sites[0]. Give every site a name"));
  EXPECT_THAT(error_of("sites = [\"A\", \"B,C\"]\nrtt_ms = [[1]]\n"),
              HasSubstr("sites[1] is no name. Take"));
  EXPECT_THAT(error_of("sites = [\"A\", 3]\nrtt_ms = [[1]]\n"),
              HasSubstr("sites[1] is a whole number, but must be a name in quotes"));
  EXPECT_THAT(error_of("sites = []\nrtt_ms = []\n"), HasSubstr("has 0 sites. List 1 to 64."));
  EXPECT_THAT(error_of("rtt_ms = [[1]]\n"), HasSubstr("sites is missing. List"));
}

TEST(TopologyFile, OneKindOfDelayIsGiven) {
  EXPECT_THAT(error_of(kThree), HasSubstr("rtt_ms is missing, and so are one_way_ms and"));
  EXPECT_THAT(error_of(kThree + "rtt_ms = [[1, 2], [3]]\none_way_ms = [[1, 2], [3]]\n"),
              HasSubstr("t.toml:3: one_way_ms is one too many. Keep one"));
  EXPECT_THAT(error_of(kThree + "speed_factor = 0.5\n"), HasSubstr("needs coordinates"));
  EXPECT_THAT(error_of("rtt_ms = []\n[[sites]]\nname = \"A\"\nlatitude = 1\nlongitude = 2\n"),
              HasSubstr("sites has coordinates beside a matrix."));
}

TEST(TopologyFile, CoordinatesLieOnTheEarth) {
  const std::string speed = "speed_factor = 0.5\n";
  const std::string site = "[[sites]]\nname = \"A\"\n";
  EXPECT_THAT(error_of(speed + site + "latitude = 91\nlongitude = 2\n"),
              HasSubstr("t.toml:4: sites[0].latitude is 91, but must be from -90 to 90."));
  EXPECT_THAT(error_of(speed + site + "latitude = 1\n"),
              HasSubstr("sites[0].longitude is missing. Add it."));
  EXPECT_THAT(error_of("speed_factor = 1.5\n" + site + "latitude = 1\nlongitude = 2\n"),
              HasSubstr("speed_factor is 1.5, but must be from 0.01 to 1."));
  EXPECT_THAT(error_of(speed + "sites = [{name = \"A\", latitude = 1, longitude = 2}, \"B\"]\n"),
              HasSubstr("sites[1] is of another kind than the first site."));
  EXPECT_THAT(error_of(speed + "[[sites]]\nlatitude = 1\nlongitude = 2\n"),
              HasSubstr("sites[0].name is missing."));
}

TEST(TopologyFile, UnknownKeysAndOtherLanguagesAreRefused) {
  EXPECT_THAT(error_of(kThree + "rtt = [[1, 2], [3]]\n"),
              HasSubstr("t.toml:2: rtt is no key of a topology. Did you mean \"rtt_ms\"?"));
  EXPECT_THAT(error_of("from,A,B\nA,0,1\n"), HasSubstr("t.toml:1: This is not TOML"));
  EXPECT_THAT(error_of("[ ="), HasSubstr("This is not TOML"));
}

}  // namespace
}  // namespace epaxos::bench
