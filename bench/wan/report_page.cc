#include "bench/wan/report_page.h"

#include <algorithm>

#include "bench/report/markup.h"
#include "bench/wan/timeline_report.h"
#include "bench/wan/wan_report.h"
#include "epaxos/programs/every_program.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

// The page is black on white or white on black as the reader's system is, and always black on white
// on paper. Colours on white are darker than those of the scripts, so that text in them is
// readable.
constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --page: #ffffff; --text: #1b2733; --soft: #5b6773;
  --line: #d5dbe1; --band: #f4f6f8; --mark: #8a4b00;
  --c1: #0068a3; --c2: #bd4b00; --c3: #00785a; --c4: #a33d78; --c5: #8a6100; --c6: #277da6; }
@media (prefers-color-scheme: dark) { :root { --page: #14191e; --text: #e4e9ee; --soft: #a3afba;
  --line: #3a444d; --band: #1d242a; --mark: #ffb84d;
  --c1: #58b4f0; --c2: #ff8f52; --c3: #35cba4; --c4: #ee9ccb; --c5: #f2b632; --c6: #9fd8f7; } }
@media print { :root { color-scheme: light; --page: #ffffff; --text: #000000; --soft: #444444;
  --line: #dddddd; --band: #ffffff; --mark: #000000;
  --c1: #0068a3; --c2: #bd4b00; --c3: #00785a; --c4: #a33d78; --c5: #8a6100; --c6: #277da6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 84rem; background: var(--page);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .3rem; }
h3 { font-size: 1rem; margin: 0; }
p { max-width: 50rem; margin: .4rem 0; }
.soft { color: var(--soft); }
.mark { color: var(--mark); font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .55rem; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid var(--text); font-weight: 600; }
th.left, td.left { text-align: left; }
tbody tr:nth-child(even) { background: var(--band); }
tr.first td { border-top: 1px solid var(--line); }
tr.all { font-weight: 600; }
figure { margin: .6rem 0 0; }
.many, .two { display: grid; gap: 1rem 1.5rem; }
.many { grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
.two { grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 12px system-ui, sans-serif; paint-order: stroke; stroke: var(--page);
  stroke-width: 3px; stroke-linejoin: round; }
svg .grid { stroke: var(--line); }
.s1 { stroke: var(--c1); } .f1 { fill: var(--c1); } .k1 { color: var(--c1); }
.s2 { stroke: var(--c2); } .f2 { fill: var(--c2); } .k2 { color: var(--c2); }
.s3 { stroke: var(--c3); } .f3 { fill: var(--c3); } .k3 { color: var(--c3); }
.s4 { stroke: var(--c4); } .f4 { fill: var(--c4); } .k4 { color: var(--c4); }
.s5 { stroke: var(--c5); } .f5 { fill: var(--c5); } .k5 { color: var(--c5); }
.s6 { stroke: var(--c6); } .f6 { fill: var(--c6); } .k6 { color: var(--c6); }
@media print { body { padding: 0; max-width: none; font-size: 11px; }
  .many, .two { grid-template-columns: 1fr 1fr; }
  .wide { overflow: visible; } .wide > div { min-width: 0 !important; }
  figure, tr { break-inside: avoid; } h2, section > p { break-after: avoid; }
  table { font-size: 9px; }
  th, td { padding: .1rem .35rem; } }
)";

// What gnuplot's points refer to.
constexpr const char* kPoints =
    "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>"
    "<circle id=\"gpPt5\" r=\"1\" fill=\"none\" stroke=\"currentColor\" stroke-width=\".35\"/>"
    "<circle id=\"gpPt6\" r=\"1\" fill=\"currentColor\" stroke=\"none\"/></defs></svg>\n";

std::string cell(const char* tag, const std::string& text, bool left) {
  return std::string("<") + tag + (left ? " class=\"left\">" : ">") + markup_text(text) + "</" +
         tag + ">";
}

std::string table(const WanOptions& options, const WanResult& result) {
  const SiteTable sites = table_of(options, result);
  std::vector<bool> left;
  std::string out = "<div class=\"wide\"><table>\n<thead><tr>";
  for (const std::string& name : sites.names) {
    left.push_back(!name.starts_with('>'));
    out += cell("th", left.back() ? name : name.substr(1), left.back());
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const SiteTable::Row& row : sites.rows) {
    out += row.first_of_run ? "<tr class=\"first\">"
           : row.all_sites  ? "<tr class=\"all\">"
                            : "<tr>";
    for (std::size_t i = 0; i < row.cells.size(); ++i) out += cell("td", row.cells[i], left[i]);
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

/// Round trips between the sites.
std::string matrix(const Topology& topology) {
  std::string out = "<div class=\"wide\"><table>\n<thead><tr><th></th>";
  for (const std::string& site : topology.sites()) out += cell("th", site, false);
  out += "</tr></thead>\n<tbody>\n";
  for (std::size_t from = 0; from < topology.site_count(); ++from) {
    out += "<tr>" + cell("td", topology.site(from), true);
    for (std::size_t to = 0; to < topology.site_count(); ++to) {
      const auto us = static_cast<double>(topology.round_trip_us(from, to));
      out += cell("td", fixed(us / 1000, 1), false);
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

/// After each fault; empty without faults.
std::string gaps_section(const WanPlan& plan, const WanResult& result) {
  const auto rows = gaps(plan, result);
  if (rows.empty()) return {};
  std::string out =
      "<section>\n<h2>When something fails</h2>\n<p>The longest time without a commit at each "
      "site, "
      "in ms. " +
      markup_text(gaps_note(result)) + "</p>\n<div class=\"wide\"><table>\n<thead><tr>" +
      cell("th", "protocol", true) + cell("th", "after", true);
  for (const std::string& site : result.placement.topology().sites())
    out += cell("th", site, false);
  out += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : rows) {
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) out += cell("td", row[i], i < 2);
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n</section>\n";
}

std::string drawn(const DrawnFigure& one, bool titled) {
  const Figure& figure = one.figure;
  std::string out = "<figure>";
  if (titled && !figure.title.empty()) {
    out += "<figcaption><h3>" + markup_text(figure.title) + "</h3></figcaption>";
  }
  // A wide figure is not squeezed on a phone; it can be pushed aside.
  const std::string least =
      figure.kind == Figure::Kind::kBars || figure.kind == Figure::Kind::kOverTime
          ? std::to_string(figure.width) + "px"
          : "0";
  return out + "<div class=\"wide\"><div style=\"min-width:" + least + "\">" + one.svg +
         "</div></div></figure>\n";
}

std::string section(const char* heading, const char* text, const std::vector<DrawnFigure>& figures,
                    Figure::Kind kind) {
  const bool many = kind != Figure::Kind::kBars && kind != Figure::Kind::kOverTime;
  std::string out = std::string("<section>\n<h2>") + heading + "</h2>\n<p>" + text + "</p>\n";
  const bool narrow = std::ranges::all_of(figures, [kind](const auto& one) {
    return one.figure.kind != kind || one.figure.width < 700;
  });
  out += many ? "<div class=\"many\">\n" : narrow ? "<div class=\"two\">\n" : "<div>\n";
  for (const DrawnFigure& one : figures) {
    if (one.figure.kind == kind) out += drawn(one, kind != Figure::Kind::kBars);
  }
  return out + "</div>\n</section>\n";
}

std::string remarks(const WanOptions& options, const WanResult& result) {
  std::string out;
  if (result.interrupted) {
    out += "<p class=\"mark\">Interrupted: the last run holds what was measured until then.</p>\n";
  }
  if (const std::string left_out = left_out_text(options, result); !left_out.empty()) {
    out += "<p class=\"mark\">" + markup_text(left_out) + "</p>\n";
  }
  for (const std::string& sentence : broken_gates(options, result)) {
    out += "<p class=\"mark\">" + markup_text(sentence) + "</p>\n";
  }
  return out;
}

}  // namespace

std::string to_page(const WanOptions& options, const WanPlan& plan, const WanResult& result,
                    const std::vector<DrawnFigure>& figures) {
  const Topology& topology = result.placement.topology();
  const std::string title = "Latency on " + markup_text(topology.name());
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
      title + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n" + kPoints + "<h1>" +
      title + "</h1>\n" + remarks(options, result);
  std::string conditions = conditions_text(options, result);
  std::size_t begin = 0;
  while (begin < conditions.size()) {  // Paragraphs, with an empty line between them.
    const std::size_t end = std::min(conditions.find("\n\n", begin), conditions.size());
    out += "<p class=\"soft\">" + markup_text(conditions.substr(begin, end - begin)) + "</p>\n";
    begin = end + 2;
  }
  out += "<section>\n<h2>Every site</h2>\n" + table(options, result) + "</section>\n";
  out += gaps_section(plan, result);
  out += section("Median and 99th percentile",
                 "Bars reach to the median, whiskers to the 99th percentile, and the line across a "
                 "bar is the bound. The site behind a protocol is where its leader is.",
                 figures, Figure::Kind::kBars);
  out += section(
      "Measured against what is possible",
      "Medians of every site divided by the bound: full dots are commit, rings are execution. "
      "Left of 1 is who has a nearer leader since a fault.",
      figures, Figure::Kind::kRatios);
  out += section("How latency is distributed",
                 "Share of the commands that were executed within a time. The mark below the axis "
                 "is the bound. Where curves lie upon each other, "
                 "the lower ones are wider and the upper ones have gaps.",
                 figures, Figure::Kind::kDistribution);
  out += section("The tail",
                 "Share of the commands that took longer: solid until executed, dotted until "
                 "committed.",
                 figures, Figure::Kind::kTail);
  const bool recorded = std::ranges::any_of(
      figures, [](const auto& one) { return one.figure.kind == Figure::Kind::kOverTime; });
  if (recorded) {
    out += section("Over time",
                   "All sites together, second by second, from the beginning of the measured time. "
                   "Dashed lines are faults. Of runs that were repeated, the first is shown.",
                   figures, Figure::Kind::kOverTime);
  }
  out += "<section>\n<h2>Round trips, ms</h2>\n" + matrix(topology) + "</section>\n";
  return out + "<p class=\"soft\">" + markup_text(version_line("epaxos-bench")) +
         ". results.json has every parameter and all histograms.</p>\n</body>\n</html>\n";
}

}  // namespace epaxos::bench
