//! Other names that a template gives to fields: `{% set c = case %}`. With a condition in place of the tag, the other name is
//! one like any other, and a branch that is not taken when the template is tried is seen as well.

/// The template without its tags that give a field another name, and those names with what they stand for.
pub fn opened(source: &str) -> (String, Vec<(String, String)>) {
    let (mut opened, mut aliases) = (String::with_capacity(source.len()), Vec::new());
    let mut rest = source;
    while let Some((before, tag)) = rest.split_once("{%") {
        opened.push_str(before);
        opened.push_str("{%");
        let Some((tag, after)) = tag.split_once("%}") else {
            rest = tag;
            break;
        };
        match alias(tag) {
            Some((name, field)) => {
                opened.push_str(&format!(" if {field} %}}{{% endif "));
                aliases.push((name.to_owned(), field.to_owned()));
            }
            None => opened.push_str(tag),
        }
        opened.push_str("%}");
        rest = after;
    }
    opened.push_str(rest);
    (opened, aliases)
}

fn alias(tag: &str) -> Option<(&str, &str)> {
    let tag = tag.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim();
    let (name, field) = tag.strip_prefix("set ")?.split_once('=')?;
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let (name, field) = (name.trim(), field.trim());
    let is_field = field.split('.').all(is_name) && !matches!(field, "true" | "false" | "none");
    (is_name(name) && is_field).then_some((name, field))
}

/// What a field may stand for that begins with one of these names, with itself. A name may stand for another one.
pub fn meant(field: &str, aliases: &[(String, String)]) -> Vec<String> {
    let mut meant = vec![field.to_owned()];
    for _ in aliases {
        let further: Vec<String> = meant
            .iter()
            .flat_map(|field| {
                let (head, below) = field.split_once('.').map_or((field.as_str(), None), |(a, b)| (a, Some(b)));
                let of_it = aliases.iter().filter(move |(name, _)| name == head);
                of_it.map(move |(_, stands_for)| match below {
                    Some(below) => format!("{stands_for}.{below}"),
                    None => stands_for.clone(),
                })
            })
            .filter(|one| !meant.contains(one) && one.len() < 200)
            .collect();
        if further.is_empty() {
            break;
        }
        meant.extend(further);
    }
    meant
}
