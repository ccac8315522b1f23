//! The fields of a line of the log in its text form. Every text stands in quotation marks, whoever wrote it: nobody who has
//! a word in a reason can add a field to the line, and one field always has one form.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// Writes `name="text"` and `name=17`, the message first and as it is.
pub(super) struct Quoted;

impl<'writer> FormatFields<'writer> for Quoted {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line { writer, is_begun: false, written: Ok(()) };
        fields.record(&mut line);
        line.written
    }
}

struct Line<'writer> {
    writer: Writer<'writer>,
    is_begun: bool,
    written: fmt::Result,
}

impl Line<'_> {
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let gap = if std::mem::replace(&mut self.is_begun, true) { " " } else { "" };
        let name = field.name();
        let one = match (name, self.writer.has_ansi_escapes()) {
            ("message", _) => write!(self.writer, "{gap}{value}"),
            (_, true) => write!(self.writer, "{gap}\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m{value}"),
            (_, false) => write!(self.writer, "{gap}{name}={value}"),
        };
        self.written = self.written.and(one);
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            // Libraries write theirs with what they were given.
            return self.put(field, format_args!("{}", text.escape_debug()));
        }
        self.put(field, format_args!("{text:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::info;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn no_word_of_a_peer_s_becomes_a_field_or_a_line() {
        let kept = Kept::default();
        let log = tracing_subscriber::fmt().with_ansi(false).with_target(false).without_time().fmt_fields(Quoted);
        tracing::subscriber::with_default(log.with_writer(kept.clone()).finish(), || {
            let (word, none) = ("x\" event=\"state_failed\" reason=\"disk\nINFO broken", None::<&str>);
            info!(event = "peer_down", peer = %"partner", attempt = 3_u64, late = true, none, reason = %word, "the peer\n{}", 1);
            info!(reason = word, site = "north", share = 0.5, low = -1_i64, "again");
        });
        let log = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let word = r#"reason="x\" event=\"state_failed\" reason=\"disk\nINFO broken""#;
        assert_eq!(
            log,
            format!(
                " INFO the peer\\n1 event=\"peer_down\" peer=\"partner\" attempt=3 late=true {word}\n \
                 INFO again {word} site=\"north\" share=0.5 low=-1\n"
            )
        );
    }
}
