//! Takes values out of a table, one typed key at a time. Each fault is recorded and reading goes on; a key that nobody
//! took is refused at the end of its table.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::defaults::Bounded;
use super::faults::{Fault, Faults, Nature, Refused, Spot};
use super::item::{Item, quoted};
use super::spelling::nearest;

/// One table. A table that is left out reads like an empty one.
pub(super) struct Reader<'t> {
    /// The key that leads here; empty for the file itself.
    pub spot: Spot,
    table: Option<&'t DeTable<'t>>,
    taken: Vec<&'static str>,
    is_sound: bool,
    pub faults: &'t Faults,
}

impl<'t> Reader<'t> {
    /// The file itself.
    pub fn new(table: &'t DeTable<'t>, faults: &'t Faults) -> Self {
        Self::of(Spot { key: String::new(), span: 0..0 }, Some(table), faults)
    }

    fn of(spot: Spot, table: Option<&'t DeTable<'t>>, faults: &'t Faults) -> Self {
        Self { spot, table, taken: Vec::new(), is_sound: true, faults }
    }

    /// The value of `key`, if it is there.
    pub fn item(&mut self, key: &'static str) -> Option<Item<'t>> {
        self.taken.push(key);
        Some(Item::new(self.at(key), self.table?.get(key)?, self.faults))
    }

    /// The value of `key`; it is a fault when it is not there.
    pub fn required(&mut self, key: &'static str, help: &str) -> Result<Item<'t>, Refused> {
        self.item(key).ok_or_else(|| self.missing(key, help))
    }

    /// Records that `key` is not there.
    pub fn missing(&self, key: &str, help: &str) -> Refused {
        self.faults.absent(self.at(key), "is missing", help)
    }

    /// The section `[key]`.
    pub fn section(&mut self, key: &'static str) -> Reader<'t> {
        match self.optional_section(key) {
            Some(Ok(section)) => section,
            _ => Self::of(self.at(key), None, self.faults),
        }
    }

    /// The section `[key]`, if it is there.
    pub fn optional_section(&mut self, key: &'static str) -> Option<Result<Reader<'t>, Refused>> {
        let item = self.item(key)?;
        let help = format!("write [{}] in a line of its own, and its keys below", item.spot.key);
        Some(item.table(&help).map(|table| Self::of(item.spot, Some(table), self.faults)))
    }

    /// The sections `[[key]]`, at most `most`.
    pub fn sections(&mut self, key: &'static str, most: usize) -> Vec<Reader<'t>> {
        let Some(item) = self.item(key) else { return Vec::new() };
        let help = format!("write [[{}]], with two brackets, once for each", item.spot.key);
        let Ok(items) = item.list_of("sections", &help, most) else { return Vec::new() };
        if items.is_empty() {
            item.refuse("is an empty list; it must be a list of sections", format!("leave the key out, or {help}"));
        }
        let section = |item: Item<'t>| Some(Self::of(item.spot.clone(), Some(item.table(&help).ok()?), self.faults));
        items.into_iter().filter_map(section).collect()
    }

    /// The value of `key` as `read` understands it. `None` when it is not there, and when it is refused.
    pub fn take<T>(&mut self, key: &'static str, read: impl FnOnce(&Item<'t>) -> Result<T, Refused>) -> Option<T> {
        let value = read(&self.item(key)?);
        self.is_sound &= value.is_ok();
        value.ok()
    }

    /// Whether nothing that was taken so far was refused. If something was, its default stands in for it, and there is no
    /// sense in holding that against another value.
    pub fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// A text of one line, at most `limit` bytes.
    pub fn line(&mut self, key: &'static str, limit: usize) -> Option<String> {
        self.take(key, |item| item.line(limit).map(str::to_owned))
    }

    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.take(key, Item::flag).unwrap_or(default)
    }

    pub fn duration(&mut self, key: &'static str, bounds: Bounded<Duration>) -> Duration {
        self.take(key, |item| item.duration(bounds)).unwrap_or(bounds.default)
    }

    /// In bytes.
    pub fn size(&mut self, key: &'static str, bounds: Bounded<u64>) -> u64 {
        self.take(key, |item| item.size(bounds)).unwrap_or(bounds.default)
    }

    /// A whole number.
    pub fn count(&mut self, key: &'static str, bounds: Bounded<usize>) -> usize {
        self.take(key, |item| item.count(bounds)).unwrap_or(bounds.default)
    }

    /// A number that may have a fraction.
    pub fn number(&mut self, key: &'static str, bounds: Bounded<f64>) -> f64 {
        self.take(key, |item| item.number(bounds)).unwrap_or(bounds.default)
    }

    /// One of a closed list of words.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        self.take(key, |item| item.choice(words)).unwrap_or(default)
    }

    /// Refuses a key that people would expect here. Its value is not shown.
    pub fn forbidden(&mut self, key: &'static str, message: &str, help: &str) -> Option<Refused> {
        let (name, _) = self.table?.get_key_value(key)?;
        self.taken.push(key);
        let spot = Spot { span: name.span(), ..self.at(key) };
        let cut = Some(name.span().end);
        let (message, help) = (message.to_owned(), help.to_owned());
        Some(self.faults.add(Fault { spot, message, help, cut, nature: Nature::Value }))
    }

    /// Where the value of `key` stands, if it is there.
    pub fn spot_of(&self, key: &str) -> Option<Spot> {
        Some(Spot { span: self.table?.get(key)?.span(), ..self.at(key) })
    }

    /// All keys and values, for a table whose keys are the site's own words.
    pub fn entries(&self) -> Vec<(&'t str, Item<'t>)> {
        let entry = |(key, value): (&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>)| {
            let name: &'t str = key.get_ref();
            (name, Item::new(self.at(&plain_or_quoted(name)), value, self.faults))
        };
        self.table.into_iter().flatten().map(entry).collect()
    }

    /// Ends the table: what was not taken is not known.
    pub fn finish(self) {
        for (name, value) in self.table.into_iter().flatten() {
            let given: &str = name.get_ref();
            if self.taken.contains(&given) {
                continue;
            }
            let mut help = match nearest(given, &self.taken) {
                Some(word) => format!("did you mean \"{word}\"? "),
                None => String::new(),
            };
            help.push_str(&format!("known here: {}", self.taken.join(", ")));
            // A misspelt key may stand before a password.
            let is_section = matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_));
            let cut = (!is_section).then_some(name.span().end);
            let spot = Spot { span: name.span(), ..self.at(&plain_or_quoted(given)) };
            self.faults.add(Fault { spot, message: "is not a known key".to_owned(), help, cut, nature: Nature::Value });
        }
    }

    /// A key of this table; where it stands is not known yet, so it is the head of the table.
    fn at(&self, key: &str) -> Spot {
        let parent = &self.spot.key;
        let key = if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") };
        Spot { key, span: self.spot.span.clone() }
    }
}

fn plain_or_quoted(key: &str) -> String {
    let plain =
        !key.is_empty() && key.len() <= 64 && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if plain { key.to_owned() } else { quoted(key) }
}
