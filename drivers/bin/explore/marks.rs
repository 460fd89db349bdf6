//! Coverage marks: which kinds of fault and of settings and which rare branches were reached, and which never.
//!
//! A mark counts runs, not times: what is reached a thousand times in one run of a thousand is rare.

use std::mem::discriminant;

use r_ems_engine::event::Event;
use r_ems_engine::fleet::Poisoned;
use r_ems_engine::machine::{
    Afterwards, Delivery, Driver, Effect, Handled, Input, Outcome, Step, WriteOutcome,
};
use r_ems_engine::persistence::{Origin, Trouble};
use r_ems_engine::redundancy::supervisor::CommandRefusal;
use r_ems_engine::redundancy::{Reason, Role};

use super::kinds::{CRASHES, KINDS};
use super::settings::Sort;

/// Reasons for which authority is taken.
const REASONS: [Reason; 8] = [
    Reason::Start,
    Reason::HeartbeatLost,
    Reason::WatchdogExpired,
    Reason::TooSlow,
    Reason::DevicesLost,
    Reason::FailBack,
    Reason::Operator,
    Reason::Stopping,
];
/// Roles that are told of; a witness is one from its boot.
const ROLES: [Role; 6] =
    [Role::Maintenance, Role::Standby, Role::Candidate, Role::Lapsed, Role::Active, Role::HandingOver];
/// Refusals of what is drawn; nobody asks a witness, and nobody names a seat.
const REFUSALS: [CommandRefusal; 3] =
    [CommandRefusal::NotActive, CommandRefusal::NobodyReady, CommandRefusal::Sole];
/// Where lives begin; that a delivery fails an assertion in each life is a bug.
const ORIGINS: [(Origin, &str); 3] =
    [(Origin::Replayed, "replayed"), (Origin::Damaged, "damaged"), (Origin::Lost, "lost")];
/// What keeps a journal from being kept.
const TROUBLES: [Trouble; 4] = [Trouble::Full, Trouble::Slow, Trouble::Failing, Trouble::ReadOnly];
const OUTCOMES: [(WriteOutcome, &str); 4] = [
    (WriteOutcome::Refused, "refused by the device"),
    (WriteOutcome::Outdated { accepted: 0 }, "refused for a higher epoch"),
    (WriteOutcome::TimedOut, "timed out"),
    (WriteOutcome::Expired, "expired before it was sent"),
];

const SETTINGS_AT: usize = KINDS.len();
const EVENTS_AT: usize = SETTINGS_AT + Sort::ALL.len();
const REASONS_AT: usize = EVENTS_AT + Event::KINDS.len();
const ROLES_AT: usize = REASONS_AT + REASONS.len();
const REFUSALS_AT: usize = ROLES_AT + ROLES.len();
const OUTCOMES_AT: usize = REFUSALS_AT + REFUSALS.len();
const ORIGINS_AT: usize = OUTCOMES_AT + OUTCOMES.len();
const TROUBLES_AT: usize = ORIGINS_AT + ORIGINS.len();
/// How many marks there are.
pub const COUNT: usize = TROUBLES_AT + TROUBLES.len();

/// The names of all marks, in their order.
pub fn names() -> Vec<String> {
    let faults = KINDS.iter().map(|kind| format!("fault: {}", kind.name));
    let settings = Sort::ALL.iter().map(|sort| format!("set: {}", sort.name()));
    let events = Event::KINDS.iter().map(|kind| format!("event: {kind}"));
    let reasons = REASONS.iter().map(|reason| format!("took over: {}", reason.name()));
    let roles = ROLES.iter().map(|role| format!("role: {}", role.name()));
    let refusals = REFUSALS.iter().map(|refusal| format!("command refused: {}", refusal.name()));
    let outcomes = OUTCOMES.iter().map(|outcome| format!("write: {}", outcome.1));
    let origins = ORIGINS.iter().map(|origin| format!("recovered: {}", origin.1));
    let troubles = TROUBLES.iter().map(|trouble| format!("journal's disk: {}", trouble.name()));
    let before =
        faults.chain(settings).chain(events).chain(reasons).chain(roles).chain(refusals).chain(outcomes);
    before.chain(origins).chain(troubles).collect()
}

/// The marks that one run reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks(pub [bool; COUNT]);

impl Default for Marks {
    fn default() -> Self {
        Self([false; COUNT])
    }
}

impl Marks {
    /// A kind of fault was drawn.
    pub fn fault(&mut self, kind: usize) {
        self.0[kind] = true;
    }

    /// Something of the scenario was set.
    pub fn setting(&mut self, sort: Sort) {
        self.place(SETTINGS_AT, &Sort::ALL, &sort);
    }

    /// Whether somebody was drawn to crash, a host or a process.
    pub(super) fn has_crash(&self) -> bool {
        CRASHES.iter().any(|kind| self.0[*kind])
    }

    /// Whether somebody's lease ended without its will.
    pub(super) fn has_lapsed(&self) -> bool {
        ROLES.iter().position(|role| *role == Role::Lapsed).is_some_and(|place| self.0[ROLES_AT + place])
    }

    fn place<T: PartialEq>(&mut self, base: usize, known: &[T], found: &T) {
        if let Some(place) = known.iter().position(|entry| entry == found) {
            self.0[base + place] = true;
        }
    }

    fn event(&mut self, event: &Event) {
        self.place(EVENTS_AT, &Event::KINDS, &event.kind());
        if let Event::TookOver { reason, .. } = event {
            self.place(REASONS_AT, &REASONS, reason);
        }
        if let Event::RoleChanged { role, .. } = event {
            self.place(ROLES_AT, &ROLES, role);
        }
        if let Event::CommandRefused { refusal, .. } = event {
            self.place(REFUSALS_AT, &REFUSALS, refusal);
        }
        if let Event::StateRecovered { origin } = event {
            self.place(ORIGINS_AT, &ORIGINS.map(|known| known.0), origin);
        }
        if let Event::JournalDegraded { trouble } = event {
            self.place(TROUBLES_AT, &TROUBLES, trouble);
        }
    }
}

/// A driver that is watched for marks.
#[derive(Clone)]
pub(super) struct Marking<D> {
    pub(super) inner: D,
    pub(super) marks: Marks,
    pub(super) deliveries: u64,
}

impl<D: Driver> Driver for Marking<D> {
    #[inline]
    fn next(&mut self) -> Option<Delivery<'_>> {
        let delivery = self.inner.next();
        self.deliveries += u64::from(delivery.is_some());
        if let Some(Delivery { step: Step::Input(Input::Written { outcome, .. }), .. }) = &delivery
            && let Some(place) =
                OUTCOMES.iter().position(|known| discriminant(&known.0) == discriminant(outcome))
        {
            self.marks.0[OUTCOMES_AT + place] = true;
        }
        delivery
    }

    #[inline]
    fn perform(&mut self, outcome: &Outcome<'_>) {
        for effect in outcome.effects.as_slice() {
            if let Effect::Report(event) = effect {
                self.marks.event(event);
            }
        }
        self.inner.perform(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        self.inner.failed(failure)
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        D::contain(run)
    }
}
