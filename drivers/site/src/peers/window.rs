//! Which counters of one session were seen: each is taken once, in whatever order they come.
//!
//! As in IPsec and DTLS (RFC 4303 3.4.3, RFC 9147 4.5.1): of the counters below the highest one the last 64 are known one by
//! one, and what is older is refused, seen or not. A heartbeat that 64 later ones have overtaken says nothing any more.

/// So many counters, up to the highest one, are known one by one.
const WINDOW: u64 = u64::BITS as u64;

/// The counters that were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    highest: u64,
    /// Bit `n`: the highest one less `n` was seen.
    seen: u64,
}

impl Window {
    /// A window in which this counter was seen, and no other.
    pub(super) const fn from(counter: u64) -> Self {
        Self { highest: counter, seen: 1 }
    }

    /// Whether a counter comes for the first time; then it is seen from now on.
    pub(super) const fn takes(&mut self, counter: u64) -> bool {
        if counter > self.highest {
            let ahead = counter - self.highest;
            self.seen = if ahead < WINDOW { self.seen << ahead | 1 } else { 1 };
            self.highest = counter;
            return true;
        }
        let behind = self.highest - counter;
        if behind >= WINDOW || self.seen >> behind & 1 == 1 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_oldest_in_the_window_is_taken_and_one_older_is_not() {
        let mut window = Window::from(100);
        assert!(window.takes(37));
        assert!(!window.takes(36));
        assert!(!window.takes(37));
        assert!(!window.takes(100));
    }

    #[test]
    fn a_leap_forgets_exactly_what_it_leaves_behind() {
        let mut window = Window::from(100);
        assert!(window.takes(163));
        assert!(!window.takes(100), "the last that is known");
        assert!(window.takes(164) && !window.takes(100));
        assert!(window.takes(u64::MAX) && !window.takes(164) && window.takes(u64::MAX - 63));
    }

    proptest! {
        #[test]
        fn each_counter_is_taken_once_and_none_that_is_too_old(
            first in 0..300_u64,
            counters in proptest::collection::vec(0..300_u64, 0..300),
        ) {
            let (mut window, mut seen) = (Window::from(first), BTreeSet::from([first]));
            for counter in counters {
                let highest = *seen.last().expect("there is the first");
                let is_new = counter + 64 > highest && !seen.contains(&counter);
                prop_assert_eq!(window.takes(counter), is_new, "{} below {}", counter, highest);
                if is_new {
                    seen.insert(counter);
                }
            }
        }
    }
}
