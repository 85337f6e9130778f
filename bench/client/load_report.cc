#include "bench/client/load_report.h"

#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

std::string traffic_text(std::uint64_t messages, std::uint64_t bytes, std::uint64_t commands) {
  const double each =
      commands == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(commands);
  return grouped(messages) + " messages, " + grouped(bytes) + " bytes (" + fixed(each, 0) +
         " a command)";
}

Json latency_json(const Histogram& histogram) {
  return {{"p50", histogram.percentile(0.5)},
          {"p99", histogram.percentile(0.99)},
          {"max", histogram.max()},
          {"histogram", to_json(histogram)}};
}

Json tally_json(const Tally& tally) {
  return {{"submitted", tally.submitted},
          {"acknowledged", tally.acknowledged},
          {"rejected", tally.rejected},
          {"unknown", tally.unknown()}};
}

void read_tally(const Json& json, Tally& out) {
  json.at("submitted").get_to(out.submitted);
  json.at("acknowledged").get_to(out.acknowledged);
  json.at("rejected").get_to(out.rejected);
}

Json slices_json(const std::vector<TimeSlice>& slices) {
  Json json = Json::array();
  for (const TimeSlice& slice : slices) {
    json.push_back({slice.executed, slice.longest_gap_us, slice.slowest_us});
  }
  return json;
}

}  // namespace

double commands_per_second(const LoadResult& result) {
  return result.seconds > 0 ? static_cast<double>(result.executed) / result.seconds : 0;
}

std::string load_text(const LoadResult& result) {
  std::string out = grouped(static_cast<std::uint64_t>(commands_per_second(result))) +
                    " commands/s over " + fixed(result.seconds, 1) +
                    " s: " + grouped(result.executed) + " executed, " + grouped(result.rejected) +
                    " rejected, " + grouped(result.unknown) + " unknown\n\n";
  TextTable table({"latency, ms", ">p50", ">p99", ">p99.9", ">max", ">samples"});
  const auto row = [&table](const char* name, const Histogram& h) {
    table.add({name, milliseconds(h, 0.5), milliseconds(h, 0.99), milliseconds(h, 0.999),
               milliseconds(h, 1), grouped(h.count())});
  };
  row("commit", result.commit_us);
  row("execution", result.execution_us);
  out += table.text();
  out += "\nto the replicas    " +
         traffic_text(result.traffic.messages_out, result.traffic.bytes_out, result.executed) +
         "\nfrom the replicas  " +
         traffic_text(result.traffic.messages_in, result.traffic.bytes_in, result.executed) +
         "\nlongest gap        " + fixed(static_cast<double>(result.longest_gap_us) / 1000.0, 1) +
         " ms without an executed answer\n";
  if (!result.last_failure.empty()) out += "last failure       " + result.last_failure + "\n";
  return out;
}

Json load_json(const LoadResult& result) {
  return {{"seconds", result.seconds},
          {"commands_per_second", commands_per_second(result)},
          {"executed", result.executed},
          {"rejected", result.rejected},
          {"unknown", result.unknown},
          {"last_failure", result.last_failure},
          {"longest_gap_us", result.longest_gap_us},
          {"commit_us", latency_json(result.commit_us)},
          {"execution_us", latency_json(result.execution_us)},
          {"messages_out", result.traffic.messages_out},
          {"bytes_out", result.traffic.bytes_out},
          {"messages_in", result.traffic.messages_in},
          {"bytes_in", result.traffic.bytes_in},
          {"own_keys", tally_json(result.own)},
          {"hot_key", tally_json(result.hot)},
          {"measured_from_us", result.measured_from_us},
          {"slices_100_ms", slices_json(result.slices)}};
}

Result<LoadResult> read_load(std::string_view text) {
  LoadResult result;
  bool histograms = false;
  try {
    const Json json = Json::parse(text);
    json.at("seconds").get_to(result.seconds);
    json.at("executed").get_to(result.executed);
    json.at("rejected").get_to(result.rejected);
    json.at("unknown").get_to(result.unknown);
    json.at("last_failure").get_to(result.last_failure);
    json.at("messages_out").get_to(result.traffic.messages_out);
    json.at("bytes_out").get_to(result.traffic.bytes_out);
    json.at("messages_in").get_to(result.traffic.messages_in);
    json.at("bytes_in").get_to(result.traffic.bytes_in);
    json.at("longest_gap_us").get_to(result.longest_gap_us);
    json.at("measured_from_us").get_to(result.measured_from_us);
    read_tally(json.at("own_keys"), result.own);
    read_tally(json.at("hot_key"), result.hot);
    for (const Json& slice : json.at("slices_100_ms")) {
      result.slices.push_back(
          {slice.at(0).get<std::uint64_t>(), slice.at(1).get<Tick>(), slice.at(2).get<Tick>()});
    }
    histograms = add_json(json.at("commit_us").at("histogram"), result.commit_us) &&
                 add_json(json.at("execution_us").at("histogram"), result.execution_us);
  } catch (const Json::exception& error) {
    return fail(ErrorCode::kMalformed, "This is no result of a load: " + std::string(error.what()));
  }
  if (!histograms) return fail(ErrorCode::kMalformed, "This is no result of a load: histograms.");
  return result;
}

}  // namespace epaxos::bench
