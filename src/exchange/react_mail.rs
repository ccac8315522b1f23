//! A reaction's mail.

use super::Engine;
use crate::case::MailAddress;
use crate::notify::Undelivered;
use crate::store::Run;

impl Engine {
    pub(super) async fn mail_reaction(&self, _: &Run, _: &str, _: &[MailAddress]) -> Result<(), Undelivered> {
        Err(Undelivered::now("this site sends no mail"))
    }
}
