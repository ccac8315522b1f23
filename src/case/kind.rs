//! The kinds of bundle and incident and which of them can become a case.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What made the bundle. Kept through submission and shown to the partner as the case type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    Event,
    EventRma,
    EventLowEnd,
    OnDemand,
    OnDemandRma,
    OnDemandInformation,
    HealthCheck,
    BiosCheck,
    OffBox,
    Information,
}

impl Kind {
    pub const ALL: [Kind; 10] = [
        Kind::Event,
        Kind::EventRma,
        Kind::EventLowEnd,
        Kind::OnDemand,
        Kind::OnDemandRma,
        Kind::OnDemandInformation,
        Kind::HealthCheck,
        Kind::BiosCheck,
        Kind::OffBox,
        Kind::Information,
    ];

    /// An informational bundle never becomes a submittable incident.
    pub fn is_submittable(self) -> bool {
        !matches!(self, Kind::Information | Kind::OnDemandInformation)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::EventRma => "event_rma",
            Kind::EventLowEnd => "event_low_end",
            Kind::OnDemand => "on_demand",
            Kind::OnDemandRma => "on_demand_rma",
            Kind::OnDemandInformation => "on_demand_information",
            Kind::HealthCheck => "health_check",
            Kind::BiosCheck => "bios_check",
            Kind::OffBox => "off_box",
            Kind::Information => "information",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_informational_kinds_are_not_submittable() {
        let refused: Vec<_> = Kind::ALL.into_iter().filter(|kind| !kind.is_submittable()).collect();
        assert_eq!(refused, [Kind::OnDemandInformation, Kind::Information]);
    }

    #[test]
    fn every_kind_reads_back_as_written() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::parse("Event"), None);
    }
}
