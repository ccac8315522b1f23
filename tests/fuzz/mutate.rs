//! Inputs that are nearly right: pieces of right ones, moved, repeated, cut and crossed, with hostile ones in between.

/// What breaks readers of every kind.
const HOSTILE: &[&str] = &[
    "\0",
    "\u{1b}[31m",
    "\u{1b}]0;x\u{7}",
    "\u{202e}",
    "\u{2066}",
    "\u{feff}",
    "\u{85}",
    "é",
    "\u{1f600}",
    "\\u0000",
    "\\u001b",
    "\\ud800",
    "-1",
    "0",
    "1",
    "255",
    "65536",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e999",
    "-0.0",
    "null",
    "true",
    "\"",
    "'",
    "`",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "/",
    "\\",
    "..",
    "\n",
    "\r\n",
    "\t",
    " ",
    ",",
    ":",
    "=",
    "%00",
    "%",
    "-9999-01-01T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "+24:00",
];
/// Not UTF-8.
const BYTES: &[&[u8]] = &[b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff\xfe", b"\0\0"];
/// The longest input, and the longest that one piece is repeated to.
const LONGEST: usize = 16 << 10;
const BLOWN_UP: usize = 128 << 10;

/// The same mutations for the same seed.
pub struct Mutator {
    state: u64,
    words: &'static [&'static str],
}

impl Mutator {
    pub fn new(seed: u64, words: &'static [&'static str]) -> Self {
        Self { state: seed, words }
    }

    /// One of the inputs, changed in one to six places.
    pub fn mutate(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.one_of(inputs).clone();
        for _ in 0..=self.below(6) {
            input = self.changed(input, inputs);
            input.truncate(LONGEST);
        }
        if self.below(100) == 0 { self.blown_up(&input) } else { input }
    }

    fn changed(&mut self, mut input: Vec<u8>, inputs: &[Vec<u8>]) -> Vec<u8> {
        let piece = self.piece(&input);
        match self.below(10) {
            0 => {
                if let Some(byte) = input.get_mut(piece.start) {
                    *byte ^= 1 << (self.state % 8);
                }
                input
            }
            1 => [&input[..piece.start], &input[piece.end..]].concat(),
            2 => [&input[..piece.end], &input[piece.start..]].concat(),
            3 => input[..piece.start].to_vec(),
            4 | 5 => {
                let word = self.word();
                [&input[..piece.start], &word, &input[piece.start..]].concat()
            }
            6 | 7 => {
                let word = self.word();
                [&input[..piece.start], &word, &input[piece.end..]].concat()
            }
            8 => {
                let to = self.below(input.len() + 1);
                let moved = input[piece].to_vec();
                [&input[..to], &moved, &input[to..]].concat()
            }
            _ => {
                let other = self.one_of(inputs).clone();
                let from = self.piece(&other);
                [&input[..piece.start], &other[from], &input[piece.end..]].concat()
            }
        }
    }

    /// One piece of it over and over: depth, width and length.
    fn blown_up(&mut self, input: &[u8]) -> Vec<u8> {
        let piece = self.piece(input);
        let times = BLOWN_UP / piece.len().max(1);
        [&input[..piece.start], &input[piece.clone()].repeat(times), &input[piece.end..]].concat()
    }

    /// Mostly from one mark to another, as readers see it.
    fn piece(&mut self, input: &[u8]) -> std::ops::Range<usize> {
        let (a, b) = (self.below(input.len() + 1), self.below(input.len() + 1));
        if self.below(4) == 0 {
            return a.min(b)..a.max(b);
        }
        let is_mark = |byte: &u8| !byte.is_ascii_alphanumeric();
        let start = input[..a].iter().rposition(is_mark).unwrap_or(0);
        let marks = 1 + self.below(4);
        let end = (start + 1..input.len()).filter(|at| is_mark(&input[*at])).nth(marks).unwrap_or(input.len());
        start..end.max(start)
    }

    fn word(&mut self) -> Vec<u8> {
        match self.below(8) {
            0 => self.one_of(BYTES).to_vec(),
            1..4 => self.one_of(HOSTILE).as_bytes().to_vec(),
            _ => self.one_of(self.words).as_bytes().to_vec(),
        }
    }

    fn one_of<'t, T>(&mut self, list: &'t [T]) -> &'t T {
        &list[self.below(list.len())]
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
