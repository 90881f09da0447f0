//! Drawings of reports, as SVG: dots for medians, curves for distributions. All scales are logarithmic.
//!
//! They bring their own white ground, so that they can be read on light and on dark pages.

use crate::probe::Distance;
use crate::report::{Cell, Distribution, Report};
use std::fmt::Write;

const INK: &str = "#212529";
const PALE: &str = "#868e96";
const GROUND: &str = "#ffffff";
const GRID: &str = "#dee2e6";
/// Those whose names begin so stand out.
const OURS: &str = "ringfile";
const OUR_COLOUR: &str = "#c2255c";
const THEIR_COLOUR: &str = "#1864ab";
const COLOURS: [&str; 8] =
    ["#c2255c", "#1864ab", "#2b8a3e", "#e67700", "#5f3dc4", "#0b7285", "#862e9c", "#495057"];

const TOP: f64 = 64.0;
const BOTTOM: f64 = 34.0;

/// Decades of a logarithmic axis, and how they lie on the page.
struct Axis {
    first: i32,
    last: i32,
    /// Where the first decade begins and the last ends; the other way round for an axis that goes up.
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis that has room for all of these.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Axis {
        let positive = values.filter(|&value| value > 0.0).map(f64::log10);
        let (least, most) =
            positive.fold((f64::MAX, f64::MIN), |(least, most), x| (least.min(x), most.max(x)));
        if least > most {
            return Axis { first: 0, last: 1, from, to };
        }
        let first = least.floor() as i32;
        Axis { first, last: (most.ceil() as i32).max(first + 1), from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + share * (self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.first..=self.last).map(|decade| 10f64.powi(decade))
    }
}

/// A panel for each column of the table, a row for each contender; a dot is full for near cores, hollow for far ones.
pub fn dots(report: &Report, table: &str) -> String {
    const NAMES: f64 = 230.0;
    const PANEL: f64 = 150.0;
    const GAP: f64 = 28.0;
    const ROW: f64 = 18.0;
    let columns = over_distances(report, |distance| report.columns(distance, table));
    let rows = over_distances(report, |distance| report.contenders(distance, table));
    let value = |distance, column, contender| {
        report.figure(distance, &Cell::new(table, column), contender).map(|figure| figure.value)
    };
    let mut values = Vec::new();
    for distance in report.distances() {
        for &column in &columns {
            values.extend(rows.iter().filter_map(|&row| value(distance, column, row)));
        }
    }
    let bottom = TOP + rows.len() as f64 * ROW;
    let width = NAMES + columns.len() as f64 * (PANEL + GAP) + GAP;
    let title = format!("{table}: {}, near cores (full) and far ones (hollow)", report.unit());
    let mut svg = begin(width, bottom + BOTTOM, &title);
    for (&row, i) in rows.iter().zip(0..) {
        let (y, colour) = (TOP + (f64::from(i) + 0.5) * ROW, colour_of(row));
        text(&mut svg, (NAMES - 8.0, y + 4.0), "end", colour, row);
        line(&mut svg, (NAMES, y), (width - GAP, y));
    }
    for (&column, i) in columns.iter().zip(0..) {
        let left = NAMES + f64::from(i) * (PANEL + GAP);
        let axis = Axis::over(values.iter().copied(), left, left + PANEL);
        text(&mut svg, (left + PANEL / 2.0, TOP - 12.0), "middle", INK, column);
        for tick in axis.ticks() {
            let x = axis.at(tick);
            line(&mut svg, (x, TOP), (x, bottom));
            text(&mut svg, (x, bottom + 16.0), "middle", PALE, &short(tick));
        }
        for (&row, i) in rows.iter().zip(0..) {
            let y = TOP + (f64::from(i) + 0.5) * ROW;
            for distance in report.distances() {
                let Some(value) = value(distance, column, row) else { continue };
                let (x, colour) = (axis.at(value), colour_of(row));
                let fill = if distance == Distance::Far { GROUND } else { colour };
                let _ = writeln!(
                    svg,
                    r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{fill}" stroke="{colour}"/>"#
                );
            }
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// How much of each contender's distribution lies below what; dashed for far cores.
pub fn curves(report: &Report, cell: &Cell) -> String {
    const LEFT: f64 = 70.0;
    const PLOT: f64 = 480.0;
    const HEIGHT: f64 = 300.0;
    const LEGEND: f64 = 280.0;
    const MOST_NINES: f64 = 4.0;
    let all = report.distributions_in(cell);
    let ends =
        all.iter().flat_map(|d| [d.quantile(0.0) as f64, d.quantile(1.0 - 0.1f64.powf(MOST_NINES)) as f64]);
    let bottom = TOP + HEIGHT;
    let up = Axis::over(ends, bottom, TOP);
    let across = |nines: f64| LEFT + PLOT * nines / MOST_NINES;
    let title = format!(
        "{}, {}: percentiles in ns, near cores (drawn through) and far ones (dashed)",
        cell.table, cell.column
    );
    let mut svg = begin(LEFT + PLOT + LEGEND, bottom + BOTTOM, &title);
    for tick in up.ticks() {
        let y = up.at(tick);
        line(&mut svg, (LEFT, y), (LEFT + PLOT, y));
        text(&mut svg, (LEFT - 8.0, y + 4.0), "end", PALE, &short(tick));
    }
    for (name, nines) in
        [("p0", 0.0), ("p50", 2f64.log10()), ("p90", 1.0), ("p99", 2.0), ("p99.9", 3.0), ("p99.99", 4.0)]
    {
        line(&mut svg, (across(nines), TOP), (across(nines), bottom));
        text(&mut svg, (across(nines), bottom + 16.0), "middle", PALE, name);
    }
    let contenders = over_distances(report, |distance| {
        all.iter().filter(|d| d.distance == distance).map(|d| &*d.contender).collect()
    });
    for (&contender, i) in contenders.iter().zip(0..) {
        let colour = COLOURS[i % COLOURS.len()];
        let y = TOP + 12.0 + i as f64 * 18.0;
        text(&mut svg, (LEFT + PLOT + 20.0, y), "start", colour, contender);
        for distribution in all.iter().filter(|d| d.contender == contender) {
            let dash = if distribution.distance == Distance::Far { "5 3" } else { "none" };
            let _ = writeln!(
                svg,
                r#"<path d="{}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-dasharray="{dash}"/>"#,
                path(distribution, MOST_NINES, &across, &up)
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// As far to the right as there are enough recorded values to say.
fn path(distribution: &Distribution, most_nines: f64, across: &impl Fn(f64) -> f64, up: &Axis) -> String {
    const STEPS: u32 = 20;
    let known = (distribution.count() as f64).log10().min(most_nines);
    let mut path = String::new();
    let mut step = 0;
    loop {
        let nines = f64::from(step) / f64::from(STEPS);
        if nines > known {
            return path;
        }
        let value = distribution.quantile(1.0 - 0.1f64.powf(nines)).max(1) as f64;
        let verb = if step == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{verb}{:.1} {:.1}", across(nines), up.at(value));
        step += 1;
    }
}

/// What there is at any distance, each once.
fn over_distances<'a>(report: &Report, of: impl Fn(Distance) -> Vec<&'a str>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in report.distances().into_iter().flat_map(of) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn colour_of(contender: &str) -> &'static str {
    if contender.starts_with(OURS) { OUR_COLOUR } else { THEIR_COLOUR }
}

fn begin(width: f64, height: f64, title: &str) -> String {
    let title = escape(title);
    let mut svg = format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="Helvetica, Arial, sans-serif" "#,
            r#"font-size="12" role="img" aria-label="{}">"#,
            "\n",
            r#"<rect width="100%" height="100%" fill="{}"/>"#,
            "\n"
        ),
        width, height, title, GROUND
    );
    let _ = writeln!(svg, r#"<text x="16" y="24" font-size="14" fill="{INK}">{title}</text>"#);
    svg
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, colour: &str, text: &str) {
    let text = escape(text);
    let _ =
        writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{colour}">{text}</text>"#);
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(svg, r#"<path d="M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}" stroke="{GRID}"/>"#);
}

/// 1000 as 1k.
fn short(tick: f64) -> String {
    match tick {
        millions if millions >= 1e6 => format!("{}M", millions / 1e6),
        thousands if thousands >= 1e3 => format!("{}k", thousands / 1e3),
        few => few.to_string(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
