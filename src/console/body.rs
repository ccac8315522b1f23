//! What a form brings: bounded in length and in time.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use std::future::poll_fn;
use std::pin::Pin;

use super::page::Fault;
use crate::case::text::is_hidden;

/// The longest form, in bytes: its fields are far below, and each of their letters may stand as three.
const LIMIT: usize = 128 << 10;
/// So much of a longer one is read and thrown away: a browser that is cut off while it sends shows no answer.
const LINGER: usize = 4 << 20;

/// The fields, in the order in which they came. Line ends are those of this system, and nothing is in them that nobody sees.
pub struct Fields(Vec<(String, String)>);

impl Fields {
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.as_str())
    }
}

pub async fn read(headers: &HeaderMap, mut body: Body, within: Duration) -> Result<Fields, Fault> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return Err(Fault::NoForm);
    }
    if body.size_hint().lower() > (LIMIT + LINGER) as u64 {
        return Err(Fault::TooLarge);
    }
    let mut bytes = Vec::new();
    let mut count = 0;
    let reading = async {
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let Ok(data) = frame.map_err(|_| Fault::NoForm)?.into_data() else { continue };
            count += data.len();
            if count <= LIMIT {
                bytes.extend_from_slice(&data);
            } else if count > LIMIT + LINGER {
                break;
            }
        }
        Ok::<(), Fault>(())
    };
    let outcome = tokio::time::timeout(within, reading).await;
    if count > LIMIT {
        return Err(Fault::TooLarge);
    }
    outcome.map_err(|_| Fault::NoForm)??;
    /// More than any of our pages has.
    const FIELDS: usize = 32;
    let field = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        let lines = value.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
        (name.into_owned(), lines.chars().filter(|c| !is_hidden(*c)).collect())
    };
    Ok(Fields(form_urlencoded::parse(&bytes).take(FIELDS).map(field).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(kind: &str, body: impl Into<Body>) -> Result<Fields, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        read(&headers, body.into(), Duration::from_secs(5)).await
    }

    #[tokio::test]
    async fn a_forms_fields_are_read_and_what_is_none_is_refused() {
        let fields =
            of("application/x-www-form-urlencoded", "text=a%0D%0Ab+%C3%A9&text=second&x=%FF").await.ok().unwrap();
        assert_eq!((fields.get("text"), fields.get("x"), fields.get("none")), ("a\nb é", "\u{fffd}", ""));
        let copied = of("application/x-www-form-urlencoded", "text=%E2%80%AA%2B33+1%E2%80%AC%00&x=a%E2%80%A8b").await;
        let fields = copied.ok().unwrap();
        assert_eq!((fields.get("text"), fields.get("x")), ("+33 1", "a\nb"), "as it comes out of an address book");
        assert!(matches!(of("multipart/form-data", "text=a").await, Err(Fault::NoForm)));
        assert!(matches!(of("text/plain", "text=a").await, Err(Fault::NoForm)));
    }

    /// What whoever has a link can post.
    #[test]
    fn fuzz_forms() {
        let words = &["text=", "&", "=", "%0D%0A", "%FF", "%", "+", "title=a&device=b", "%E2%80%AE"];
        let target = crate::fuzz::Target { name: "form", words, samples: &[], tries: 3000 };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        target.run(|bytes| match runtime.block_on(of("application/x-www-form-urlencoded", bytes.to_vec())) {
            Ok(Fields(fields)) => {
                assert!(fields.len() <= 32 && fields.iter().all(|(_, value)| !value.contains('\r')));
                let length: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
                assert!(length <= 3 * bytes.len(), "a byte that is no text becomes one letter");
                format!("{} fields", fields.len())
            }
            Err(_) => "refused".into(),
        });
    }

    #[tokio::test]
    async fn an_enormous_form_is_refused_whether_it_says_its_length_or_not() {
        let kind = "application/x-www-form-urlencoded";
        for length in [LIMIT + 1, LIMIT + LINGER + 1] {
            assert!(matches!(of(kind, vec![b'a'; length]).await, Err(Fault::TooLarge)), "{length}");
        }
    }
}
