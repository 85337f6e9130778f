// Files of several sites as one result of `wan`: exact in counts and percentiles, and refused where
// they do not belong together.

#include "bench/wan/site_merge.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "bench/wan/wan_report.h"
#include "tests/bench/bench_program.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::must;
using ::testing::Not;
using testing::text_of;

constexpr Tick kBegin = Tick{1'777'809'600} * kSecond;

/// Round trips in ms of three sites with a replica each: A-B 10, A-C 20, B-C 30.
SiteFile file_of(const std::string& site, std::uint16_t replica, const std::vector<Tick>& us) {
  SiteFile file{site + ".json", {}};
  SiteResult& result = file.result;
  result.conditions.version = "epaxos-bench 1";
  result.conditions.cluster = "pets";
  result.conditions.replica_sites = {"A", "B", "C"};
  result.conditions.protocol = "epaxos";
  result.conditions.durability = "sync";
  result.conditions.load.clients = 4;
  result.conditions.own_keys = 1;
  result.conditions.measured_us = 2 * kSecond;
  result.site = site;
  result.replica = ReplicaId(replica);
  const std::vector<std::vector<std::optional<Tick>>> round_trips{
      {200, 10'000, 20'000}, {10'100, 300, 30'000}, {20'000, 30'000, 100}};
  result.round_trip_us = round_trips[replica];
  result.measured_from_unix_us = kBegin;
  result.measured_for_us = 2 * kSecond;
  result.seconds.resize(2);
  for (const Tick each : us) {
    result.writes.add(each - 1, each);
    result.late_us.add(0);
    result.seconds[each % 2].execution_us.add(each);
  }
  result.sent = us.size();
  return file;
}

std::vector<SiteFile> three() {
  return {file_of("A", 0, {500, 501}), file_of("B", 1, {600}), file_of("C", 2, {700, 701, 702})};
}

std::string refusal(std::vector<SiteFile> files, const MergeOptions& options = {}) {
  const auto merged = merge_sites(std::move(files), options);
  return merged ? std::string("accepted") : merged.error().message;
}

TEST(SiteMerge, EverySiteHasItsOwnAndNothingElse) {
  std::vector<SiteFile> files = three();
  files[1].result.rejected = 2;
  files[1].result.unknown = 3;
  files[1].result.sent += 5;
  files[1].result.late_us.add(40, 5);
  files[2].result.paths = PathCounts{3, 1};

  const Merged merged = must(merge_sites(files, {}));

  ASSERT_EQ(merged.result.runs.size(), 1u);
  const MeasuredRun& run = merged.result.runs[0].measured;
  EXPECT_THAT(merged.result.placement.topology().sites(), ElementsAre("A", "B", "C"));
  ASSERT_EQ(run.sites.size(), 3u);
  EXPECT_EQ(run.sites[0].execution_us, files[0].result.writes.execution_us);
  EXPECT_EQ(run.sites[0].commit_us, files[0].result.writes.commit_us);
  EXPECT_EQ(run.sites[2].execution_us.percentile(0.5), 701u);
  EXPECT_EQ(run.sites[1].failed, 5u);
  EXPECT_EQ(run.sites[2].slow_share, 0.25);
  EXPECT_FALSE(run.sites[0].slow_share);
  EXPECT_THAT(merged.remarks, IsEmpty());
  EXPECT_EQ(merged.options.run.clients, 4u);
  ASSERT_EQ(run.timeline->all.size(), 2u);
  EXPECT_EQ(run.timeline->all[0].executed, 4u) << "500, 600, 700, 702";
  EXPECT_EQ(run.timeline->all[0].p50_us, 600u);
}

TEST(SiteMerge, BoundsComeFromTheRoundTripsThatTheClientsMeasured) {
  const Merged merged = must(merge_sites(three(), {}));

  const Topology& topology = merged.result.placement.topology();
  EXPECT_EQ(topology.round_trip_us(0, 1), 10'000u) << "the shorter of both ends";
  EXPECT_EQ(topology.round_trip_us(1, 2), 30'000u);
  EXPECT_EQ(topology.round_trip_us(2, 2), 100u) << "from a client to the replica beside it";
  EXPECT_THAT(merged.result.runs[0].bound.by_site_us, ElementsAre(10'200, 10'300, 20'100));
  const Topology again = must(Topology::parse(to_toml(topology), "again.toml"));
  EXPECT_EQ(again.sites(), topology.sites());
  for (std::size_t from = 0; from < 3; ++from) {
    for (std::size_t to = 0; to < 3; ++to) {
      EXPECT_EQ(again.one_way_us(from, to), topology.one_way_us(from, to));
    }
  }
}

TEST(SiteMerge, AnEmulatedNetworkIsItsOwnTopology) {
  std::vector<SiteFile> files = three();
  for (SiteFile& file : files) {
    file.result.conditions.emulated_one_way_us = {
        {0, 1'000, 2'000}, {1'500, 0, 3'000}, {2'000, 3'000, 0}};
    file.result.conditions.emulated_jitter_us = 1'000;
  }

  const Merged merged = must(merge_sites(files, {}));

  EXPECT_THAT(merged.result.runs[0].bound.by_site_us, ElementsAre(2'500, 2'500, 4'000));
  EXPECT_THAT(to_text(merged.options, merged.result),
              AllOf(HasSubstr("delays of the emulated network, cluster pets"),
                    HasSubstr("jitter up to 0.001 s")));
  files[0].result.replica = ReplicaId(1);
  EXPECT_THAT(refusal(files), HasSubstr("A.json asked R1, but R0 is nearer to A on emulated"));
}

TEST(SiteMerge, WithoutAClientAtTwoSitesNobodyKnowsHowFarTheyAreApart) {
  std::vector<SiteFile> files = three();
  files.resize(2);
  const Merged merged = must(merge_sites(files, {}));
  EXPECT_EQ(merged.result.runs[0].measured.sites[2].execution_us.count(), 0u);
  EXPECT_THAT(merged.remarks, ElementsAre("No clients of epaxos at C were measured."));

  files.resize(1);
  EXPECT_THAT(refusal(files), HasSubstr("the round trip between B and C"));
}

TEST(SiteMerge, ASiteWithoutAReplicaHasItsWayOnTop) {
  std::vector<SiteFile> files = three();
  files.push_back(file_of("D", 0, {900}));
  files.back().result.round_trip_us = {2'000, 12'000, std::nullopt};

  const Merged merged = must(merge_sites(files, {}));

  const Topology& topology = merged.result.placement.topology();
  EXPECT_THAT(topology.sites(), ElementsAre("A", "B", "C", "D"));
  EXPECT_EQ(merged.result.runs[0].bound.by_site_us[3], 12'000u) << "to A and its fast path";
  EXPECT_EQ(topology.round_trip_us(3, 2), 22'000u) << "over A";
}

TEST(SiteMerge, SitesThatTheClusterFileDoesNotNameAreThoseOfTheirClients) {
  std::vector<SiteFile> files = three();
  files.resize(2);
  for (SiteFile& file : files) file.result.conditions.replica_sites = {"", "not a name", ""};

  EXPECT_THAT(must(merge_sites(files, {})).result.placement.topology().sites(),
              ElementsAre("A", "B", "R2"));
  for (SiteFile& file : files) file.result.conditions.replica_sites = {"A", "B", "A"};
  EXPECT_THAT(refusal(files), HasSubstr("R0 and R2 are both at A."));
}

TEST(SiteMerge, ClientsOfASiteAddUpOnlyWhenThatIsAskedFor) {
  std::vector<SiteFile> files = three();
  for (SiteFile more : three()) {
    more.path = "more-" + more.path;
    more.result.writes.add(900, 900);
    ++more.result.sent;
    more.result.paths = PathCounts{1, 1};
    files.push_back(std::move(more));
  }

  const Merged merged = must(merge_sites(files, {.add_clients = true}));

  EXPECT_EQ(merged.options.run.clients, 8u);
  const SiteLatency& seen = merged.result.runs[0].measured.sites[1];
  EXPECT_EQ(seen.execution_us.count(), 3u) << "600 twice, and 900";
  EXPECT_EQ(seen.execution_us.percentile(0.5), 600u);
  EXPECT_EQ(seen.execution_us.percentile(1), 900u);
  EXPECT_EQ(seen.slow_share, 0.5);
  EXPECT_THAT(refusal(files), HasSubstr("A.json and more-A.json are both of A in run 1."));
  files.pop_back();
  EXPECT_THAT(refusal(files, {.add_clients = true}),
              HasSubstr("There are 2 files of A and 1 of C in run 1."));
}

TEST(SiteMerge, NothingCountsTwice) {
  std::vector<SiteFile> files = three();
  files.push_back(file_of("A", 0, {500, 501}));
  files.back().path = "copy.json";

  EXPECT_THAT(refusal(files, {.add_clients = true}),
              HasSubstr("A.json and copy.json are the same result."));
  files.back().result.run = 2;
  EXPECT_THAT(refusal(files), HasSubstr("A.json and copy.json are the same result."));
}

TEST(SiteMerge, WhatDoesNotBelongTogetherIsRefusedByBothNames) {
  const auto with = [](void (*change)(SiteResult&)) {
    std::vector<SiteFile> files = three();
    change(files[2].result);
    return refusal(files);
  };
  const auto names = [](const std::string& what) {
    return HasSubstr("A.json and C.json do not belong together: " + what);
  };

  EXPECT_THAT(with([](SiteResult& r) { r.conditions.protocol = "raft"; }),
              AllOf(names("protocol is \"epaxos\" in the first and \"raft\" in the second"),
                    HasSubstr("--by-protocol")));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.version = "2"; }), names("version"));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.cluster_id = "2"; }), names("cluster_id"));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.load.clients = 5; }),
              names("clients is 4 in the first and 5 in the second"));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.load.conflict_percent = 2; }),
              names("conflicts_percent"));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.load.open.rate = 50; }), names("clients"));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.load.think_us = 1; }), names("think_us"));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.load.mix.zipf_theta = 0.5; }),
              names("zipf_theta is null in the first and 0.5 in the second"));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.load.mix.read_percent = 5; }),
              names("reads_percent"));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.load.value_bytes = 5; }), names("value_bytes"));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.measured_us = 1; }), names("measured_us"));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.thrifty = true; }), names("thrifty"));
  EXPECT_THAT(with([](SiteResult& r) { r.leader = ReplicaId(1); }),
              HasSubstr("C.json cannot be merged: it has a leader of epaxos, which has none."));
  EXPECT_THAT(with([](SiteResult& r) { r.conditions.reads = Reads::kLease; }), names("reads_by"));
  EXPECT_THAT(with([](SiteResult& r) { r.leader_changed = true; }),
              HasSubstr("The leader changed while C.json was measured."));
  EXPECT_THAT(with([](SiteResult& r) { r.replica = ReplicaId(0); }),
              HasSubstr("C.json asked R0, but R2 is nearer to C on measured"));
}

TEST(SiteMerge, ProtocolsStandSideBySideWhenThatIsAskedFor) {
  std::vector<SiteFile> files = three();
  for (SiteFile& file : files) file.result.conditions.thrifty = true;
  for (SiteFile more : three()) {
    more.path = "raft-" + more.path;
    more.result.conditions.protocol = "raft";
    more.result.leader = ReplicaId(1);
    files.push_back(std::move(more));
  }

  const Merged merged = must(merge_sites(files, {.by_protocol = true}));

  ASSERT_EQ(merged.result.runs.size(), 2u);
  EXPECT_THAT(merged.result.runs[1].bound.by_site_us, ElementsAre(20'200, 10'300, 40'100));
  EXPECT_TRUE(merged.options.run.thrifty) << "EPaxos is";
  EXPECT_THAT(to_text(merged.options, merged.result), HasSubstr("raft led from B"));
  files.pop_back();
  EXPECT_THAT(refusal(files, {.by_protocol = true}),
              HasSubstr("C.json is of epaxos at C, and no file of raft is."));
}

TEST(SiteMerge, ProtocolsHaveTheirLeadersAndServeReadsAsTheyCan) {
  const auto with = [](const std::optional<ReplicaId>& first, const std::optional<ReplicaId>& last,
                       Reads reads) {
    std::vector<SiteFile> files = three();
    for (SiteFile& file : files) {
      file.result.conditions.protocol = "raft";
      file.result.conditions.reads = reads;
      file.result.leader = first;
    }
    files.back().result.leader = last;
    return refusal(files);
  };
  const ReplicaId one(1);

  EXPECT_EQ(with(one, one, Reads::kIndex), "accepted");
  EXPECT_THAT(with(one, ReplicaId(2), Reads::kIndex),
              HasSubstr("R1 led when the first was measured and R2 when the second was"));
  EXPECT_THAT(with(one, std::nullopt, Reads::kIndex),
              HasSubstr("C.json cannot be merged: it does not tell the leader of raft."));
  std::vector<SiteFile> files = three();
  for (SiteFile& file : files) file.result.conditions.reads = Reads::kLease;
  EXPECT_THAT(refusal(files), HasSubstr("epaxos does not serve reads by lease."));
}

/// Half of the commands of `three()` again as reads that take a tenth.
std::vector<SiteFile> three_with_reads() {
  std::vector<SiteFile> files = three();
  for (SiteFile& file : files) {
    file.result.conditions.load.mix.read_percent = 50;
    file.result.reads.add(60, 60);
    file.result.late_us.add(2'000);
    ++file.result.sent;
  }
  return files;
}

TEST(SiteMerge, ReadsStandApartFromWrites) {
  std::vector<SiteFile> files = three_with_reads();
  for (SiteFile& file : files) {
    file.result.conditions.protocol = "raft";
    file.result.conditions.reads = Reads::kLease;
    file.result.leader = ReplicaId(1);
  }

  const Merged merged = must(merge_sites(files, {}));

  const WanRun& run = merged.result.runs[0];
  const SiteLatency& seen = run.measured.sites[0];
  EXPECT_EQ(seen.reads.execution_us.count(), 1u);
  EXPECT_EQ(seen.writes, files[0].result.writes);
  EXPECT_EQ(seen.execution_us.count(), 3u);
  EXPECT_EQ(seen.late_us, files[0].result.late_us);
  EXPECT_EQ(run.reads_by, Reads::kLease);
  EXPECT_THAT(run.bound.by_site_us, ElementsAre(20'200, 10'300, 40'100));
  EXPECT_THAT(run.read_bound.by_site_us, ElementsAre(10'200, 300, 30'100)) << "asks the leader";
  EXPECT_THAT(to_text(merged.options, merged.result),
              AllOf(HasSubstr("50 % reads and 50 % writes of 16 bytes"),
                    HasSubstr("after a word of the leader (lease)"), HasSubstr("reads   ")));
}

TEST(SiteMerge, AnOpenLoopTellsWhatWasLateOrNotSent) {
  std::vector<SiteFile> files = three_with_reads();
  for (SiteFile& file : files) {
    file.result.conditions.load.clients = 0;
    file.result.conditions.load.open = {.rate = 10, .in_flight_max = 3};
    file.result.late_us.add(3'000, 5);
    file.result.unfinished = 5;
    file.result.sent += 5;
  }
  files[1].result.unsent = 7;

  const Merged merged = must(merge_sites(files, {}));

  EXPECT_EQ(merged.result.runs[0].measured.sites[1].unsent, 7u);
  EXPECT_THAT(to_text(merged.options, merged.result),
              AllOf(HasSubstr("10.0 commands/s a site, open loop, Poisson"),
                    HasSubstr("7 commands were not sent: 3 of their site"),
                    HasSubstr("The generator was the bottleneck of epaxos: commands left late"),
                    HasSubstr("Ask for a lower --rate.")));
  EXPECT_THAT(to_csv(merged.options, merged.result), HasSubstr(",3.0"));
  const auto json = nlohmann::json::parse(to_json(merged.options, merged.result));
  EXPECT_EQ(json["rate"], 10);
  EXPECT_EQ(json["runs"][0]["sites"][1]["unsent"], 7);
  EXPECT_EQ(json["runs"][0]["sites"][1]["late"]["count"], 7);
}

/// `three()` once more in each run, where everything takes `more_us` longer.
std::vector<SiteFile> runs_of(const std::vector<Tick>& more_us) {
  std::vector<SiteFile> files;
  for (unsigned run = 1; run <= more_us.size(); ++run) {
    const Tick more = more_us[run - 1];
    for (SiteFile file : {file_of("A", 0, {500 + more, 501 + more}), file_of("B", 1, {600 + more}),
                          file_of("C", 2, {700 + more})}) {
      file.path = file.result.site + std::to_string(run) + ".json";
      file.result.run = run;
      file.result.measured_from_unix_us += run * 60 * kSecond;
      files.push_back(std::move(file));
    }
  }
  return files;
}

TEST(SiteMerge, RunsOfOneExperimentAreItsRepeats) {
  std::vector<SiteFile> files = runs_of({0, 300, 100});
  std::ranges::reverse(files);

  const Merged merged = must(merge_sites(files, {}));

  ASSERT_EQ(merged.result.runs.size(), 1u);
  const WanRun& run = merged.result.runs[0];
  ASSERT_EQ(run.repeats.size(), 3u);
  EXPECT_EQ(merged.options.repeat, 3u);
  EXPECT_THAT(merged.remarks, IsEmpty()) << "each run was at the same time everywhere";
  EXPECT_EQ(run.measured.sites[1].execution_us.count(), 3u);
  EXPECT_EQ(run.measured.sites[1].execution_us.percentile(0.5), 700u) << "of all runs as one";
  EXPECT_EQ(run.repeats[1].sites[1].execution_us.percentile(0.5), 900u) << "in their order";
  EXPECT_THAT(to_text(merged.options, merged.result),
              AllOf(HasSubstr("of warm-up, 3 runs."), HasSubstr("exec p50 a run"),
                    HasSubstr("0.7 (0.6..0.9)")));
  const auto json = nlohmann::json::parse(to_json(merged.options, merged.result));
  EXPECT_EQ(json["repeat"], 3);
  EXPECT_THAT(json["runs"][0]["sites"][1]["execution"]["of_each_run"]["p50_ms"],
              ElementsAre(0.6, 0.9, 0.7));
}

TEST(SiteMerge, EveryRunHasAllSitesAndTheSameParameters) {
  const std::vector<SiteFile> all = runs_of({0, 300});
  std::vector<SiteFile> files = all;
  files.pop_back();
  EXPECT_THAT(refusal(files),
              HasSubstr("C1.json is of epaxos in run 1 at C, and no file of epaxos in run 2 is."));

  files = all;
  for (SiteFile& file : files) file.result.run = 1;
  EXPECT_THAT(refusal(files), AllOf(HasSubstr("A1.json and A2.json are both of A in run 1."),
                                    HasSubstr("client --run")));

  files = all;
  files[4].result.conditions.load.clients = 9;
  EXPECT_THAT(refusal(files),
              HasSubstr("A1.json and B2.json do not belong together: clients is 4 in the first and "
                        "9 in the second. Measure all sites and all runs alike."));

  files = all;
  for (SiteFile raft : three()) {
    raft.result.conditions.protocol = "raft";
    raft.result.leader = ReplicaId(0);
    files.push_back(std::move(raft));
  }
  EXPECT_THAT(refusal(files, {.by_protocol = true}),
              HasSubstr("There are files of 2 runs of epaxos and of 1 of raft."));

  files = all;
  files[3].result.measured_from_unix_us += kSecond;
  EXPECT_THAT(must(merge_sites(files, {})).remarks,
              ElementsAre(HasSubstr("The sites of epaxos in run 2 were measured at the same")));
}

TEST(SiteMerge, ATableHasAsManySitesAsATopology) {
  std::vector<SiteFile> files = three();
  for (int i = 0; i < 70; ++i) {
    files.push_back(file_of("S" + std::to_string(i), 0, {900}));
    files.back().result.round_trip_us[0] = 2'000;
  }

  EXPECT_THAT(refusal(files), HasSubstr("There are 73 sites, and a table has at most 64."));
}

TEST(SiteMerge, SitesThatWereMeasuredOneAfterTheOtherAreRemarked) {
  std::vector<SiteFile> files = three();
  files[1].result.measured_from_unix_us += kSecond;
  files[2].result.interrupted = true;
  files[2].result.measured_for_us = kSecond / 2;

  const Merged merged = must(merge_sites(files, {}));

  EXPECT_THAT(merged.remarks,
              ElementsAre(HasSubstr("C.json was interrupted: it has 0.5 s of 2.0 s."),
                          HasSubstr("at the same time for 0.0 s of 0.5 s only")));
  EXPECT_TRUE(merged.result.interrupted);
  files[1].result.measured_from_unix_us = kBegin;
  EXPECT_EQ(must(merge_sites(files, {})).remarks.size(), 1u) << "all of them, while C was measured";
}

/// Writes the files; their names, with blanks between.
std::string written(const Scratch& scratch, const std::vector<SiteFile>& files) {
  std::string paths;
  for (const SiteFile& file : files) {
    const std::string path = scratch.path() / file.path;
    std::ofstream(path) << to_json_text(file.result);
    paths += " " + path;
  }
  return paths;
}

TEST(WanMerge, WritesTheReportOfWanWhichWanDiffReads) {
  const Scratch scratch;
  const std::string paths = written(scratch, three());
  const std::string out = scratch.path() / "report";
  const std::string topology = scratch.path() / "measured.toml";

  const Finished run = bench("wan-merge" + paths + " --out " + out + " --write-topology " +
                             topology + " --assert 'p50<=1ms'");

  EXPECT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, AllOf(HasSubstr("On machines: replicas at A, B, C; 4 clients a site"),
                             HasSubstr("Durability sync"), Not(HasSubstr("seed"))));
  const auto json = nlohmann::json::parse(text_of(out + "/results.json"));
  EXPECT_EQ(json["mode"], "machines");
  EXPECT_EQ(json["durability"], "sync");
  EXPECT_EQ(json["runs"][0]["sites"][2]["execution"]["count"], 3);
  EXPECT_EQ(json["runs"][0]["sites"][2]["execution"]["p50_ms"], 0.701);
  EXPECT_THAT(text_of(out + "/results.csv"), HasSubstr("measured,machines,epaxos,,B,B,4,"));
  EXPECT_THAT(text_of(out + "/series.csv"), HasSubstr("measured,epaxos,,all,0,4,0,0.600,"));
  const Finished same = bench("wan-diff " + out + "/results.json " + out + "/results.json");
  EXPECT_EQ(same.status, 0) << same.out;
  EXPECT_THAT(same.out, HasSubstr("12 figures were compared"));
  EXPECT_EQ(bench("wan-merge" + paths + " --topology " + topology).status, 0);
}

TEST(WanMerge, MistakesEndInASentence) {
  const Scratch scratch;
  const std::string paths = written(scratch, three());
  const Refused all[] = {
      {"", "FILES"},
      {" /nowhere/x.json", "/nowhere/x.json cannot be read."},
      {" /dev/null",
       "/dev/null is empty: its client has not finished yet, or ended before the load began"},
      {" --topology sosp13-3", "There is no site \"A\" in sosp13-3."},
      {" --topology sosp13-3 --write-topology x", "--topology"},
  };

  for (const Refused& each : all) {
    const bool alone = *each.arguments == '\0';
    const Finished run = bench("wan-merge" + (alone ? "" : paths) + each.arguments);
    EXPECT_EQ(run.status, 1) << run.out;
    EXPECT_THAT(run.out, HasSubstr(each.sentence));
  }
  const std::string cut = scratch.path() / "cut.json";
  std::ofstream(cut) << to_json_text(three()[0].result).substr(0, 500);
  EXPECT_THAT(bench("wan-merge" + paths + " " + cut).out,
              HasSubstr(cut + " is cut off at line 1, column 501. Write one with"));
  const Finished broken = bench("wan-merge" + paths + " --assert 'p50<=600us'");
  EXPECT_EQ(broken.status, 3);
  EXPECT_THAT(broken.out, HasSubstr("p50<=600us does not hold for the commit of epaxos at C"));
}

}  // namespace
}  // namespace epaxos::bench
