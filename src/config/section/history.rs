//! `[history]`: the key that signs for what arrived, and how soon peers are expected to sign.

use std::path::Path;

use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::origin::Origin;
use crate::config::reader::Reader;
use crate::config::secret;
use crate::config::settings::History;

pub fn history(mut table: Reader<'_>, origin: &Origin, data_dir: &Path) -> Result<History, Refused> {
    let named = table.item("key_file").map(|item| secret::place(&item, origin)).transpose();
    let receipt_within = table.duration("receipt_within", defaults::HISTORY_RECEIPT_WITHIN);
    table.finish();
    let (key_file, is_credential) = named?.unwrap_or_else(|| (defaults::history_key(data_dir), false));
    Ok(History { key_file, is_credential, receipt_within })
}
