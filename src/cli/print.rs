//! What people see: text that is safe for a terminal, tables that fit it, times, colours.

mod comment;
mod safe;
mod table;
mod time;

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::exit::{Exit, Failure};

pub use comment::{Marks, comment};
pub use safe::{safe, safe_json, safe_lines};
pub use table::{Column, Table, cut};
pub use time::{ago, span, time};

/// Standing for a value that is not there.
pub const NONE: &str = "-";

/// Writes to standard output. A reader that has had enough (`| head`) is no failure.
pub fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let line_break = if text.ends_with('\n') { "" } else { "\n" };
    match write!(stdout, "{text}{line_break}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, "the output cannot be written", error, "free space, or write it elsewhere"))
        }
        _ => Ok(()),
    }
}

/// Writes to standard error. When nobody can read it, the exit code still says what happened.
pub fn err(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A value as JSON, several lines, safe on a terminal too.
pub fn json(value: &impl Serialize) -> Result<String, Failure> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => Ok(safe_json(&text)),
        Err(fault) => {
            Err(Failure::new(Exit::Failed, "the answer cannot be shown as JSON", fault, "please report this"))
        }
    }
}

/// The width of the terminal that standard output is; `None` where it is a pipe or a file.
pub fn width() -> Option<usize> {
    /// Narrower than this nothing can be shown.
    const LEAST: u16 = 20;
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| size.ws_col);
    // A terminal that does not know its width says 0.
    Some(usize::from(if columns == 0 { 80 } else { columns.max(LEAST) }))
}

/// Whether standard output takes colours (<https://no-color.org>).
pub fn colour_out() -> bool {
    io::stdout().is_terminal() && wants_colour()
}

/// Whether standard error takes colours.
pub fn colour_err() -> bool {
    io::stderr().is_terminal() && wants_colour()
}

fn wants_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A colour of the terminal's own palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Magenta,
    Cyan,
}

impl Paint {
    /// The text in this colour, or as it is where there are no colours.
    pub fn on(self, text: &str, colour: bool) -> String {
        let code = match self {
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Red => "1;31",
            Paint::Green => "32",
            Paint::Yellow => "33",
            Paint::Magenta => "35",
            Paint::Cyan => "36",
        };
        if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
