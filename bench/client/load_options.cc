#include "bench/client/load_options.h"

#include <string>

#include <CLI/CLI.hpp>

#include "bench/report/arguments.h"
#include "bench/report/duration_option.h"
#include "epaxos/node/config.h"
#include "executor/key_value_command.h"

namespace epaxos::bench {
namespace {

Failure refused(const std::string& sentence) {
  return fail(ErrorCode::kInvalidArgument, sentence);
}

Result<void> check_scan_size(const OfferedLoad& load) {
  constexpr std::size_t kFoundBytes = 8;  // Around each value, in a reply.
  const std::size_t bytes_max =
      load.mix.scan_max == 0 ? kv::kValueBytesMax : kv::kReplyBytesMax / load.mix.scan_max;
  if (load.value_bytes + kFoundBytes <= bytes_max || load.mix.scan_max == 0) return {};
  return refused("--ycsb " + load.mix.ycsb + ": a scan of " + std::to_string(load.mix.scan_max) +
                 " records with --value-bytes " + std::to_string(load.value_bytes) +
                 " does not fit into one reply. Use --value-bytes of at most " +
                 std::to_string(bytes_max - kFoundBytes) + ".");
}

}  // namespace

void add_arrival_options(CLI::App& sub, CLI::Option* clients, OfferedLoad& o) {
  auto* const think =
      sub.add_option("--think", o.think_us, "From an answer to the next command, as 100ms (0)")
          ->transform(duration(0, 60 * kSecond, "clients think for 0 to 60 seconds."));
  sub.add_option("--rate", o.open.rate,
                 "Commands/s at each site, at their times whatever became of others")
      ->check(number(0.1, 100'000.0, "0.1 to 100000 commands a second are sent at a site."))
      ->excludes(clients)
      ->excludes(think);
  sub.add_option_function<std::string>(
         "--arrival", [&o](const std::string& text) { o.open.poisson = text == "poisson"; },
         "Of --rate: poisson or fixed (poisson)")
      ->check([](const std::string& text) {
        return text == "poisson" || text == "fixed"
                   ? std::string()
                   : "\"" + text + "\" is not accepted: commands arrive poisson or fixed.";
      })
      ->needs("--rate");
  sub.add_option("--in-flight-max", o.open.in_flight_max,
                 "Of --rate: commands of a site without an answer; beyond them, none is sent")
      ->check(number(std::size_t{1}, std::size_t{50'000}, "1 to 50000 commands are under way."))
      ->needs("--rate")
      ->capture_default_str();
}

void add_mix_options(CLI::App& sub, OfferedLoad& o, MixOptions& mix) {
  sub.add_option("--conflicts", mix.conflicts_percent, "Percent of commands on one key (0)")
      ->check(number(0, 100, "it is a share in percent, from 0 to 100."));
  sub.add_option("--zipf", mix.zipf_theta,
                 "Records that all share, by Zipf's law with this theta, in place of --conflicts")
      ->check(number(0.001, 0.999, "theta is 0.001 to 0.999; that of YCSB is 0.99."));
  sub.add_option("--keys", mix.keys, "Of --zipf and --ycsb: so many records (1000000)")
      ->check(number(std::uint64_t{1}, std::uint64_t{1'000'000'000},
                     "there are 1 to 1000000000 records."));
  sub.add_option("--reads", mix.reads_percent, "Percent of commands that only read (0)")
      ->check(number(0, 100, "it is a share in percent, from 0 to 100."));
  sub.add_option("--ycsb", mix.ycsb,
                 "A workload of YCSB, A to F: its share of reads, by --zipf 0.99");
  sub.add_option_function<std::string>(
         "--reads-by", [&mix](const std::string& word) { mix.reads_by = *reads_from(word); },
         "Raft, Multi-Paxos: log, index or lease (as each is made)")
      ->check([](const std::string& word) {
        return reads_from(word)
                   ? std::string()
                   : "\"" + word + "\" is not accepted: reads are served by log, index or lease.";
      });
  sub.add_option("--value-bytes", o.value_bytes, "Size of each value")
      ->check(number(std::size_t{0}, kv::kValueBytesMax, "a value has 0 to 65536 bytes."))
      ->capture_default_str();
}

Result<void> take_mix(const MixOptions& mix, OfferedLoad& load) {
  if (!mix.ycsb.empty()) {
    Result<CommandMix> workload = ycsb_mix(mix.ycsb);
    if (!workload) return fail(workload.error().code, "--ycsb: " + workload.error().message);
    if (mix.reads_percent) {
      return refused("--ycsb says how many commands read, and --reads too. Leave one of them out.");
    }
    load.mix = *std::move(workload);
    if (const Result<void> fits = check_scan_size(load); !fits) return fits;
  }
  const bool by_zipf = mix.zipf_theta || !mix.ycsb.empty();
  if (mix.conflicts_percent && by_zipf) {
    return refused("--conflicts and " + std::string(mix.zipf_theta ? "--zipf" : "--ycsb") +
                   " both say which keys are asked for. Leave one of them out.");
  }
  if (mix.keys && !by_zipf) {
    return refused("--keys is the number of records of --zipf or --ycsb. Add one of them.");
  }
  load.conflict_percent = mix.conflicts_percent.value_or(load.conflict_percent);
  if (mix.zipf_theta) load.mix.zipf_theta = mix.zipf_theta;
  load.mix.keys = mix.keys.value_or(load.mix.keys);
  load.mix.read_percent = mix.reads_percent.value_or(load.mix.read_percent);
  if (mix.reads_by && !load.mix.has_reads()) {
    return refused(
        "--reads-by says how reads are served, and there are none. Add --reads or --ycsb.");
  }
  load.reads_by = mix.reads_by;
  return {};
}

}  // namespace epaxos::bench
