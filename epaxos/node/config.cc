#include "epaxos/node/config.h"

#include <cstring>
#include <sstream>

#include <xxhash.h>

#include "epaxos/node/config_keys.h"

namespace epaxos {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

std::string failures(int count) {
  return count == 1 ? "1 failure" : std::to_string(count) + " failures";
}

void add_notes(ClusterConfig& config) {
  config.notes.clear();
  const int n = config.replica_count() - config.spares().size();
  const int tolerated = (n - 1) / 2;
  if (tolerated == 0) {
    config.notes.push_back("A cluster of " + std::to_string(n) +
                           " tolerates no failure: with one replica down nothing is decided. "
                           "Three tolerate one.");
  } else if (n % 2 == 0) {
    config.notes.push_back(std::to_string(n) + " replicas tolerate " + failures(tolerated) +
                           ", as many as " + std::to_string(n - 1) +
                           " do: an even number is fine, but costs without gaining.");
  }
  if (config.emulation) {
    config.notes.push_back(
        "The network is emulated: what this replica sends to others is delayed as [emulation] "
        "says. "
        "That is for experiments; take the table out of a cluster that serves somebody.");
  }
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

/// Commented out when it is not `used`: the table is there for who wants to begin with it.
std::string text_of(const net::EmulatedNetwork& network, bool used) {
  const auto milliseconds = [](Tick us) { return static_cast<double>(us) / 1000; };
  const char* const mark = used ? "" : "# ";
  std::ostringstream out;
  out << "\n# What replicas say to each other is slowed down, for experiments; without the table "
         "it "
         "is not.\n"
      << mark << "[emulation]\n# Milliseconds from the row's replica to the column's, a row each.\n"
      << mark << config::kOneWay << " = [";
  for (std::size_t from = 0; from < network.one_way_us.size(); ++from) {
    out << (from == 0 ? "\n  [" : ",\n  [");
    for (std::size_t to = 0; to < network.one_way_us[from].size(); ++to) {
      out << (to == 0 ? "" : ", ") << milliseconds(network.one_way_us[from][to]);
    }
    out << "]";
  }
  out << (used ? "\n]\n" : "[0, 40, 85], [40, 0, 60], [85, 60, 0]]\n")
      << "# Up to so many more; nothing overtakes.\n"
      << mark << config::kJitter << " = " << milliseconds(network.all.jitter_us) << "\n"
      << "# Messages that come later, by so many milliseconds, as after a loss.\n"
      << mark << config::kLoss << " = " << network.all.loss * 100 << "\n"
      << mark << config::kLossDelay << " = " << milliseconds(network.all.loss_delay_us) << "\n"
      << "# Megabits a second of each directed link; 0: no limit.\n"
      << mark << config::kBandwidth << " = "
      << static_cast<double>(network.all.bytes_per_second) * 8 / 1e6 << "\n";
  return out.str();
}

}  // namespace

net::ClusterId cluster_id_of(std::string_view name) {
  const XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  net::ClusterId id;
  static_assert(sizeof(canonical.digest) == sizeof(id));
  std::memcpy(id.data(), canonical.digest, id.size());
  return id;
}

std::string_view to_string(Reads reads) {
  switch (reads) {
    case Reads::kLog:
      return "log";
    case Reads::kIndex:
      return "index";
    case Reads::kLease:
      return "lease";
  }
  return "?";
}

Result<Reads> reads_from(std::string_view word) {
  for (const Reads each : {Reads::kLog, Reads::kIndex, Reads::kLease}) {
    if (to_string(each) == word) return each;
  }
  return fail(ErrorCode::kInvalidArgument,
              "reads \"" + std::string(word) + "\" is not known; use log, index or lease");
}

std::string to_string(const net::ClusterId& id) {
  std::string digits;
  for (const std::byte byte : id) {
    digits += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    digits += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return digits;
}

Result<net::ClusterId> cluster_id_from(std::string_view digits) {
  net::ClusterId id{};
  if (digits.size() != 2 * id.size() || digits.find_first_not_of(kDigits) != digits.npos) {
    return fail(ErrorCode::kInvalidArgument, "A cluster id is 32 hexadecimal digits (0-9, a-f).");
  }
  for (std::size_t i = 0; i < id.size(); ++i) {
    id[i] =
        static_cast<std::byte>(kDigits.find(digits[2 * i]) * 16 + kDigits.find(digits[2 * i + 1]));
  }
  return id;
}

Result<void> ClusterConfig::complete() {
  if (const auto problem = config::first_problem(*this)) {
    return fail(ErrorCode::kInvalidArgument,
                "The configuration's " + problem->key + ": " + problem->message);
  }
  if (id == net::ClusterId{}) id = cluster_id_of(name);
  add_notes(*this);
  return {};
}

Result<void> ClusterConfig::check_for(const Protocol& protocol) const {
  if (const auto spare = spares().first(); spare && !protocol.changes_members) {
    return fail(ErrorCode::kInvalidArgument,
                "Replica " + std::to_string(spare->value()) +
                    " has \"member = false\", but the members cannot change in protocol \"" +
                    protocol.name +
                    "\". Take that out of the cluster file, or choose a protocol in which they "
                    "can: raft or raft-all.");
  }
  const Reads wished = reads.value_or(Reads::kLog);
  if (wished != Reads::kLog && protocol.reads == Reads::kLog) {
    return fail(ErrorCode::kInvalidArgument,
                "The cluster file wishes for reads = \"" + std::string(epaxos::to_string(wished)) +
                    "\", which a protocol with a leader can do, and " + protocol.name +
                    " has none. Remove the line, write reads = \"log\", or choose raft, raft-all, "
                    "multipaxos or multipaxos-all.");
  }
  if (core.thrifty && !protocol.can_be_thrifty) {
    return fail(ErrorCode::kInvalidArgument,
                "The cluster file says thrifty = true, which only epaxos can be, and not " +
                    protocol.name + ". Remove the line, or write thrifty = false.");
  }
  return {};
}

ReplicaSet ClusterConfig::spares() const {
  ReplicaSet spares;
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    if (!replicas[i].member) spares.add(ReplicaId(static_cast<std::uint16_t>(i)));
  }
  return spares;
}

std::uint64_t ClusterConfig::configuration_hash(std::string_view protocol) const {
  std::string agreed =
      "replicas=" + std::to_string(replica_count()) + " protocol=" + std::string(protocol);
  if (spares().size() > 0) agreed += " spares=" + std::to_string(spares().bits());
  return XXH3_64bits(agreed.data(), agreed.size());
}

std::string ClusterConfig::to_toml() const {
  std::ostringstream out;
  out << "# One file for all replicas. A replica's place in the list below is its id: 0, 1, 2, "
         "...\n"
         "\n# Whoever has another name is another cluster.\n"
      << "name = " << quoted(name) << "\n# Only for a cluster that was renamed: the id that it "
      << "keeps.\n"
      << (id == cluster_id_of(name) ? "# id = " : "id = ") << quoted(to_string(id))
      << "\n\n# sync: an answered command survives the power loss of all replicas.\n"
         "# async: written, but nothing waits for it. none: memory only.\n"
      << "durability = " << quoted(epaxos::to_string(durability))
      << "\n\n# Raft, Multi-Paxos: what only reads goes through the log; or the leader says how "
         "far "
         "to\n# execute (index), after asking a majority or while its lease runs (lease).\n"
      << (reads ? "reads = " : "# reads = ")
      << quoted(epaxos::to_string(reads.value_or(Reads::kIndex)))
      << "\n\n# EPaxos: proposals go to the nearest replicas that can decide, and to the others "
         "when\n# these do not answer. Fewer messages; a slow or dead replica costs more time.\n"
      << config::kThrifty << " = " << (core.thrifty ? "true" : "false") << "\n";
  ClusterConfig copy = *this;
  std::string_view table;
  for (const config::NumberKey& key : config::number_keys()) {
    if (key.table != table) out << "\n[" << key.table << "]\n";
    table = key.table;
    out << "# " << key.meaning << "\n" << key.name << " = " << key.field(copy) << "\n";
  }
  out << "# Wait out fast_wait_us even when a fast quorum has answered.\n"
      << config::kWaitForFastPath << " = " << (core.wait_for_fast_path ? "true" : "false") << "\n";
  out << text_of(emulation.value_or(net::EmulatedNetwork{}), emulation.has_value());
  out << "\n# peer: where replicas reach it; client: where clients do. site: a word for people.\n"
         "# member = false: a spare, which joins the members by \"epaxosctl member add\" (raft, "
         "raft-all).\n";
  for (const ReplicaSettings& replica : replicas) {
    out << "[[replicas]]\npeer = " << quoted(replica.peer)
        << "\nclient = " << quoted(replica.client) << "\nsite = " << quoted(replica.site)
        << "\nmember = " << (replica.member ? "true" : "false") << "\n"
        << (&replica == &replicas.back() ? "" : "\n");
  }
  return out.str();
}

}  // namespace epaxos
