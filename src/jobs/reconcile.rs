//! Once a day: both stores are compared. What drifted apart is told as an event; a person repairs it.

use async_trait::async_trait;

use super::Job;
use crate::case::text::counted;
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
                let compared = counted(answer.compared, "exchange", "exchanges");
                let fields = counted(answer.differences.len(), "field differs", "fields differ");
                format!("{compared} compared, {fields}, {} in motion", answer.in_motion)
            }
            Err(fault) => format!("not done: {fault}"),
        }
    }
}
