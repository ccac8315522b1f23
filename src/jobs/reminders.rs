//! Every minute: people who were asked and did not answer are reminded, warned, and their case is closed in the end (R-04 to
//! The job looks at those cases alone whose time has come.

use std::time::Duration;

use async_trait::async_trait;

use super::Job;
use crate::exchange::Engine;

pub struct Reminders {
    engine: Engine,
}

impl Reminders {
    pub const EXPRESSION: &str = "30 * * * * *";

    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Job for Reminders {
    fn name(&self) -> &'static str {
        "reminders"
    }

    fn at_least_every(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn run(&self) -> String {
        match self.engine.remind().await {
            Ok(steps) => format!("{steps} steps taken"),
            Err(fault) => format!("not finished: {fault}"),
        }
    }
}
