//! CaseDueDateCheckJob (M-07): due dates of the configured case types that come near, or that are missed.

use async_trait::async_trait;

use super::{Job, told};
use crate::exchange::Engine;
use crate::store::Seen;

pub struct DueDateCheck {
    engine: Engine,
}

impl DueDateCheck {
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Job for DueDateCheck {
    fn name(&self) -> &'static str {
        "due_date_check"
    }

    async fn run(&self) -> String {
        told(self.engine.check_due_dates(false, &Seen::all()).await)
    }
}
