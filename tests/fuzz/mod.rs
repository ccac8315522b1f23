//! A small fuzzer for the stable compiler. It tries a reader of outside bytes with the inputs of its corpus
//! (`tests/data/fuzz/<name>`), and then with mutations of them. An input that is answered in a new way joins those that are
//! mutated: what the reader says stands in for the coverage that an instrumented fuzzer measures.
//!
//! Every run is the same. `CASEBRIDGE_FUZZ` is the number of mutations where the default is too few, `CASEBRIDGE_FUZZ_SEED`
//! gives other ones, and with `CASEBRIDGE_FUZZ_KEEP=1` what is answered in a new way is kept in the corpus. An input at
//! which something is wrong is made smaller and kept there always.

mod mutate;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use allocation_counter::{AllocationInfo, measure};

use mutate::Mutator;

/// One reader of outside bytes.
pub struct Target {
    /// Its directory in the corpus.
    pub name: &'static str,
    /// What its inputs are made of.
    pub words: &'static [&'static str],
    /// Directories of samples in `tests/data` to begin with, beside the corpus.
    pub samples: &'static [&'static str],
    /// How many mutations are tried when nobody says otherwise.
    pub tries: usize,
}

/// The most that reading, writing and reading again may hold at once, and may ask for in all, for an input of this length.
const fn memory(bytes: usize) -> u64 {
    (4 << 20) + 400 * bytes as u64
}
const fn work(bytes: usize) -> u64 {
    (16 << 20) + 1500 * bytes as u64
}

impl Target {
    /// `look` reads an input, holds what comes out to its promises, and says in a sentence how it was answered. The input
    /// comes without its framing, and every reader of outside bytes is to be looked at through the door that it has.
    pub fn run(&self, look: impl Fn(&[u8]) -> String) {
        let directory = data(&format!("fuzz/{}", self.name));
        fs::create_dir_all(&directory).unwrap();
        let mut known = BTreeSet::new();
        let mut inputs = Vec::new();
        for path in self.first() {
            let bytes = fs::read(&path).unwrap();
            match tried(&look, &bytes) {
                Ok(answer) => known.insert(shape(&answer)),
                Err(fault) => panic!("{}: {fault}", path.display()),
            };
            inputs.push(bytes);
        }
        assert!(!inputs.is_empty(), "{} has a corpus", self.name);
        let keep = std::env::var_os("CASEBRIDGE_FUZZ_KEEP").is_some();
        let mut mutator = Mutator::new(number("CASEBRIDGE_FUZZ_SEED").unwrap_or(1), self.words);
        for _ in 0..number("CASEBRIDGE_FUZZ").map_or(self.tries, |tries| tries as usize) {
            let input = mutator.mutate(&inputs);
            match tried(&look, &input) {
                Ok(answer) if known.insert(shape(&answer)) => {
                    let same = |less: &[u8]| tried(&look, less).is_ok_and(|other| shape(&other) == shape(&answer));
                    let small = smaller(input, 30, same);
                    if keep {
                        write(&directory, "", &small);
                    }
                    inputs.push(small);
                }
                Ok(_) => {}
                Err(fault) => {
                    let small = smaller(input, 300, |less| tried(&look, less).is_err());
                    let path = write(&directory, "found-", &small);
                    let fault = tried(&look, &small).err().unwrap_or(fault);
                    panic!("{fault}\nthe input is kept as {}", path.display());
                }
            }
        }
    }

    fn first(&self) -> Vec<PathBuf> {
        let samples = self.samples.iter().map(|samples| data(samples));
        let directories = std::iter::once(data(&format!("fuzz/{}", self.name))).chain(samples);
        let mut paths: Vec<PathBuf> = directories
            .flat_map(|directory| fs::read_dir(directory).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect();
        // Beside the samples stands what is said of them.
        let is_sample = |path: &PathBuf| path.extension().is_none_or(|ending| ending != "expected" && ending != "md");
        paths.retain(|path| path.is_file() && is_sample(path));
        paths.sort();
        paths
    }
}

/// Fails where a sentence of ours repeats what could move a cursor or hide text, or too much of what came.
#[track_caller]
pub fn assert_harmless(sentence: &str, limit: usize) {
    let hidden =
        |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'));
    assert!(!sentence.is_empty(), "something is said");
    assert!(!sentence.contains(hidden), "hostile characters are repeated: {sentence:?}");
    assert!(sentence.len() <= limit, "{} bytes are said: {sentence}", sentence.len());
}

fn tried(look: &impl Fn(&[u8]) -> String, input: &[u8]) -> Result<String, String> {
    let mut answer = Err(String::new());
    let AllocationInfo { bytes_max, bytes_total, .. } =
        measure(|| answer = catch_unwind(AssertUnwindSafe(|| look(input))).map_err(|panic| told(&*panic)));
    let answer = answer?;
    if bytes_max > memory(input.len()) || bytes_total > work(input.len()) {
        return Err(format!("{} bytes take {bytes_max} bytes of memory, {bytes_total} in all: {answer}", input.len()));
    }
    Ok(answer)
}

fn told(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("it panics: {}", text.unwrap_or("without a word"))
}

/// An answer without what is in one input only: numbers, and what is quoted.
fn shape(answer: &str) -> String {
    let mut shape = String::new();
    let mut quote = None;
    for c in answer.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '`' | '\'') => quote = Some(c),
            None if c.is_ascii_digit() => {}
            None => shape.push(c),
        }
    }
    shape
}

/// As much of an input as is needed for `same`, after so many tries.
fn smaller(mut input: Vec<u8>, mut patience: usize, same: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut piece = input.len() / 2;
    while piece > 0 && patience > 0 {
        let mut at = 0;
        while at < input.len() && patience > 0 {
            let less = [&input[..at], &input[(at + piece).min(input.len())..]].concat();
            patience -= 1;
            if same(&less) {
                input = less;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    input
}

fn write(directory: &Path, prefix: &str, input: &[u8]) -> PathBuf {
    let path = directory.join(format!("{prefix}{:08x}", crc32fast::hash(input)));
    fs::write(&path, input).unwrap();
    path
}

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
