//! Once an hour: cases without news for longer than `[upstream] check_after` are asked about directly.

use async_trait::async_trait;

use super::Job;
use crate::case::text::counted;
use crate::exchange::Engine;

pub struct CaseCheck {
    engine: Engine,
}

impl CaseCheck {
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Job for CaseCheck {
    fn name(&self) -> &'static str {
        "case_check"
    }

    async fn run(&self) -> String {
        match self.engine.check_silent().await {
            Ok(count) => format!("{} asked about", counted(count, "case without news was", "cases without news were")),
            Err(fault) => format!("not finished: {fault}"),
        }
    }
}
