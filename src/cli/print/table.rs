//! Aligned columns. On a terminal they fit its width; in a pipe nothing is cut and nothing left out.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{NONE, safe};

/// Between two columns.
const GAP: usize = 2;

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    least: usize,
    rank: u8,
}

impl Column {
    /// `least` is the width below which the column is no use. Where room is short, columns with a low `rank` stay.
    pub const fn new(title: &'static str, least: usize, rank: u8) -> Self {
        Self { title, least, rank }
    }
}

/// Rows of cells under titles.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// No rows yet.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; what its cells hold is made safe to print. `None` and empty cells are shown as a hyphen.
    pub fn row<const N: usize>(&mut self, cells: [Option<String>; N]) {
        let cell = |cell: Option<String>| match cell {
            Some(text) if !text.is_empty() => safe(&text).into_owned(),
            _ => NONE.to_owned(),
        };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// The table as text. Without a `width` nothing is cut.
    pub fn render(&self, width: Option<usize>) -> String {
        let natural: Vec<usize> = (0..self.columns.len()).map(|index| self.natural(index)).collect();
        let (widths, left_out) = match width {
            Some(width) => self.fit(&natural, width),
            None => (natural, Vec::new()),
        };
        let mut text = String::new();
        let titles = self.columns.iter().map(|column| column.title).collect::<Vec<_>>();
        line(&mut text, &titles, &widths);
        for row in &self.rows {
            line(&mut text, row, &widths);
        }
        if !left_out.is_empty() {
            text.push_str(&format!(
                "(no room for: {}; a wider terminal or --json shows them)\n",
                left_out.join(", ").to_lowercase()
            ));
        }
        text
    }

    /// The width at which nothing of a column is cut.
    fn natural(&self, index: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(index)).map(String::as_str);
        let title = self.columns.get(index).map_or("", |column| column.title);
        cells.chain([title]).map(UnicodeWidthStr::width).max().unwrap_or(0)
    }

    /// A width for each column, 0 for one without room, and the titles of those that hold something and have no room.
    fn fit(&self, natural: &[usize], width: usize) -> (Vec<usize>, Vec<&'static str>) {
        let mut order: Vec<usize> = (0..self.columns.len()).filter(|index| self.holds_something(*index)).collect();
        order.sort_by_key(|index| self.columns[*index].rank);
        let mut widths = vec![0; natural.len()];
        let mut room = width + GAP;
        let mut left_out = Vec::new();
        for index in order.clone() {
            let least = natural[index].min(self.columns[index].least).max(1);
            if least + GAP <= room {
                widths[index] = least;
                room -= least + GAP;
            } else {
                left_out.push(self.columns[index].title);
                order.retain(|kept| *kept != index);
            }
        }
        for index in order {
            let more = room.min(natural[index].saturating_sub(widths[index]));
            widths[index] += more;
            room -= more;
        }
        (widths, left_out)
    }

    fn holds_something(&self, index: usize) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|row| row.get(index).is_some_and(|cell| cell != NONE))
    }
}

fn line<T: AsRef<str>>(text: &mut String, cells: &[T], widths: &[usize]) {
    let start = text.len();
    for (cell, width) in cells.iter().zip(widths) {
        if *width == 0 {
            continue;
        }
        if text.len() > start {
            text.push_str(&" ".repeat(GAP));
        }
        let cell = cut(cell.as_ref(), *width);
        text.push_str(&cell);
        text.push_str(&" ".repeat(width.saturating_sub(cell.width())));
    }
    text.truncate(text.trim_end_matches(' ').len().max(start));
    text.push('\n');
}

/// The text, or as much of it as fits with a mark that it goes on.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut room = width.saturating_sub(1);
    for c in text.chars() {
        let takes = c.width().unwrap_or(0);
        if takes > room {
            break;
        }
        kept.push(c);
        room -= takes;
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table =
            Table::new(&[Column::new("ID", 4, 0), Column::new("SERIAL", 6, 2), Column::new("SYNOPSIS", 10, 1)]);
        let cell = |text: &str| Some(text.to_owned());
        table.row([cell("1"), cell("JN11A2B3C"), cell("PSU 0 output failure")]);
        table.row([cell("12"), None, cell("電源 \u{1b}[31m")]);
        table
    }

    #[test]
    fn in_a_pipe_nothing_is_cut_and_columns_line_up() {
        let expected =
            "ID  SERIAL     SYNOPSIS\n1   JN11A2B3C  PSU 0 output failure\n12  -          電源 \\u{1b}[31m\n";
        assert_eq!(sample().render(None), expected);
    }

    #[test]
    fn on_a_terminal_no_line_is_wider_than_it() {
        for width in 20..60 {
            let text = sample().render(Some(width));
            let rows = text.lines().filter(|line| !line.starts_with('('));
            assert!(rows.clone().all(|line| line.width() <= width), "{width}\n{text}");
            assert!(rows.clone().all(|line| !line.ends_with(' ')), "{width}\n{text}");
        }
        assert!(sample().render(Some(24)).contains("PSU 0 outpu…"), "{}", sample().render(Some(24)));
        assert!(sample().render(Some(20)).contains("(no room for: serial;"), "{}", sample().render(Some(20)));
    }

    #[test]
    fn a_column_without_any_value_takes_no_room_on_a_terminal() {
        let mut table = Table::new(&[Column::new("ID", 2, 0), Column::new("CASE", 4, 1)]);
        table.row([Some("1".into()), None]);
        assert_eq!(table.render(Some(80)), "ID\n1\n");
        assert_eq!(table.render(None), "ID  CASE\n1   -\n");
    }

    #[test]
    fn wide_characters_are_cut_by_their_width() {
        assert_eq!(cut("電源装置", 5), "電源…");
        assert_eq!(cut("電源", 4), "電源");
    }
}
