#include "bench/wan/topology.h"

#include <algorithm>
#include <utility>

#include "deps/types/check.h"
#include "deps/types/nearest_name.h"

namespace epaxos::bench {

Topology::Topology(std::string name, std::string source, std::vector<std::string> sites,
                   std::vector<Tick> one_way_us)
    : name_(std::move(name)),
      source_(std::move(source)),
      sites_(std::move(sites)),
      one_way_us_(std::move(one_way_us)) {
  check(!sites_.empty() && sites_.size() <= kSitesMax, "a topology has 1 .. 64 sites");
  check(one_way_us_.size() == sites_.size() * sites_.size(), "a delay for every directed link");
}

Result<std::size_t> Topology::find(std::string_view site) const {
  const auto found = std::ranges::find(sites_, site);
  if (found != sites_.end()) return static_cast<std::size_t>(found - sites_.begin());
  const std::vector<std::string_view> known(sites_.begin(), sites_.end());
  const std::string_view nearest = nearest_name(site, known);
  std::string all;
  for (const std::string& each : sites_) all += (all.empty() ? "" : ", ") + each;
  return fail(ErrorCode::kInvalidArgument,
              "There is no site \"" + std::string(site) + "\" in " + name_ + "." +
                  (nearest.empty() ? "" : " Did you mean \"" + std::string(nearest) + "\"?") +
                  " Known here: " + all + ".");
}

std::string shipped_topologies_list() {
  std::string list;
  for (const ShippedTopology& each : shipped_topologies()) {
    list += (list.empty() ? "" : ", ") + std::string(each.name);
  }
  return list;
}

}  // namespace epaxos::bench
