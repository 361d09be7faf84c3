//! `random()` and `setseed()`: one generator per session.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A session's random numbers.
pub(crate) struct Generator(StdRng);

impl Default for Generator {
    fn default() -> Self {
        Self(rand::make_rng())
    }
}

impl Generator {
    /// `setseed(value)`.
    pub(crate) fn seed(&mut self, value: f64) {
        self.0 = StdRng::seed_from_u64(value.to_bits());
    }

    /// `random()`: at least 0, below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// 16 random bytes.
    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        self.0.random()
    }
}
