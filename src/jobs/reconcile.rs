//! Once a day: both stores are compared. What drifted apart is told as an event; a person repairs it.

use async_trait::async_trait;

use super::Job;
use crate::exchange::Engine;

pub struct Reconcile {
    engine: Engine,
}

impl Reconcile {
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Job for Reconcile {
    fn name(&self) -> &'static str {
        "reconcile"
    }

    async fn run(&self) -> String {
        match self.engine.reconcile(None, None).await {
            Ok(answer) => {
                let (compared, fields) = (answer.compared, answer.differences.len());
                format!("{compared} exchanges compared, {fields} fields differ, {} in motion", answer.in_motion)
            }
            Err(fault) => format!("not done: {fault}"),
        }
    }
}
