//! The intervals and sizes that an operator may change.

use super::Span;

/// Intervals and sizes; the default suits a cluster within 300 ms round trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// How often a node probes one other member.
    pub probe_period: Span,
    /// How long the direct answer to a probe may take before others are asked to try.
    pub probe_rtt: Span,
    /// How long a suspect of a cluster of up to ten members has to show that it lives; grows with the logarithm.
    pub suspicion: Span,
    /// Into how many parts a broadcast splits the members it is responsible for.
    pub fanout: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            probe_period: Span::from_ms(1_000),
            probe_rtt: Span::from_ms(500),
            suspicion: Span::from_ms(4_500),
            fanout: 8,
        }
    }
}
