//! What goes wrong in the runs of a search for margins: the active is lost, or stands still, and gets authority back, over and
//! over. When that happens is drawn from a run's number; how bad it is changes no draw, so that probes differ in nothing else.

use r_ems_engine::Span;
use r_ems_engine::rng::Stream;
use r_ems_sim::progress::Promised;
use r_ems_sim::world::StalledClock;

use crate::explore::case::part;
use crate::explore::fault::{Fault, Scope, Value, What};
use crate::explore::site::Facts;

/// An active is cut off for so many times what a take-over may last.
const OUTAGE_TAKE_OVERS: u64 = 2;
/// An active is lost up to so much later than it could be.
const SHIFT_MAX: Span = Span::from_millis(40);
/// Who is cut off stands still within this part of a lease after that.
const STALL_WITHIN: u64 = 2;

/// What happens in one run.
pub(super) struct Placed {
    pub(super) network_seed: u64,
    pub(super) faults: Vec<Fault>,
}

/// How somebody stands still.
pub(super) struct Stall {
    pub(super) lasts: Span,
    /// No probe makes it last longer.
    pub(super) longest: Span,
    pub(super) clock: StalledClock,
    pub(super) with: With,
}

/// What else happens to who stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    Nothing,
    /// In half of the cases nobody hears it any more, so that nothing renews its lease when it goes on.
    CutOff,
}

/// From what all of that is drawn.
pub(super) struct Places<'a> {
    pub(super) facts: &'a Facts,
    /// How long a run is.
    pub(super) length: Span,
    pub(super) seed: u64,
    pub(super) promised: &'a Promised,
}

impl Places<'_> {
    /// The first controller is lost.
    pub(super) fn losses(&self, number: u64) -> Placed {
        let outage = self.promised.within * OUTAGE_TAKE_OVERS;
        self.over_and_over(&format!("margin {number}"), outage, &mut |stream, from, faults| {
            if stream.below(2) == 0 {
                let what = What::new("Crash").with("host", Value::Name(self.host_name(self.active_host())));
                faults.push(self.happening(from, outage, what));
            } else {
                faults.push(self.cut_off(from));
            }
        })
    }

    /// The first controller stands still.
    pub(super) fn stalls(&self, number: u64, stall: &Stall) -> Placed {
        let within = part(self.facts.lease, STALL_WITHIN);
        let outage = (within + stall.longest).max(self.promised.within * OUTAGE_TAKE_OVERS);
        self.over_and_over(&format!("stall {number}"), outage, &mut |stream, from, faults| {
            let (is_cut_off, shift) = (stream.below(2) == 0, stream.below(within.as_nanos()));
            if is_cut_off && stall.with == With::CutOff {
                faults.push(self.cut_off(from));
            }
            let what = What::new("Stall").with("host", Value::Name(self.host_name(self.active_host())));
            let what = match stall.clock {
                StalledClock::Running => what,
                StalledClock::Stopped => what.with("clock", Value::Word("Stopped")),
            };
            faults.push(self.happening(from + Span::from_nanos(shift), stall.lasts, what));
        })
    }

    /// Something happens to the first controller, is over after `outage`, and authority returns to it.
    fn over_and_over(
        &self,
        name: &str,
        outage: Span,
        happens: &mut dyn FnMut(&mut Stream, Span, &mut Vec<Fault>),
    ) -> Placed {
        let settles = self.promised.settles_within;
        let mut stream = Stream::named(self.seed, name);
        let mut faults = Vec::new();
        let mut at = settles;
        loop {
            let from = at + Span::from_nanos(stream.below(SHIFT_MAX.as_nanos()));
            let back = from + outage + settles;
            if back >= self.length {
                return Placed { network_seed: stream.word() >> 33, faults };
            }
            happens(&mut stream, from, &mut faults);
            // Who is not active refuses.
            for other in &self.promised.members[1..] {
                if other.writes {
                    let what = What::new("SwitchOver").of(self.facts.member_value(other.place));
                    let scope = Scope::Member(other.place);
                    faults.push(Fault { kind: 0, from: back, to: None, what, scope });
                }
            }
            at = back + settles;
        }
    }

    fn happening(&self, from: Span, lasts: Span, what: What) -> Fault {
        Fault { kind: 0, from, to: Some(from + lasts), what, scope: Scope::Host(self.active_host()) }
    }

    /// Nobody hears the first controller, and it hears nobody.
    fn cut_off(&self, from: Span) -> Fault {
        let host = self.active_host();
        let others = self.facts.used_hosts.iter().filter(|other| **other != host);
        let others = others.map(|other| self.host_name(*other)).collect();
        let sides = What::new("Partition").with("a", Value::Names(vec![self.host_name(host)]));
        let what = sides.with("b", Value::Names(others));
        self.happening(from, self.promised.within * OUTAGE_TAKE_OVERS, what)
    }

    fn active_host(&self) -> u16 {
        self.facts.members[usize::from(self.promised.members[0].place)].host
    }

    fn host_name(&self, host: u16) -> String {
        self.facts.hosts[usize::from(host)].clone()
    }
}
