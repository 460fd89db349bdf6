//! The intervals of a grid's redundancy, and what follows from them: how long a grantor waits, and how long a take-over takes.
//!
//! **The grantor's wait.** A holder counts its lease L on its own clock from the moment at which it *sent* the request. A clock
//! that is slow by ρ lets L last L/(1 − ρ) of true time. A grantor counts its wait W on its own clock from its grant, which is
//! later than the sending; a clock that is fast by ρ lets W last only W/(1 + ρ). The lease is over before the grantor
//! grants to another if W/(1 + ρ) >= L/(1 − ρ). The last instant of a lease still counts, so W is one nanosecond more:
//! W = ⌈L (1 + ρ)/(1 − ρ)⌉ + 1 ns.
//!
//! **Writes that cannot be recalled.** A write that passed its validity check may still be applied within D. The check was before
//! the end of the lease, so a new holder that waits D on a clock that is fast by ρ must count D(1 + ρ).
//!
//! **The bound.** At worst the active stops right after it sent a renewal. The voters grant that one delay later and are free W
//! after that. The candidate has noticed by then, since its watchdog is shorter than W, and asks in vain; the request that
//! comes too early is followed by one that is sent a retry later. Request and grant travel once each, and so does the
//! first write, after its wait of D(1 + ρ). Everything that is counted may be counted on a clock that is slow by ρ.
//!
//! **Stalls.** A host that stands still renews nothing. At worst it does so right before a grant arrives, one way there and back
//! after the renewal: what is left is the lease that was counted from the renewal before, a heartbeat earlier. On a clock that
//! is fast by ρ that lasts (L − heartbeat)/(1 + ρ), less both ways. A longer stall loses authority, and breaks nothing, because
//! what was decided before is not done after the end of the lease. A stall in which the clock stands still too is an error of
//! its rate: it makes a lease last longer, which ρ allows up to L/(1 − ρ).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::holder::REQUESTS_KEPT;
use crate::time::Span;

/// Parts per billion in one.
const BILLION: u64 = 1_000_000_000;

/// Largest bound of a clock's rate error, in parts per billion: a clock that is wrong by more than a tenth is broken.
pub const CLOCK_RATE_PPB_MAX: u32 = 100_000_000;

/// The redundancy section of a grid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Time between two heartbeats; an active's renewal travels with each.
    pub heartbeat: Span,
    /// Silence of the active after which a standby seeks authority.
    pub watchdog: Span,
    /// How long a lease lasts, L.
    pub lease: Span,
    /// Time between two requests of a candidate.
    pub retry: Span,
    /// Time between two looks at readiness, devices and fail-back.
    pub evaluate: Span,
    /// Bound of every host's clock-rate error, ρ, in parts per billion; at most [`CLOCK_RATE_PPB_MAX`].
    #[serde(deserialize_with = "clock_rate")]
    pub clock_rate_max_ppb: u32,
    /// A standby whose state from the active is older is not ready to take over while the active is there.
    pub state_age_max: Span,
    /// Whether authority returns to a controller of lower order.
    pub fail_back: FailBack,
    /// What a pair without a witness does when its peer is silent.
    pub on_silence: OnSilence,
}

/// Whether authority returns to a controller of lower order that is ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailBack {
    /// Only an operator moves it.
    Manual,
    /// After it has been ready for this long.
    After(Span),
}

/// What a pair without a witness does when its peer is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnSilence {
    /// The durable owner alone is the majority; the other waits for a hand-over or for an operator. A peer with another
    /// redundancy section cannot be told who the owner is: one that holds authority goes on, unless the owner does too and has
    /// the lower seat.
    Hold,
    /// A side grants to itself after W of silence. Two may then write until the link heals; the overlap is reported. A peer with
    /// another redundancy section is not silent where it goes before: it holds authority, or neither or both do and it has the
    /// lower seat.
    TakeOver,
}

impl Settings {
    /// What a site file need not say: a heartbeat that any network carries, and the rest in proportion.
    pub const DEFAULT: Self = Self {
        heartbeat: Span::from_millis(100),
        watchdog: Span::from_millis(300),
        lease: Span::from_millis(400),
        retry: Span::from_millis(10),
        evaluate: Span::from_secs(1),
        clock_rate_max_ppb: 600_000,
        state_age_max: Span::from_secs(5),
        fail_back: FailBack::Manual,
        on_silence: OnSilence::Hold,
    };

    /// Intervals for a fast take-over: the rates of a local network, and hosts that do not stall.
    pub const FAST: Self = Self {
        heartbeat: Span::from_millis(5),
        watchdog: Span::from_millis(15),
        lease: Span::from_millis(20),
        retry: Span::from_millis(1),
        evaluate: Span::from_millis(50),
        clock_rate_max_ppb: 600_000,
        state_age_max: Span::from_millis(100),
        fail_back: FailBack::Manual,
        on_silence: OnSilence::Hold,
    };

    /// How long a candidate waits from one request to the next: the retry, or longer where more requests than can be remembered
    /// would be under way within a lease.
    pub fn request_pause(&self) -> Span {
        let least = self.lease.as_nanos() / (REQUESTS_KEPT as u64 - 1) + 1;
        self.retry.max(Span::from_nanos(least))
    }

    /// W: how long a grantor waits after a grant before it grants to another.
    pub fn grantor_wait(&self) -> Span {
        let rate = u64::from(self.clock_rate_max_ppb);
        stretched(self.lease, BILLION + rate, BILLION - rate) + Span::from_nanos(1)
    }

    /// How long a new holder waits for writes of the one before it, of which the longest lasts `longest_write`.
    pub fn write_wait(&self, longest_write: Span) -> Span {
        stretched(longest_write, BILLION + u64::from(self.clock_rate_max_ppb), BILLION)
    }

    /// The longest time from a crash of the active to the first write of the next, if `delay` bounds each message and each
    /// write on its way, no message is lost, and `longest_write` is the D of the device.
    pub fn take_over_max(&self, delay: Span, longest_write: Span) -> Span {
        let is_noticed = self.watchdog + delay;
        // The last renewal may have been granted one delay after the active stopped.
        let is_free = self.grantor_wait() + delay;
        let counted = is_noticed.max(is_free) + self.request_pause() + self.write_wait(longest_write);
        let rate = u64::from(self.clock_rate_max_ppb);
        stretched(counted, BILLION, BILLION - rate) + delay * 3
    }

    /// How long the host of an active may stand still at any instant without losing authority, if `delay` bounds each message
    /// and none is lost; no time at all if messages may take all that a renewal leaves.
    pub fn stall_max(&self, delay: Span) -> Span {
        let (counted, billion) = (u128::from((self.lease - self.heartbeat).as_nanos()), u128::from(BILLION));
        let least = counted * billion / (billion + u128::from(self.clock_rate_max_ppb));
        Span::from_nanos(u64::try_from(least).unwrap_or(u64::MAX)) - delay * 2
    }

    /// How long a host's clock may stand still within a lease, if that is its only error.
    pub fn clock_stop_max(&self) -> Span {
        let rate = u128::from(self.clock_rate_max_ppb);
        let nanos = u128::from(self.lease.as_nanos()) * rate / (u128::from(BILLION) - rate);
        Span::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Decodes the bound of a clock's rate error: a forged log may hold any, and intervals are divided by what it leaves of one.
fn clock_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let rate = u32::deserialize(deserializer)?;
    if rate <= CLOCK_RATE_PPB_MAX { Ok(rate) } else { Err(D::Error::custom("a clock-rate bound above 10 %")) }
}

/// `span · numerator / denominator`, rounded up.
fn stretched(span: Span, numerator: u64, denominator: u64) -> Span {
    if let Some(product) = span.as_nanos().checked_mul(numerator) {
        // So it is for seconds, which is asked in every scan.
        return Span::from_nanos(product.div_ceil(denominator));
    }
    let nanos = (u128::from(span.as_nanos()) * u128::from(numerator)).div_ceil(u128::from(denominator));
    Span::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::codec;
    use alloc::vec::Vec;

    const FAST: Settings = Settings::FAST;

    #[test]
    fn a_grantor_waits_longer_than_the_slowest_holder_counts() {
        // 20 ms · 1.0006 / 0.9994 = 20.024014408… ms
        assert_eq!(FAST.grantor_wait(), Span::from_nanos(20_024_016));
        assert_eq!(FAST.write_wait(Span::from_millis(2)), Span::from_nanos(2_001_200));
    }

    #[test]
    fn a_stall_may_take_what_a_renewal_leaves_of_the_lease_before() {
        // (20 ms − 5 ms) / 1.0006 = 14.991005396… ms, less 2 ms for both ways.
        assert_eq!(FAST.stall_max(Span::from_millis(1)), Span::from_nanos(12_991_005));
        assert_eq!(FAST.stall_max(Span::from_millis(8)), Span::ZERO);
        // 20 ms · 0.0006 / 0.9994 = 0.012007204… ms
        assert_eq!(FAST.clock_stop_max(), Span::from_nanos(12_007));
    }

    #[test]
    fn a_lease_has_no_more_requests_than_are_remembered() {
        assert_eq!(FAST.request_pause(), FAST.retry);
        let eager = Settings { retry: Span::from_micros(1), ..FAST };
        assert!(eager.request_pause() * (REQUESTS_KEPT as u64 - 1) > eager.lease);
    }

    #[test]
    fn a_clock_rate_that_no_site_may_state_is_not_decoded() {
        for (rate, is_read) in
            [(CLOCK_RATE_PPB_MAX, true), (CLOCK_RATE_PPB_MAX + 1, false), (2_000_000_000, false)]
        {
            let settings = Settings { clock_rate_max_ppb: rate, ..FAST };
            let mut bytes = Vec::new();
            codec::encode(&settings, &mut bytes);
            assert_eq!(codec::decode::<Settings>(&bytes).is_ok(), is_read, "{rate}");
        }
    }
}
