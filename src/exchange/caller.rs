//! Who gives a command, as the history tells it: under the name that the caller gives, with the user whose process it
//! is, as the kernel says at the socket.

use crate::case;

tokio::task_local! {
    static UID: u32;
}

/// Does what a process of this user asks for.
pub async fn by_user<F: Future>(uid: u32, work: F) -> F::Output {
    UID.scope(uid, work).await
}

/// The operator of this name, who asked for what is done now.
pub fn who(name: &str) -> String {
    case::operator(name, UID.try_with(|uid| *uid).ok())
}
