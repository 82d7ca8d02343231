//! The table: a row for each figure, a column for each size of the fleet.

use std::fmt;

/// What is measured, and what it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The aim, for people; empty when there is none.
    pub(crate) aim: &'static str,
}

/// A row with an aim.
pub(crate) const fn row(name: &'static str, aim: &'static str) -> Row {
    Row { name, aim }
}

/// Values of all rounds, by row and column.
#[derive(Debug)]
pub(crate) struct Table {
    sizes: Vec<usize>,
    rows: Vec<(Row, Vec<Vec<f64>>)>,
}

impl Table {
    pub(crate) fn new(sizes: Vec<usize>) -> Self {
        Self { sizes, rows: Vec::new() }
    }

    /// Adds the value of one round.
    pub(crate) fn add(&mut self, row: Row, column: usize, value: f64) {
        let known = self.rows.iter().position(|(known, _)| *known == row);
        let place = known.unwrap_or_else(|| {
            self.rows.push((row, vec![Vec::new(); self.sizes.len()]));
            self.rows.len() - 1
        });
        self.rows[place].1[column].push(value);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: String = self.sizes.iter().map(|size| format!("{size:>10}")).collect();
        writeln!(f, "{:<42}{sizes}  aim", "machines, with 10 params each")?;
        for (row, columns) in &self.rows {
            let cells: String = columns
                .iter()
                .map(|values| format!("{:>10}", median(values.clone()).map_or("-".into(), shown)))
                .collect();
            writeln!(f, "{}", format!("{:<42}{cells}  {}", row.name, row.aim).trim_end())?;
        }
        Ok(())
    }
}

/// The middle one of what was measured, if anything was.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn shown(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_stand_below_their_sizes() {
        let mut table = Table::new(vec![0, 1000]);
        for (column, values) in [[3.0, 1.0, 200.0], [0.5, 0.25, 1.0]].into_iter().enumerate() {
            values.into_iter().for_each(|value| table.add(row("creates/s", "thousands"), column, value));
        }
        let text = table.to_string();
        let line = text.lines().nth(1).unwrap();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["creates/s", "3.0", "0.500", "thousands"]);
        assert!(text.starts_with("machines, with 10 params each"));
    }
}
