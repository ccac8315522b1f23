//! Files in stores: put there as another program does it, and looked at.

use casebridge::case::ContentDigest;
use sqlx::Row;

use super::{Site, eventually};

/// A content of this length that no other seed has.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut content = vec![0];
    while content.len() < bytes {
        content.extend_from_slice(&next());
    }
    content.truncate(bytes);
    content
}

impl Site {
    /// Gives an incident a file, or a file another content.
    pub async fn attach(&self, incident: i64, name: &str, content: &[u8]) {
        let sha256 = ContentDigest::of(content);
        let store = self.store().await;
        let mut transaction = store.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO content (source, sha256, bytes, received, complete) VALUES ('', ?, ?2, ?2, 1) RETURNING id",
        )
        .bind(sha256.as_str())
        .bind(content.len() as i64)
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
        for (number, part) in content.chunks(100_000).enumerate() {
            sqlx::query("INSERT INTO content_part VALUES (?, ?, ?)")
                .bind(id)
                .bind(number as i64 * 100_000)
                .bind(part)
                .execute(&mut *transaction)
                .await
                .unwrap();
        }
        sqlx::query(
            "INSERT INTO attachment (incident, name, state, bytes, sha256, content) VALUES (?, ?, 'stored', ?, ?, ?) \
             ON CONFLICT (incident, name) DO UPDATE SET bytes = excluded.bytes, sha256 = excluded.sha256, \
               content = excluded.content, origin = NULL",
        )
        .bind(incident)
        .bind(name)
        .bind(content.len() as i64)
        .bind(sha256.as_str())
        .bind(id)
        .execute(&mut *transaction)
        .await
        .unwrap();
        transaction.commit().await.unwrap();
        store.close().await;
    }

    /// The content of a file, if it is there and whole.
    pub async fn file(&self, incident: i64, name: &str) -> Option<Vec<u8>> {
        let store = self.store().await;
        let rows = sqlx::query(
            "SELECT p.data, a.bytes FROM attachment a JOIN content_part p ON p.content = a.content \
             WHERE a.incident = ? AND a.name = ? AND a.state = 'stored' ORDER BY p.start",
        )
        .bind(incident)
        .bind(name)
        .fetch_all(&store)
        .await
        .unwrap();
        store.close().await;
        let bytes: i64 = rows.first()?.get(1);
        let content: Vec<u8> = rows.iter().flat_map(|row| row.get::<Vec<u8>, _>(0)).collect();
        (content.len() as i64 == bytes).then_some(content)
    }

    /// Waits until a file is there with this content.
    pub async fn has_file(&self, incident: i64, name: &str, content: &[u8]) {
        eventually(&format!("{name} at {}", self.alias), || async {
            (self.file(incident, name).await.as_deref() == Some(content)).then_some(())
        })
        .await;
    }

    /// Each file that goes or comes, as its name, direction and state.
    pub async fn transfers(&self, incident: i64) -> Vec<String> {
        let shown = self.get(&format!("/v1/incidents/{incident}")).await.body;
        let text = |one: &serde_json::Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let mut all: Vec<String> = shown["transfers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("{} {} {}", text(one, "name"), text(one, "direction"), text(one, "state")))
            .collect();
        all.sort();
        all
    }

    /// Waits for a file's state.
    pub async fn transfer(&self, incident: i64, wanted: &str) {
        eventually(&format!("{wanted} at {}", self.alias), || async {
            self.transfers(incident).await.iter().any(|one| one == wanted).then_some(())
        })
        .await;
    }

    /// The history's lines of one kind.
    pub async fn told(&self, incident: i64, action: &str) -> Vec<String> {
        let shown = self.get(&format!("/v1/incidents/{incident}")).await.body;
        let lines = shown["history"].as_array().unwrap().iter();
        lines.filter(|line| line["action"] == action).map(|line| line["detail"].as_str().unwrap().to_owned()).collect()
    }
}
