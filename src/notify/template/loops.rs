//! What a template names of each comment in a loop. A branch that is not taken when the template is tried is seen as well:
//! with its loops taken away, what was an element of the list is a name like any other.

/// The fields of a comment.
const FIELDS: [&str; 2] = ["author", "text"];
/// What is not a list of comments any more.
const REGROUPED: [&str; 7] = ["groupby", "map", "batch", "slice", "items", "dictsort", "zip"];
/// What is known of the loop itself.
const OF_THE_LOOP: [&str; 12] = [
    "index",
    "index0",
    "revindex",
    "revindex0",
    "first",
    "last",
    "length",
    "depth",
    "depth0",
    "previtem",
    "nextitem",
    "cycle",
];

/// The template with a condition in place of each loop over the comments, and what their elements are called.
pub fn opened(source: &str) -> (String, Vec<String>) {
    let (mut opened, mut names, mut open) = (String::with_capacity(source.len()), Vec::new(), Vec::new());
    let mut rest = source;
    while let Some((before, tag)) = rest.split_once("{%") {
        opened.push_str(before);
        opened.push_str("{%");
        let Some((tag, after)) = tag.split_once("%}") else {
            rest = tag;
            break;
        };
        let word = tag.trim_start_matches(['-', '+']).trim_start();
        if let Some(head) = word.strip_prefix("for ") {
            let name = over_comments(head);
            open.push(name.is_some());
            match name {
                Some((name, list)) => {
                    opened.push_str(&condition(list));
                    names.push(name.to_owned());
                }
                None => opened.push_str(tag),
            }
        } else if word.trim_end_matches(['-', '+']).trim_end() == "endfor" {
            match open.pop() {
                Some(true) => opened.push_str(" endif "),
                _ => opened.push_str(tag),
            }
        } else {
            opened.push_str(tag);
        }
        opened.push_str("%}");
        rest = after;
    }
    opened.push_str(rest);
    (opened, names)
}

/// What a loop over this list becomes; the list may have a condition of its own.
fn condition(list: &str) -> String {
    let list = list.trim_end_matches(['-', '+']).trim_end();
    match list.split_once(" if ") {
        Some((list, condition)) => format!(" if ({list}) and ({condition}) "),
        None => format!(" if {list} "),
    }
}

/// The name of the element, and the list, of a loop over the comments.
fn over_comments(head: &str) -> Option<(&str, &str)> {
    let (name, list) = head.split_once(" in ")?;
    let (name, list) = (name.trim(), list.trim_start());
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let rest = list.strip_prefix("comments")?;
    let is_whole = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
    let is_regrouped = REGROUPED.iter().any(|filter| rest.contains(filter));
    (is_name && is_whole && !is_regrouped).then_some((name, list))
}

/// Whether a field is that of a comment in one of the loops, or of the loop itself.
pub fn is_known(field: &str, each: &[String]) -> bool {
    let (name, of_it) = field.split_once('.').map_or((field, None), |(name, of_it)| (name, Some(of_it)));
    match of_it {
        None => name == "loop" || each.iter().any(|one| one == name),
        Some(of_it) if name == "loop" => {
            of_it.split('.').next().is_some_and(|of_it| OF_THE_LOOP.contains(&of_it) || of_it == "changed")
        }
        Some(of_it) => each.iter().any(|one| one == name) && FIELDS.contains(&of_it),
    }
}

/// What there is instead of a field of a comment that there is not.
pub fn known(field: &str, each: &[String]) -> Option<Vec<String>> {
    let (name, _) = field.split_once('.')?;
    let is_element = each.iter().any(|one| one == name);
    is_element.then(|| FIELDS.iter().map(|field| format!("{name}.{field}")).collect())
}
