//! Once an hour: cases without news for longer than `[upstream] check_after` are asked about directly.

use std::time::Duration;

use async_trait::async_trait;

use super::Job;
use crate::exchange::Engine;

pub struct CaseCheck {
    engine: Engine,
}

impl CaseCheck {
    /// The span is the settings' own; this is only how often the exchanges are looked through.
    pub const EXPRESSION: &str = "0 7 * * * *";

    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Job for CaseCheck {
    fn name(&self) -> &'static str {
        "case_check"
    }

    fn at_least_every(&self) -> Duration {
        Duration::from_secs(86_400)
    }

    async fn run(&self) -> String {
        match self.engine.check_silent().await {
            Ok(count) => format!("{count} cases without news were asked about"),
            Err(fault) => format!("not finished: {fault}"),
        }
    }
}
