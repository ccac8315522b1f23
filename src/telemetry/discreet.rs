//! Reasons quote what they complain of. For the person who corrects it that is right; for the log it is too much.

use std::borrow::Cow;

/// The sentence without mail addresses: each word that holds an `@` is left out.
pub fn discreet(reason: &str) -> Cow<'_, str> {
    if !reason.contains('@') {
        return Cow::Borrowed(reason);
    }
    let words = reason.split(' ').map(|word| if word.contains('@') { "(address)" } else { word });
    Cow::Owned(words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_left_out_and_the_rest_stays() {
        assert_eq!(discreet("site ID is missing"), "site ID is missing");
        assert_eq!(
            discreet("'anna@north' in the CC list is not a mail address"),
            "(address) in the CC list is not a mail address"
        );
    }
}
