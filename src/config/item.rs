//! One value of the file and its rule. A fault is recorded where it is found.

use std::fmt;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::defaults::Bounded;
use super::faults::{Faults, Refused, Spot};
use super::spelling::nearest;
use super::units::{self, DURATION_FORM, SIZE_FORM};
use crate::case::text::line;

/// A value that stands in the file.
pub(super) struct Item<'t> {
    pub spot: Spot,
    value: &'t DeValue<'t>,
    faults: &'t Faults,
}

impl<'t> Item<'t> {
    pub fn new(spot: Spot, value: &'t Spanned<DeValue<'t>>, faults: &'t Faults) -> Self {
        Self { spot: Spot { span: value.span(), ..spot }, value: value.get_ref(), faults }
    }

    pub fn refuse(&self, message: impl Into<String>, help: impl Into<String>) -> Refused {
        self.faults.refuse(self.spot.clone(), message, help)
    }

    pub fn text(&self) -> Result<&'t str, Refused> {
        match self.value {
            DeValue::String(text) => Ok(text),
            _ => Err(self.wrong_type("a text", "write the value in double quotes")),
        }
    }

    /// A text of one line, at most `limit` bytes, without control characters.
    pub fn line(&self, limit: usize) -> Result<&'t str, Refused> {
        let text = self.text()?;
        line(text, limit).map_err(|fault| {
            self.refuse(fault.to_string(), format!("write one line of 1 to {limit} bytes of plain text"))
        })
    }

    /// A text with a form of its own.
    pub fn parsed<T: std::str::FromStr>(&self, help: &str) -> Result<T, Refused>
    where
        T::Err: fmt::Display,
    {
        let text = self.text()?;
        text.parse().map_err(|fault: T::Err| self.refuse(format!("{} is not valid: it {fault}", quoted(text)), help))
    }

    pub fn flag(&self) -> Result<bool, Refused> {
        match self.value {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => Err(self.wrong_type("true or false", "write true or false, without quotes")),
        }
    }

    pub fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Refused> {
        let text = self.text()?;
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let meant =
                nearest(text, &words).map(|word| format!("did you mean {}? ", quoted(word))).unwrap_or_default();
            let allowed: Vec<String> = words.into_iter().map(quoted).collect();
            self.refuse(
                format!("{} is not one of the values that this key takes", quoted(text)),
                format!("{meant}allowed, spelled exactly so: {}", allowed.join(", ")),
            )
        })
    }

    /// The members of an array as `read` understands them, at most `most`.
    pub fn list<T>(&self, most: usize, read: impl Fn(&Item<'t>) -> Result<T, Refused>) -> Result<Vec<T>, Refused> {
        let items = self.list_of("values", "write the values in brackets, for example [\"a\", \"b\"]", most)?;
        // Every member is read before the first refusal ends it.
        let values: Vec<Result<T, Refused>> = items.iter().map(read).collect();
        values.into_iter().collect()
    }

    /// The members of an array, `what` they are in a sentence.
    pub fn list_of(&self, what: &str, help: &str, most: usize) -> Result<Vec<Item<'t>>, Refused> {
        let DeValue::Array(array) = self.value else { return Err(self.wrong_type(&format!("a list of {what}"), help)) };
        if array.len() > most {
            let message = format!("holds {} {what}; at most {most} are allowed", array.len());
            return Err(self.refuse(message, "shorten the list"));
        }
        let member = |(index, value): (usize, &'t Spanned<DeValue<'t>>)| Item {
            spot: Spot { key: format!("{}[{}]", self.spot.key, index + 1), span: value.span() },
            value: value.get_ref(),
            faults: self.faults,
        };
        Ok(array.iter().enumerate().map(member).collect())
    }

    /// The keys and values of a section.
    pub fn table(&self, help: &str) -> Result<&'t DeTable<'t>, Refused> {
        match self.value {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.wrong_type("a section", help)),
        }
    }

    pub fn duration(&self, bounds: Bounded<Duration>) -> Result<Duration, Refused> {
        self.measure(units::duration, DURATION_FORM, "duration", bounds, units::show_duration)
    }

    /// In bytes.
    pub fn size(&self, bounds: Bounded<u64>) -> Result<u64, Refused> {
        self.measure(units::size, SIZE_FORM, "size", bounds, units::show_size)
    }

    fn measure<T: Copy + PartialOrd>(
        &self,
        parse: fn(&str) -> Option<T>,
        form: &str,
        what: &str,
        bounds: Bounded<T>,
        show: fn(T) -> String,
    ) -> Result<T, Refused> {
        let DeValue::String(text) = self.value else {
            return Err(self.wrong_type(&format!("a {what}"), &format!("write {form}, in double quotes")));
        };
        let value = parse(text)
            .ok_or_else(|| self.refuse(format!("{} is not a {what}", quoted(text)), format!("write {form}")))?;
        self.bounded(value, bounds, |value| quoted(&show(value)))
    }

    /// A whole number.
    pub fn count(&self, bounds: Bounded<usize>) -> Result<usize, Refused> {
        let DeValue::Integer(integer) = self.value else {
            return Err(self.wrong_type("a whole number", "write a whole number without quotes"));
        };
        let show = |value: usize| value.to_string();
        match usize::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(value) => self.bounded(value, bounds, show),
            // Below zero, or larger than any bound.
            Err(_) => Err(self.out_of_bounds(quoted(&integer.to_string()), bounds, show)),
        }
    }

    /// A number that may have a fraction.
    pub fn number(&self, bounds: Bounded<f64>) -> Result<f64, Refused> {
        let text = match self.value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return Err(self.wrong_type("a number", "write a number without quotes, for example 2.0")),
        };
        let show = |value: f64| format!("{value:?}");
        match text.parse() {
            Ok(value) => self.bounded(value, bounds, show),
            Err(_) => Err(self.out_of_bounds(quoted(text), bounds, show)),
        }
    }

    fn bounded<T: Copy + PartialOrd>(
        &self,
        value: T,
        bounds: Bounded<T>,
        show: impl Fn(T) -> String,
    ) -> Result<T, Refused> {
        if value >= bounds.least && value <= bounds.most {
            Ok(value)
        } else {
            Err(self.out_of_bounds(show(value), bounds, show))
        }
    }

    fn out_of_bounds<T: Copy>(&self, value: String, bounds: Bounded<T>, show: impl Fn(T) -> String) -> Refused {
        let (least, most, default) = (show(bounds.least), show(bounds.most), show(bounds.default));
        self.refuse(
            format!("{value} is not in the range from {least} to {most}"),
            format!("write a value from {least} to {most}; the default is {default}"),
        )
    }

    fn wrong_type(&self, wanted: &str, help: &str) -> Refused {
        let given = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        };
        self.refuse(format!("is {given}; it must be {wanted}"), help)
    }
}

/// A value from the file inside a sentence: in quotes, control characters made visible, and not for ever.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    format!("{shown:?}")
}
