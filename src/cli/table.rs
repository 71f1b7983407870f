//! Tables on standard output: a heading, aligned columns, one row a line, so that other tools can read them too.

use crate::cli::{Face, safe};

/// Prints rows under a heading; nothing is printed when there are none.
pub(super) fn table<const N: usize>(face: &Face, heading: [&str; N], rows: &[[String; N]]) {
    if rows.is_empty() {
        return;
    }
    let heading = heading.map(str::to_owned);
    let mut widths = [0; N];
    for row in rows.iter().chain([&heading]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(safe(cell).chars().count());
        }
    }
    for row in [&heading].into_iter().chain(rows) {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{:<width$}", safe(cell))).collect();
        face.data(cells.join("  ").trim_end());
    }
}
