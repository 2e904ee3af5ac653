//! The picture of a run: one small chart for each thing that must not grow, against the minutes.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::figures::Table;
use crate::AnyError;

const SIZE: (u32, u32) = (1080, 600);
const ROWS_AND_COLUMNS: (usize, usize) = (2, 3);
const PAPER: RGBColor = RGBColor(252, 252, 250);
const INK: RGBColor = RGBColor(40, 44, 52);
const FAINT: RGBColor = RGBColor(222, 222, 218);
/// Told apart in black and white and by those who do not see red and green alike.
const LINES: [RGBColor; 3] = [RGBColor(0, 90, 156), RGBColor(214, 96, 0), RGBColor(110, 110, 110)];

/// A chart: its title with the unit, and what is drawn: a column and its name, and by what it is divided.
struct Panel {
    title: &'static str,
    lines: &'static [(&'static str, &'static str)],
    unit_in_column: f64,
}

const PANELS: [Panel; 6] = [
    Panel {
        title: "memory, MiB",
        lines: &[("resident_mib", "resident"), ("anonymous_mib", "anonymous")],
        unit_in_column: 1.0,
    },
    Panel {
        title: "files",
        lines: &[("files", "all"), ("sstables", "SSTables"), ("history_files", "history")],
        unit_in_column: 1.0,
    },
    Panel {
        title: "space on disk, bytes a row held",
        lines: &[("bytes_per_row", "log included")],
        unit_in_column: 1.0,
    },
    Panel {
        title: "synced append of 200 rows, p50, µs",
        lines: &[("append_p50_us", "append"), ("bare_p50_us", "bare disk")],
        unit_in_column: 1.0,
    },
    Panel {
        title: "synced append of 200 rows, p99, ms",
        lines: &[("append_p99_us", "append")],
        unit_in_column: 1000.0,
    },
    Panel { title: "rows held, millions", lines: &[("held_mrows", "rows")], unit_in_column: 1.0 },
];

/// Writes the picture as SVG. What lies before the settled minutes is drawn on a darker ground.
pub fn draw(path: &Path, table: &Table, settled: usize) -> Result<(), AnyError> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&PAPER)?;
    for (area, panel) in root.split_evenly(ROWS_AND_COLUMNS).iter().zip(&PANELS) {
        draw_panel(area, panel, table, settled)?;
    }
    root.present()?;
    Ok(())
}

fn draw_panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    panel: &Panel,
    table: &Table,
    settled: usize,
) -> Result<(), AnyError> {
    let lines: Vec<(&str, Vec<f64>)> = panel
        .lines
        .iter()
        .map(|(column, name)| {
            (*name, table.column(column).iter().map(|value| value / panel.unit_in_column).collect())
        })
        .collect();
    let last = table.minutes() as f64;
    let highest = lines.iter().flat_map(|(_, values)| values).copied().fold(0.0, f64::max);
    // From zero, because what is shown is that nothing grows; with room for the names above.
    let top = highest.max(1e-9) * (1.1 + 0.15 * lines.len() as f64);
    let font = |size: i32| ("sans-serif", size).into_font().color(&INK);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(panel.title, font(19))
        .x_label_area_size(40)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..last, 0.0..top)?;
    let unsettled = [(0.0, 0.0), ((settled as f64).min(last), top)];
    chart.draw_series([Rectangle::new(unsettled, FAINT.mix(0.5).filled())])?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(font(15))
        .x_desc("minute")
        .y_labels(5)
        .x_label_formatter(&|minute| format!("{minute:.0}"))
        .y_label_formatter(&|value| if top < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") })
        .draw()?;
    for ((name, values), color) in lines.iter().zip(LINES) {
        let points = values.iter().enumerate().map(|(at, value)| (at as f64 + 0.5, *value));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
    }
    if lines.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font(font(15))
            .background_style(PAPER.mix(0.8))
            .draw()?;
    }
    Ok(())
}
