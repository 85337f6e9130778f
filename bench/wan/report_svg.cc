// From scripts of gnuplot to elements of a page.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include "bench/report/markup.h"
#include "bench/wan/report_figures.h"
#include "epaxos/programs/child_process.h"

namespace epaxos::bench {
namespace {

/// A figure takes some tens of milliseconds.
constexpr Tick kDrawnWithinUs = 60 * kSecond;

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

/// Cuts out all parts that begin and end so.
void cut_all(std::string& text, std::string_view begin, std::string_view end) {
  for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    const std::size_t stop = text.find(end, at + begin.size());
    if (stop == std::string::npos) return;
    text.erase(at, stop + end.size() - at);
  }
}

/// `rgb(213,  94,   0)` wherever it is an attribute.
void name_colour(std::string& text, const std::string& wide, const std::string& narrow,
                 const std::string& name) {
  for (const std::string& value : {wide, narrow}) {
    replace_all(text, "stroke='" + value + "'", "class='s" + name + "'");
    replace_all(text, "stroke=\"" + value + "\"", "class=\"s" + name + "\"");
    replace_all(text, "fill = '" + value + "'", "class='f" + name + "'");
    replace_all(text, "fill=\"" + value + "\"", "class=\"f" + name + "\"");
    replace_all(text, "color='" + value + "'", "class='k" + name + "'");
  }
}

/// As gnuplot writes "#d55e00" in most places, or in labels.
std::string rgb(const char* hex, const char* format) {
  const auto value = static_cast<unsigned>(std::strtoul(hex + 1, nullptr, 16));
  char text[32];
  std::snprintf(text, sizeof text, format, value >> 16, value >> 8 & 255, value & 255);
  return text;
}

}  // namespace

Result<std::string> gnuplot_program() {
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    std::string program = std::string(folder) + "/gnuplot";
    if (::access(program.c_str(), X_OK) == 0) return program;
  }
  return fail(ErrorCode::kUnavailable,
              "there is no gnuplot here to draw figures. Install it with: apt-get install "
              "gnuplot-nox");
}

Result<std::string> draw(const std::string& gnuplot, const std::string& script_path) {
  Result<ChildProcess> child = ChildProcess::start({gnuplot, script_path});
  if (!child) return fail(child.error());
  std::string drawn;
  while (const auto line = child->read_line(kDrawnWithinUs)) drawn += *line + "\n";
  if (child->wait(kDrawnWithinUs) != 0 || drawn.find("</svg>") == std::string::npos) {
    return fail(ErrorCode::kUnavailable, gnuplot + " could not draw " + script_path + ".");
  }
  return drawn;
}

std::string inline_svg(std::string_view drawn, const Figure& figure) {
  std::string text(drawn);
  const auto view = text.find("viewBox=\"");
  const std::string box = text.substr(view + 9, text.find('"', view + 9) - view - 9);
  text.erase(0, text.find("<g id=\"gnuplot_canvas\">"));
  cut_all(text, "<defs>", "</defs>\n");
  cut_all(text, "<rect x=\"0\" y=\"0\"", "/>\n");
  cut_all(text, "<title>", "</title>");
  for (const char* black : {"stroke=\"black\"", "stroke=\"rgb(  0,   0,   0)\""}) {
    replace_all(text, black, "stroke=\"currentColor\"");
  }
  replace_all(text, "stroke='rgb(  0,   0,   0)'", "stroke='currentColor'");
  replace_all(text, "stroke='black'", "stroke='currentColor'");
  replace_all(text, " fill=\"black\"", " fill=\"currentColor\"");
  for (const char* useless :
       {" color=\"black\"", " color=\"white\"", " color=\"gray\"", " font-family=\"sans-serif\"",
        " id=\"gnuplot_canvas\"", " stroke-linecap=\"butt\" stroke-linejoin=\"miter\""}) {
    replace_all(text, useless, "");
  }
  cut_all(text, " id=\"gnuplot_plot_", "\"");
  cut_all(text, " id=\"Gnuplot_plot_", "\"");
  replace_all(text, "<tspan >", "<tspan>");
  replace_all(text, "stroke='rgb(176, 176, 176)' stroke-dasharray='2,4' class=\"gridline\"",
              "class='grid'");
  replace_all(text, " stroke=\"rgb(176, 176, 176)\"", "");
  for (std::size_t i = 0; i < kFigureColours.size(); ++i) {
    const std::string wide = rgb(kFigureColours[i], "rgb(%3u, %3u, %3u)");
    const std::string narrow = rgb(kFigureColours[i], "rgb(%u,%u,%u)");
    name_colour(text, wide, narrow, std::to_string(i + 1));
  }
  return "<svg viewBox=\"" + box + "\" role=\"img\" aria-label=\"" + markup_text(figure.text) +
         "\">\n" + text;
}

}  // namespace epaxos::bench
