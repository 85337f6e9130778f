#pragma once

// The report as one page of HTML that needs nothing else: no script, no file, no network.

#include <string>
#include <vector>

#include "bench/wan/report_figures.h"
#include "bench/wan/wan.h"

namespace epaxos::bench {

struct DrawnFigure {
  const Figure& figure;
  std::string svg;  ///< From inline_svg().
};

std::string to_page(const WanOptions& options, const WanPlan& plan, const WanResult& result,
                    const std::vector<DrawnFigure>& figures);

}  // namespace epaxos::bench
