//! CaseSLACheckJob (M-08): SLAs that come near, or that are missed.

use async_trait::async_trait;

use super::{Job, told};
use crate::exchange::Engine;
use crate::store::Seen;

pub struct SlaCheck {
    engine: Engine,
}

impl SlaCheck {
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Job for SlaCheck {
    fn name(&self) -> &'static str {
        "sla_check"
    }

    async fn run(&self) -> String {
        told(self.engine.check_slas(false, &Seen::all()).await)
    }
}
