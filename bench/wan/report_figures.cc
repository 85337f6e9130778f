#include "bench/wan/report_figures.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "bench/wan/repeats.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

/// A curve has about so many points: more cannot be seen.
constexpr double kCells = 500;

std::string ms(Tick us) {
  return fixed(static_cast<double>(us) / 1000, 3);
}

std::string colour(std::size_t run) {
  return std::string("lc rgb \"") + kFigureColours[run % kFigureColours.size()] + "\"";
}

std::string text_colour(std::size_t run) {
  return std::string("tc rgb \"") + kFigureColours[run % kFigureColours.size()] + "\"";
}

/// Curves of protocols that do the same lie upon each other. The ones below are wider, and those
/// above have gaps, so that all show.
std::string line_style(std::size_t run, std::size_t runs) {
  constexpr const char* kDashes[] = {"", "", " dt (6,5)", " dt (3,6)", " dt (9,3,2,3)"};
  const auto below = static_cast<double>(runs - 1 - run);
  return " lw " + fixed(1.6 + std::min(1.1 * below, 3.3 * below / static_cast<double>(runs)), 2) +
         kDashes[run % std::size(kDashes)];
}

std::string short_name(const WanResult& result, const WanRun& run) {
  if (!run.measured.leader) return run.measured.protocol;
  return run.measured.protocol + " " + result.placement.name_of(*run.measured.leader);
}

std::string preamble(int width, int height) {
  return "set terminal svg size " + std::to_string(width) + "," + std::to_string(height) +
         " dynamic noenhanced font \"sans-serif,12\"\n"
         "set encoding utf8\n"
         "set border 3 lw 0.7\n"
         "set tics nomirror out scale 0.5\n"
         "set grid y lc rgb \"#b0b0b0\" lw 0.5\n"
         "unset key\n";
}

/// At most six of them, so that their numbers stand apart in a narrow figure.
std::string x_tics(double range) {
  const double ten = std::pow(10, std::floor(std::log10(range / 6)));
  double step = 10 * ten;
  for (const double each : {5.0, 2.0}) {
    if (range / (each * ten) <= 6) step = each * ten;
  }
  return "set xtics " + fixed(step, 4) + "\n";
}

/// A step each time that a bucket ends: the share of commands that took no longer, or longer.
/// `width_us`: of the figure.
std::string steps_of(const FineHistogram& seen, double width_us, bool longer) {
  std::string points;
  std::uint64_t count = 0;
  double cell = -1;
  std::string pending;
  const auto all = static_cast<double>(seen.count());
  for (std::size_t i = 0; i < FineHistogram::kBuckets && count < seen.count(); ++i) {
    const std::uint64_t here = seen.bucket(i);
    if (here == 0) continue;
    const Tick value = std::min<Tick>(FineHistogram::upper_bound_of(i), seen.max());
    if (count == 0) points += ms(value) + (longer ? " 1\n" : " 0\n");
    count += here;
    const double share = static_cast<double>(longer ? seen.count() - count : count) / all;
    if (longer && share == 0) {
      points += pending + ms(value) + " " + fixed(1e-9, 9) + "\n";
      return points;
    }
    const std::string point = ms(value) + " " + fixed(longer ? share : share * 100, 9) + "\n";
    const double in = std::floor(static_cast<double>(value) / width_us * kCells);
    if (in != cell) {  // The last point of a cell stands for the others.
      points += pending;
      cell = in;
    }
    pending = point;
  }
  return points + pending;
}

std::string data_block(const std::string& name, const std::string& points) {
  return "$" + name + " << EOD\n" + points + "EOD\n";
}

/// Of all runs at this site.
Tick longest(const WanResult& result, std::size_t site, double share) {
  Tick most = 1000;
  for (const WanRun& run : result.runs) {
    most = std::max(most, run.measured.sites[site].execution_us.percentile(share));
    most = std::max(most, run.measured.sites[site].commit_us.percentile(share));
  }
  return most;
}

/// Names of the curves, each at another height beside its curve, so that none covers another.
std::string curve_labels(const WanResult& result, std::size_t site, double width_us,
                         const std::function<double(double)>& height_at,
                         const std::function<double(double)>& percentile_at) {
  std::string out;
  const std::size_t runs = result.runs.size();
  for (std::size_t run = 0; run < runs; ++run) {
    const FineHistogram& seen = result.runs[run].measured.sites[site].execution_us;
    if (seen.count() == 0) continue;
    const double level = 1 - (static_cast<double>(run) + 0.7) / (static_cast<double>(runs) + 0.5);
    const auto at = seen.percentile(std::clamp(percentile_at(level), 0.0, 1.0));
    const bool left = static_cast<double>(at) > 0.62 * width_us;
    out += "set label \"" + short_name(result, result.runs[run]) + "\" at " + ms(at) + "," +
           fixed(height_at(level), 9) +
           (left ? " right offset char -0.7,0" : " offset char 0.7,0") + " front " +
           text_colour(run) + "\n";
  }
  return out;
}

Figure distribution(const WanResult& result, std::size_t site) {
  const std::string& name = result.placement.topology().site(site);
  Figure figure{Figure::Kind::kDistribution,
                "cdf-" + name,
                name,
                "Share of the commands at " + name + " that were executed within a time",
                400,
                {}};
  const auto width_us = static_cast<double>(longest(result, site, 0.999)) * 1.08;
  std::string blocks;
  std::string curves;
  std::string marks;
  const std::size_t runs = result.runs.size();
  for (std::size_t run = 0; run < runs; ++run) {
    const FineHistogram& seen = result.runs[run].measured.sites[site].execution_us;
    const std::string bound = ms(result.runs[run].bound.by_site_us[site]);
    marks += "set arrow from " + bound + ", graph 0 to " + bound + ", graph -0.035 nohead front " +
             colour(run) + line_style(run, runs) + "\n";
    if (seen.count() == 0) continue;
    const std::string block = "run" + std::to_string(run);
    blocks += data_block(block, "0 0\n" + steps_of(seen, width_us, false) +
                                    ms(static_cast<Tick>(width_us) + 1) + " 100\n");
    curves += (curves.empty() ? "plot $" : ", $") + block + " with steps " + colour(run) +
              line_style(run, runs) + " title \"" + short_name(result, result.runs[run]) + "\"";
  }
  if (curves.empty()) curves = "plot 1 with dots";
  figure.script =
      preamble(figure.width, 260) + "set xrange [0:" + fixed(width_us / 1000, 3) + "]\n" +
      x_tics(width_us / 1000) +
      "set yrange [0:100]\nset format y \"%g %%\"\nset xlabel \"execution, ms\" offset 0,0.4\n" +
      marks +
      curve_labels(
          result, site, width_us, [](double level) { return level * 100; },
          [](double level) { return level; }) +
      blocks + curves + "\n";
  return figure;
}

/// The largest power of ten that one command of the most is more than.
int decades(const WanResult& result, std::size_t site) {
  std::uint64_t most = 10;
  for (const WanRun& run : result.runs) {
    most = std::max(most, run.measured.sites[site].execution_us.count());
  }
  return static_cast<int>(std::ceil(std::log10(static_cast<double>(most)) - 1e-9));
}

Figure tail(const WanResult& result, std::size_t site) {
  const std::string& name = result.placement.topology().site(site);
  Figure figure{Figure::Kind::kTail,
                "tail-" + name,
                name,
                "Share of the commands at " + name +
                    " that took longer than a time to be committed and to be executed",
                400,
                {}};
  const auto width_us = static_cast<double>(longest(result, site, 1)) * 1.08;
  const int tens = decades(result, site);
  std::string blocks;
  std::string curves;
  const std::size_t runs = result.runs.size();
  for (std::size_t run = 0; run < runs; ++run) {
    const SiteLatency& seen = result.runs[run].measured.sites[site];
    if (seen.execution_us.count() == 0) continue;
    const auto add = [&](const char* phase, const FineHistogram& histogram,
                         const std::string& style) {
      const std::string block = phase + std::to_string(run);
      blocks += data_block(block, "0 1\n" + steps_of(histogram, width_us, true));
      curves += (curves.empty() ? "plot $" : ", $") + block + " with steps " + colour(run) + style +
                " title \"" + short_name(result, result.runs[run]) + ", " + phase + "\"";
    };
    add("execution", seen.execution_us, line_style(run, runs));
    add("commit", seen.commit_us, " lw 1.6 dt (2,3)");
  }
  if (curves.empty()) curves = "plot 1 with dots";
  std::string tics;
  for (int ten = 0; ten <= tens; ++ten) {
    tics += std::string(ten == 0 ? "" : ", ") + "\"" +
            fixed(100 * std::pow(10, -ten), std::max(0, ten - 2)) + " %%\" 1e-" +
            std::to_string(ten);
  }
  figure.script = preamble(figure.width, 260) +
                  "set logscale y\nset xrange [0:" + fixed(width_us / 1000, 3) + "]\n" +
                  x_tics(width_us / 1000) + "set yrange [1e-" + std::to_string(tens) +
                  ":1]\nset ytics (" + tics + ")\nset xlabel \"ms\" offset 0,0.4\n" +
                  curve_labels(
                      result, site, width_us,
                      [tens](double level) { return std::pow(10, -tens * (1 - level)); },
                      [tens](double level) { return 1 - std::pow(10, -tens * (1 - level)); }) +
                  blocks + curves + "\n";
  return figure;
}

/// As in the paper: a bar to the median, a whisker to the 99th percentile; and the bound across it.
Figure bars(const WanResult& result, const std::string& phase, Histograms histograms) {
  const Topology& topology = result.placement.topology();
  const std::size_t runs = result.runs.size();
  const auto places = static_cast<int>(topology.site_count() * (runs + 1));
  Figure figure{Figure::Kind::kBars,
                "bars-" + phase,
                phase,
                "Median and 99th percentile of " + phase + " at every site, beside the bound",
                std::max(400, 70 + places * 24),
                {}};
  std::string tics;
  std::string labels;
  std::string blocks;
  std::string plots;
  std::string bounds;
  std::size_t longest_name = 0;
  for (std::size_t run = 0; run < runs; ++run) {
    std::string points;
    const std::string name = short_name(result, result.runs[run]);
    longest_name = std::max(longest_name, name.size());
    for (std::size_t site = 0; site < topology.site_count(); ++site) {
      const auto x = static_cast<double>(site * (runs + 1) + run);
      tics += (tics.empty() ? "\"" : ", \"") + name + "\" " + fixed(x, 0);
      const std::string bound = ms(result.runs[run].bound.by_site_us[site]);
      bounds += "set arrow from " + fixed(x - 0.45, 2) + "," + bound + " to " + fixed(x + 0.45, 2) +
                "," + bound + " nohead front lw 1.8\n";
      const FineHistogram& seen = result.runs[run].measured.sites[site].*histograms;
      if (seen.count() == 0) continue;
      points +=
          fixed(x, 0) + " " + ms(seen.percentile(0.5)) + " " + ms(seen.percentile(0.99)) + "\n";
    }
    if (points.empty()) continue;
    const std::string block = "run" + std::to_string(run);
    blocks += data_block(block, points);
    plots += (plots.empty() ? "plot $" : ", $") + block + " using 1:2 with boxes fs solid 0.55 " +
             colour(run) + " title \"" + name + "\", $" + block +
             " using 1:2:(0):($3-$2) with vectors head size graph 0.009,90 lw 1.5 " + colour(run) +
             " title \"" + name + ", p99\"";
  }
  if (plots.empty()) plots = "plot 1 with dots";
  for (std::size_t site = 0; site < topology.site_count(); ++site) {
    const double middle =
        static_cast<double>(site * (runs + 1)) + (static_cast<double>(runs) - 1) / 2;
    labels += "set label \"" + topology.site(site) + "\" at " + fixed(middle, 2) +
              ", graph 1.05 center\n";
  }
  const int below = 14 + static_cast<int>(longest_name) * 6;
  figure.script =
      preamble(figure.width, 260 + below) + "set bmargin " +
      std::to_string(static_cast<int>(std::ceil(below / 15.0))) +
      "\nset tmargin 2.5\nset boxwidth 0.8\nset xrange [-0.8:" + fixed(places - 1.2, 1) +
      "]\nset yrange [0:*]\nset ylabel \"" + phase + ", ms\"\nset xtics rotate by 90 right (" +
      tics + ") scale 0\n" + labels + bounds + blocks + plots + "\n";
  return figure;
}

/// Nothing: it cannot be said.
std::optional<double> over_bound(const FineHistogram& seen, Tick bound_us) {
  if (bound_us == 0 || seen.count() == 0) return std::nullopt;
  return static_cast<double>(seen.percentile(0.5)) / static_cast<double>(bound_us);
}

struct Range {
  double low;
  double high;
};

/// The same axis for all runs, so that they can be compared. Who hears sooner than its bound says,
/// because a fault has moved the leader, is left of 1.
Range over_bounds(const WanResult& result) {
  Range seen_times{1, 1.06};
  for (const WanRun& run : result.runs) {
    for (std::size_t site = 0; site < run.measured.sites.size(); ++site) {
      const SiteLatency& seen = run.measured.sites[site];
      for (const FineHistogram* histogram : {&seen.commit_us, &seen.execution_us}) {
        const auto times = over_bound(*histogram, run.bound.by_site_us[site]);
        if (!times) continue;
        seen_times = {std::min(seen_times.low, *times), std::max(seen_times.high, *times)};
      }
    }
  }
  const double margin = 0.04 * (seen_times.high - seen_times.low);
  return {seen_times.low - margin, seen_times.high + margin};
}

/// A row a site: how often the bound the medians of a run take.
Figure ratios(const WanResult& result, std::size_t run, const Range& range) {
  const Topology& topology = result.placement.topology();
  const WanRun& shown = result.runs[run];
  const std::string title =
      name_of(result.placement, shown.measured.protocol, shown.measured.leader);
  Figure figure{Figure::Kind::kRatios,
                "over-bound-" + std::to_string(run + 1),
                title,
                "Medians of commit and execution of " + title + " divided by the bound",
                400,
                {}};
  std::string tics;
  std::string commits;
  std::string executions;
  for (std::size_t site = 0; site < topology.site_count(); ++site) {
    const std::string row = std::to_string(site);
    tics += (site == 0 ? "\"" : ", \"") + topology.site(site) + "\" " + row;
    const SiteLatency& seen = shown.measured.sites[site];
    const Tick bound = shown.bound.by_site_us[site];
    const auto commit = over_bound(seen.commit_us, bound);
    const auto execution = over_bound(seen.execution_us, bound);
    if (commit) commits += fixed(*commit, 4) + " " + row + "\n";
    if (execution) executions += fixed(*execution, 4) + " " + row + "\n";
  }
  const auto rows = static_cast<int>(topology.site_count());
  const std::string plot =
      commits.empty() || executions.empty()
          ? "plot 1 with dots\n"
          : data_block("commit", commits) + data_block("execution", executions) +
                "plot $execution with points pt 6 ps 1.1 lw 1.6 " + colour(run) +
                " title \"execution\", $commit with points pt 7 ps 0.55 " + colour(run) +
                " title \"commit\"\n";
  figure.script = preamble(figure.width, 62 + 21 * rows) + "set yrange [" + std::to_string(rows) +
                  ".0:-1]\nset xrange [" + fixed(range.low, 4) + ":" + fixed(range.high, 4) +
                  "]\n" + x_tics(range.high - range.low) +
                  "unset grid\nset grid x lc rgb \"#b0b0b0\" lw 0.5\n"
                  "set xlabel \"times the bound\" offset 0,0.4\nset ytics (" +
                  tics +
                  ") scale 0\nset arrow from 1, graph 0 to 1, graph 1 nohead lw 1.2 lc rgb "
                  "\"black\"\n" +
                  plot;
  return figure;
}

/// Labels of faults stand in rows above the plot, so that those of one moment can be read.
constexpr std::size_t kFaultRows = 3;

std::string fault_marks(const std::vector<Fault>& faults) {
  std::string out;
  for (std::size_t i = 0; i < faults.size(); ++i) {
    const std::string at = fixed(static_cast<double>(faults[i].at_us) / 1e6, 3);
    const double top = 1.05 + 0.1 * static_cast<double>(i % kFaultRows);
    out += "set arrow from " + at + ", graph 0 to " + at + ", graph " + fixed(top, 2) +
           " nohead lw 0.8 dt (3,3) lc rgb \"black\"\nset label \"" + faults[i].text + "\" at " +
           at + ", graph " + fixed(top, 2) + " offset char 0.3,0 front\n";
  }
  return out;
}

/// Values from nothing on, and those that differ by factors; empty: none can be shown. gnuplot
/// makes a range from the values, and warns when they are all the same.
std::string linear_scale(double /*least*/, double most) {
  return std::string("set yrange [0:") + (most > 0 ? "*" : "1") + "]\n";
}
std::string log_scale(double least, double most) {
  if (most == 0) return {};
  std::string scale = "set logscale y\n";
  if (least == most)
    scale += "set yrange [" + fixed(least / 2, 3) + ":" + fixed(most * 2, 3) + "]\n";
  return scale;
}

/// One value of every second, all sites together. `scale` is told the least value above 0 and the
/// largest one; 0: there is none.
Figure over_time(const WanResult& result, const std::vector<Fault>& faults, const std::string& name,
                 const std::string& title, std::string (*scale)(double least, double most),
                 const std::function<double(const Second&)>& value) {
  Figure figure{Figure::Kind::kOverTime,
                "over-time-" + name,
                title,
                title + " of all sites together, second by second, with the faults",
                560,
                {}};
  std::string blocks;
  std::string curves;
  std::string labels;
  double least = 0;
  double most = 0;
  const std::size_t runs = result.runs.size();
  for (std::size_t run = 0; run < runs; ++run) {
    const std::optional<Timeline>& timeline = result.runs[run].measured.timeline;
    if (!timeline || timeline->all.size() < 2) continue;
    std::string points;
    for (std::size_t second = 0; second < timeline->all.size(); ++second) {
      const double here = value(timeline->all[second]);
      points += std::to_string(second) + ".5 " + fixed(here, 3) + "\n";
      if (here > 0) least = most == 0 ? here : std::min(least, here);
      most = std::max(most, here);
    }
    const std::string block = "run" + std::to_string(run);
    blocks += data_block(block, points);
    curves += (curves.empty() ? "plot $" : ", $") + block + " with lines " + colour(run) +
              line_style(run, runs) + " title \"" + short_name(result, result.runs[run]) + "\"";
    // At the right, one below the other.
    labels += "set label \"" + short_name(result, result.runs[run]) + "\" at graph 1.01, graph " +
              fixed(0.95 - 0.9 * static_cast<double>(run) / static_cast<double>(runs), 3) +
              " front " + text_colour(run) + "\n";
  }
  const std::string axis = scale(least, most);
  if (curves.empty() || axis.empty()) return figure;
  figure.script = preamble(figure.width, 270) + "set rmargin 17\nset tmargin " +
                  (faults.empty() ? "1" : "4") + "\n" + axis + "set xlabel \"s\" offset 0,0.4\n" +
                  fault_marks(faults) + labels + blocks + curves + "\n";
  return figure;
}

}  // namespace

std::vector<Figure> figures_of(const WanResult& result, const std::vector<Fault>& faults) {
  std::vector<Figure> figures;
  figures.push_back(bars(result, "commit", &SiteLatency::commit_us));
  figures.push_back(bars(result, "execution", &SiteLatency::execution_us));
  const Range range = over_bounds(result);
  for (std::size_t run = 0; run < result.runs.size(); ++run) {
    figures.push_back(ratios(result, run, range));
  }
  const std::size_t sites = result.placement.topology().site_count();
  for (std::size_t site = 0; site < sites; ++site) figures.push_back(distribution(result, site));
  for (std::size_t site = 0; site < sites; ++site) figures.push_back(tail(result, site));
  figures.push_back(over_time(result, faults, "throughput", "Commands executed a second",
                              linear_scale,
                              [](const Second& at) { return static_cast<double>(at.executed); }));
  figures.push_back(
      over_time(result, faults, "p99", "99th percentile of execution, ms", log_scale,
                [](const Second& at) { return static_cast<double>(at.p99_us) / 1000; }));
  std::erase_if(figures, [](const Figure& figure) { return figure.script.empty(); });
  return figures;
}

}  // namespace epaxos::bench
