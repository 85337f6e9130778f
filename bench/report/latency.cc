#include "bench/report/latency.h"

#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

template <class AnyHistogram>
Json buckets_of(const AnyHistogram& histogram) {
  Json buckets = Json::array();
  for (std::size_t i = 0; i < AnyHistogram::kBuckets; ++i) {
    const std::uint64_t count = histogram.bucket(i);
    if (count > 0) buckets.push_back({AnyHistogram::upper_bound_of(i), count});
  }
  return buckets;
}

template <class AnyHistogram>
bool add_buckets(const Json& json, AnyHistogram& out) {
  if (!json.is_array()) return false;
  for (const Json& bucket : json) {
    if (!bucket.is_array() || bucket.size() != 2 || !bucket[0].is_number_unsigned() ||
        !bucket[1].is_number_unsigned()) {
      return false;
    }
    out.add(bucket[0].get<std::uint64_t>(), bucket[1].get<std::uint64_t>());
  }
  return true;
}

}  // namespace

Json to_json(const Histogram& histogram) {
  return buckets_of(histogram);
}

Json to_json(const FineHistogram& histogram) {
  return buckets_of(histogram);
}

bool add_json(const Json& json, Histogram& out) {
  return add_buckets(json, out);
}

bool add_json(const Json& json, FineHistogram& out) {
  return add_buckets(json, out);
}

std::string milliseconds(const Histogram& histogram, double share) {
  if (histogram.count() == 0) return "-";
  return milliseconds(static_cast<double>(histogram.percentile(share)));
}

std::string milliseconds(double microseconds) {
  const double ms = microseconds / 1000.0;
  return fixed(ms, ms < 10 ? 2 : ms < 100 ? 1 : 0);
}

}  // namespace epaxos::bench
