//! "Did you mean ...?"

/// The word of `known` that was most likely meant by `given`, if one is near enough.
pub(super) fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    // A long text is no slip of the pen, and the distance costs the product of both lengths.
    if given.len() > 64 {
        return None;
    }
    let given = given.to_lowercase().replace('-', "_");
    let (distance, word) = known.iter().map(|word| (distance(&given, &word.to_lowercase()), *word)).min()?;
    (distance <= (word.len() / 3).max(1)).then_some(word)
}

/// How many letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(from != to)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["alias", "poll_interval", "password_file"];
        assert_eq!(nearest("aliass", &known), Some("alias"));
        assert_eq!(nearest("laias", &known), Some("alias"));
        assert_eq!(nearest("poll-intervall", &known), Some("poll_interval"));
        assert_eq!(nearest("timeout", &known), None);
        assert_eq!(nearest("case_veiw", &["CASE_ALL", "CASE_VIEW"]), Some("CASE_VIEW"));
        assert_eq!(nearest("alias", &[]), None);
    }
}
