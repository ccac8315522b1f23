//! Who gives the command, for the history. The socket's permissions decide what is allowed; this is only a name.

use crate::case;

/// The longest name that is told, in characters.
const LIMIT: usize = 64;

/// `$SUDO_USER`, else `$USER`, else the number of the user.
pub fn operator() -> String {
    choose([std::env::var("SUDO_USER").ok(), std::env::var("USER").ok()])
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// The same with the user of this process, for what a command does by itself.
pub fn here() -> String {
    case::operator(&operator(), Some(rustix::process::getuid().as_raw()))
}

fn choose(names: [Option<String>; 2]) -> Option<String> {
    let plain = |name: String| name.chars().filter(|c| !c.is_control() && !c.is_whitespace()).take(LIMIT).collect();
    names.into_iter().flatten().map(plain).find(|name: &String| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_person_behind_sudo_counts() {
        assert_eq!(choose([Some("ann".into()), Some("root".into())]).as_deref(), Some("ann"));
        assert_eq!(choose([None, Some("bob\n\u{1b}".into())]).as_deref(), Some("bob"));
        assert_eq!(choose([Some(" ".into()), None]), None);
    }
}
