//! The lines of the story as it happens: short and coloured on a terminal, plain in a pipe.

use std::time::Instant;

use crate::cli::exit::Failure;
use crate::cli::print::{self, Paint};

/// At whose site something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    North,
    Partner,
}

impl Side {
    /// The alias of the site, and the name of its directory.
    pub fn alias(self) -> &'static str {
        match self {
            Side::North => "north",
            Side::Partner => "partner",
        }
    }
}

/// Tells the story; knows when it began.
pub struct Teller {
    started: Instant,
    colour: bool,
    width: Option<usize>,
}

impl Teller {
    /// The story begins now.
    pub fn start() -> Self {
        Self { started: Instant::now(), colour: print::colour_out(), width: print::width() }
    }

    /// Since the beginning.
    pub fn seconds(&self) -> f32 {
        self.started.elapsed().as_secs_f32()
    }

    /// `0.42 s  north    what happened`
    pub fn tell(&self, side: Side, what: &str) -> Result<(), Failure> {
        /// Before the text: the time, the site, the gaps.
        const MARGIN: usize = 18;
        let what = print::safe(what);
        let what = match self.width {
            Some(width) => print::cut(&what, width.saturating_sub(MARGIN)),
            None => what.into_owned(),
        };
        let time = Paint::Dim.on(&format!("{:5.2} s", self.seconds()), self.colour);
        let paint = if side == Side::North { Paint::Cyan } else { Paint::Magenta };
        let site = paint.on(&format!("{:<7}", side.alias()), self.colour);
        print::out(&format!("{time}  {site}  {what}"))
    }

    /// A line of its own.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        print::out(&print::safe(text))
    }

    /// A line that stands out.
    pub fn title(&self, text: &str) -> Result<(), Failure> {
        print::out(&Paint::Bold.on(&print::safe(text), self.colour))
    }
}
