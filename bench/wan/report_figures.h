#pragma once

// The figures of a report: scripts of gnuplot that hold their data, and the SVG that it makes of
// them, in colours that the page decides.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "bench/wan/wan.h"

namespace epaxos::bench {

/// Of the scripts: those of Okabe and Ito, which people who are blind to some colours can tell
/// apart.
inline constexpr std::array<const char*, 6> kFigureColours = {"#0072b2", "#d55e00", "#009e73",
                                                              "#cc79a7", "#e69f00", "#56b4e9"};

struct Figure {
  enum class Kind { kBars, kRatios, kDistribution, kTail, kOverTime };

  Kind kind;
  std::string name;    ///< Of its file: "cdf-VA".
  std::string title;   ///< Of one among several: the site, or the run.
  std::string text;    ///< What it shows, for who cannot see it.
  int width = 0;       ///< In pixels of the page.
  std::string script;  ///< `gnuplot NAME.gp > NAME.svg` draws it.
};

/// Bars of commit and of execution, for every run the medians over their bounds, and for every site
/// how latency is distributed and its tail; and where it was recorded, all sites together second by
/// second, with the faults.
std::vector<Figure> figures_of(const WanResult& result, const std::vector<Fault>& faults);

/// Where gnuplot is. Errors: unavailable - a sentence that says what to install.
Result<std::string> gnuplot_program();

/// Runs the script in this file. Errors: unavailable - it fails.
Result<std::string> draw(const std::string& gnuplot, const std::string& script_path);

/// What gnuplot drew as an element of a page: its colours are classes (`s1` for a stroke, `f1` for
/// a fill, `k1` for both, and so on), its text is black or white as the page is, and its
/// identifiers clash with no other figure's.
std::string inline_svg(std::string_view drawn, const Figure& figure);

}  // namespace epaxos::bench
