//! Memory as a log keeps it for other versions: beside each state, in a form with a number of its own.
//!
//! A state is the encoding of one version of the engine and means nothing to another one. The memory beside it is what state
//! transfer sends, see [`crate::carry`], and what devices may still be written today: each part of it has a version, so that a
//! later version reads it and an earlier one knows that it cannot. A life that finds only states of another version begins with
//! it:
//!
//! ```text
//!     recovery: newest memory that can be read ─> the machine as it is made takes it to its boot (Machine::recall)
//!     boot: all else is forgotten ─> the memory is judged by its age and taken, or not, and that is reported
//! ```
//!
//! **Decision: the recovered state holds the memory until its boot**, and no delivery of its own brings it. So what is logged is
//! what always was, the state and the boot, and both replay bit for bit. A life that dies before its boot is durable leaves
//! nothing half done: the next one finds the state with the memory, and judges its age anew. An input after the boot could be
//! lost between the two.
//!
//! **Age.** The memory names the last decision that it is of, on the clock of its host and on the wall clock. It is as old as the
//! later of the two says. Without both wall clocks its age is not known: a host's clock that began anew does not count an outage.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::carry::MAX_CARRIED_BYTES;
use crate::log::codec;
use crate::time::{LocalTime, Span};
use crate::wall::WallTime;

/// The version of the form in which memory is kept. Its parts have versions of their own.
pub const VERSION: u16 = 1;
/// Hysteresis and timers are taken from memory that is no older.
pub const TIMERS_LAST: Span = Span::from_secs(60);

/// The memory of one machine, as a log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// When the last decision in it was made; ages in it count from there.
    pub at: LocalTime,
    /// What the machine believed that the wall clock showed then.
    pub wall: Option<WallTime>,
    /// Identifies what is carried, and in which order.
    pub layout: u64,
    /// The memory, as a whole unit of state transfer has it, and behind it what devices may still be written today.
    pub memory: Vec<u8>,
}

impl Carried {
    /// Appends the bytes of its form, whose number is [`VERSION`].
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        codec::encode(self, bytes);
    }

    /// Reads the bytes of a form.
    ///
    /// # Errors
    /// [`NotCarried::Version`] if the form has another number, [`NotCarried::Malformed`] if the bytes are none of it.
    pub fn decode(version: u16, bytes: &[u8]) -> Result<Self, NotCarried> {
        if version != VERSION {
            return Err(NotCarried::Version);
        }
        let carried: Self = codec::decode(bytes).map_err(|codec::Undecodable| NotCarried::Malformed)?;
        if carried.memory.len() <= MAX_CARRIED_BYTES { Ok(carried) } else { Err(NotCarried::Malformed) }
    }

    /// How old it is at a boot at `now` whose wall clock shows `wall`; `None`: that cannot be known.
    pub fn age(&self, now: LocalTime, wall: Option<WallTime>) -> Option<Span> {
        let by_wall = self.wall.zip(wall).map(|(then, wall)| wall.since(then))?;
        Some(by_wall.max(now.since(self.at)))
    }
}

/// Why a life begins without the memory of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotCarried {
    /// The log has none.
    Missing,
    /// It has another form: this version of the engine does not know it.
    Version,
    /// It is of other functions, groups or devices.
    Layout,
    /// It is no memory of this controller's.
    Malformed,
}

impl NotCarried {
    const ALL: [Self; 4] = [Self::Missing, Self::Version, Self::Layout, Self::Malformed];

    /// The number of it in logs.
    pub const fn code(self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::Version => 1,
            Self::Layout => 2,
            Self::Malformed => 3,
        }
    }

    /// The reason of a number.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The words for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "the log has none",
            Self::Version => "it has another form",
            Self::Layout => "it is of other functions, groups or devices",
            Self::Malformed => "it is no memory at all",
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    const WALL: WallTime = WallTime::from_unix_nanos(1_000_000_000_000);

    fn at(seconds: u64) -> LocalTime {
        LocalTime::ZERO + Span::from_secs(seconds)
    }

    fn carried() -> Carried {
        Carried { at: at(100), wall: Some(WALL), layout: 0x0102_0304, memory: vec![7, 8, 9] }
    }

    /// A change here is a change of the form: it takes the next [`VERSION`].
    #[test]
    fn the_form_has_its_golden_bytes() {
        let mut bytes = Vec::new();
        carried().encode(&mut bytes);
        let hex: alloc::string::String = bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
        assert_eq!(hex, "fd00e876481700000001fd00204aa9d1010000fc0403020103070809");
        assert_eq!(Carried::decode(VERSION, &bytes), Ok(carried()));
    }

    #[test]
    fn it_is_as_old_as_the_later_clock_says_and_of_unknown_age_without_wall_clocks() {
        let wall = |seconds| Some(WALL + Span::from_secs(seconds));
        assert_eq!(carried().age(at(103), wall(3)), Some(Span::from_secs(3)));
        assert_eq!(
            carried().age(at(103), wall(90)),
            Some(Span::from_secs(90)),
            "the host's clock began anew"
        );
        assert_eq!(carried().age(at(190), wall(3)), Some(Span::from_secs(90)), "the wall clock was set back");
        assert_eq!(carried().age(at(103), None), None);
        assert_eq!(Carried { wall: None, ..carried() }.age(at(103), wall(3)), None);
    }

    #[test]
    fn numbers_in_logs_mean_one_thing_both_ways() {
        assert!(NotCarried::ALL.into_iter().all(|why| NotCarried::of_code(why.code()) == Some(why)));
        assert_eq!(NotCarried::of_code(4), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_another_form_is_named(
            version in any::<u16>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let found = Carried::decode(version, &bytes);
            if version != VERSION {
                prop_assert_eq!(found, Err(NotCarried::Version));
            }
        }

        #[test]
        fn bytes_that_are_cut_are_refused(cut in any::<proptest::sample::Index>()) {
            let mut bytes = Vec::new();
            carried().encode(&mut bytes);
            let cut = &bytes[..cut.index(bytes.len())];
            prop_assert_eq!(Carried::decode(VERSION, cut), Err(NotCarried::Malformed));
        }
    }
}
