//! CaseAutoCloseJob (M-06): resolved cases that nobody touched for longer than their type says are queued to be closed. The
//! queue is worked off on its own.

use async_trait::async_trait;

use super::{Job, told};
use crate::exchange::Engine;
use crate::store::Seen;

pub struct AutoClose {
    engine: Engine,
}

impl AutoClose {
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Job for AutoClose {
    fn name(&self) -> &'static str {
        "auto_close"
    }

    async fn run(&self) -> String {
        told(self.engine.queue_closings(false, &Seen::all()).await)
    }
}
