//! What operators want: it is passed to the loop, and what comes of it is waited for among the events.
//!
//! An event does not say which request it answers. So a grid has one command under way at a time, also while whoever asked for it
//! has gone; one more is refused.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use r_ems_engine::event::Event;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::ControllerNames;
use r_ems_engine::redundancy::{Command, Role, Seat};
use r_ems_site::control::{Asked, Refused};

use super::super::about::MemberPlace;
use super::super::feed::{Told, What};
use super::{Api, orders, systemd};
use crate::api::{ASKED, Done, Maintenance, Snapshot, Sole, SwitchOver};

/// So long the outcome of a command is waited for; then the answer says that it was asked for.
const OUTCOME_WITHIN: Duration = Duration::from_secs(5);

/// It is looked this often whether somebody on another host has taken over.
const LOOKS_EVERY: Duration = Duration::from_millis(20);

/// What a command is to lead to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Until {
    /// Who of those here should take over, if somebody named it.
    successor: Option<ControllerIndex>,
    /// Whether others, on other hosts, may take over: of them nothing is reported here.
    elsewhere: bool,
}

/// Why a command did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no such grid or controller.
    Unknown(String),
    /// The controller refuses it, or nobody can do it now.
    Conflict(String),
    /// Too much was asked for at once, or the run is over.
    Busy(String),
}

impl Api {
    /// Moves authority in a grid.
    pub(super) async fn switch_over(self: &Arc<Self>, wanted: &SwitchOver) -> Result<Done, Trouble> {
        let grid = wanted.grid.as_str();
        self.check_grid(grid)?;
        let looked = self.look();
        let members = self.of_grid(&looked, grid);
        let elsewhere = self.elsewhere(grid, &members);
        let active = self.active_here(grid, &members, &elsewhere)?;
        let to = wanted.to.as_deref().map(|id| self.member(grid, id)).transpose()?;
        let command = Command::SwitchOver { to: to.as_ref().map(|(seat, _)| *seat) };
        let successor = to.and_then(|(_, place)| match place {
            MemberPlace::Here(of) => Some(of),
            MemberPlace::On(_) => None,
        });
        let after = Until { successor, elsewhere: !elsewhere.is_empty() };
        self.ask(Asked { to: active.of, command }, after).await
    }

    /// Begins or ends maintenance of a controller.
    pub(super) async fn maintenance(self: &Arc<Self>, wanted: &Maintenance) -> Result<Done, Trouble> {
        let of = self.find(&wanted.controller)?;
        let (name, begins) = (&wanted.controller, wanted.on);
        let looked = self.look();
        let member = looked.iter().find(|looked| looked.of == of && looked.lives());
        let Some(view) = member.and_then(|member| member.view.as_ref()) else {
            return Err(Trouble::Conflict(format!("{name} does not run")));
        };
        if stands(view.role, begins) {
            let state = if begins { "in maintenance already" } else { "not in maintenance" };
            return Ok(done(format!("{name} is {state}")));
        }
        let command = Command::Maintenance { begins, is_forced: wanted.force };
        self.ask(Asked { to: of, command }, Until::default()).await
    }

    /// Makes a controller the majority on its own, or ends that.
    pub(super) async fn sole(self: &Arc<Self>, wanted: &Sole) -> Result<Done, Trouble> {
        let of = self.find(&wanted.controller)?;
        let name = &wanted.controller;
        let about = self.about.grid(&self.about.controllers[of.position()].grid);
        if about.is_none_or(|about| about.members.len() < 2) {
            return Err(Trouble::Conflict(format!("{name} shares its grid with none, and needs no votes")));
        }
        let looked = self.look();
        let member = looked.iter().find(|looked| looked.of == of && looked.lives());
        let Some(view) = member.and_then(|member| member.view.as_ref()) else {
            return Err(Trouble::Conflict(format!("{name} does not run")));
        };
        if view.is_sole == wanted.on {
            return Ok(done(format!("{name} {}", is_sole(wanted.on))));
        }
        self.ask(Asked { to: of, command: Command::Sole { begins: wanted.on } }, Until::default()).await
    }

    /// Keeps the state of a controller.
    pub(super) async fn snapshot(self: &Arc<Self>, wanted: &Snapshot) -> Result<Done, Trouble> {
        let of = self.find(&wanted.controller)?;
        if !self.about.keeps_journals {
            return Err(Trouble::Conflict(format!(
                "{} keeps no journal, which its state would go into: this simulation has no `persistence`, and keeps \
                 nothing but what --record writes",
                wanted.controller
            )));
        }
        if !self.look().iter().any(|looked| looked.of == of && looked.lives()) {
            return Err(Trouble::Conflict(format!("{} does not run", wanted.controller)));
        }
        self.ask(Asked { to: of, command: Command::Snapshot }, Until::default()).await
    }

    /// Ends the run in order.
    pub(super) fn shut_down(&self) -> Done {
        self.control.stop();
        systemd::stopping();
        Done { outcome: ASKED.to_owned(), message: "every controller is asked to stop in order".to_owned() }
    }

    /// Passes a command to the loop and waits for its outcome.
    pub(super) async fn ask(self: &Arc<Self>, asked: Asked, until: Until) -> Result<Done, Trouble> {
        if asked.command == Command::EmergencyStop {
            // It waits for nobody's turn: what it leads to is told by events that no other command has.
            return self.outcome(asked, until).await;
        }
        let grid = &self.about.controllers[asked.to.position()].grid;
        let place = self.grid_names().position(|known| known == grid).expect("a controller has a grid");
        let Ok(turn) = Arc::clone(&self.turns[place]).try_lock_owned() else {
            return Err(Trouble::Busy(format!(
                "{grid}: another command is under way; ask again when it is done"
            )));
        };
        let api = Arc::clone(self);
        // It goes on without the client: what comes next must not be taken for the outcome of another command.
        let outcome = tokio::spawn(async move {
            let outcome = api.outcome(asked, until).await;
            drop(turn);
            outcome
        });
        outcome.await.expect("it does not panic, and nobody ends it")
    }

    async fn outcome(&self, asked: Asked, until: Until) -> Result<Done, Trouble> {
        let mut newest = self.newest.subscribe();
        let mut next = self.history().last() + 1;
        self.control.ask(asked).map_err(|refused: Refused| Trouble::Busy(refused.to_string()))?;
        let names = &self.about.controllers;
        let told = async {
            while newest.changed().await.is_ok() {
                let judged = {
                    let history = self.history();
                    let mut told = history.from(next, usize::MAX).map(|entry| &entry.told);
                    let judged = told.find_map(|told| judge(names, asked, until, told));
                    next = history.last() + 1;
                    judged
                };
                match judged {
                    Some(Judged::Over(outcome)) => return outcome,
                    Some(Judged::GivenUp) => {
                        return Ok(self.taken_over(&names[asked.to.position()].grid).await);
                    }
                    None if self.is_over.load(Ordering::Acquire) => break,
                    None => {}
                }
            }
            Err(Trouble::Busy(Refused::Over.to_string()))
        };
        let judged = async {
            tokio::select! {
                judged = told => judged,
                done = self.declared(asked) => Ok(done),
            }
        };
        tokio::time::timeout(OUTCOME_WITHIN, judged).await.unwrap_or_else(|_elapsed| {
            let seconds = OUTCOME_WITHIN.as_secs();
            let message =
                format!("it has not happened within {seconds} s; look at the status and the events");
            Ok(Done { outcome: ASKED.to_owned(), message })
        })
    }

    /// Refuses a grid that is none.
    pub(super) fn check_grid(&self, name: &str) -> Result<(), Trouble> {
        let known: Vec<&str> = self.grid_names().collect();
        if known.contains(&name) {
            return Ok(());
        }
        Err(Trouble::Unknown(format!("there is no grid '{name}'; there is {}", known.join(", "))))
    }

    /// A controller by its full name.
    pub(super) fn find(&self, name: &str) -> Result<ControllerIndex, Trouble> {
        let names = &self.about.controllers;
        let found = names.iter().position(|known| known.full() == name);
        found.map(ControllerIndex::of).ok_or_else(|| {
            if let Some(host) = self.host_of(name) {
                return Trouble::Conflict(format!("{name} runs on host {host}; ask the daemon there"));
            }
            let known: Vec<String> = names.iter().map(|known| known.full()).collect();
            Trouble::Unknown(format!("there is no controller '{name}'; there is {}", known.join(", ")))
        })
    }

    /// The other host on which a controller runs, by its full name.
    fn host_of(&self, name: &str) -> Option<String> {
        let (grid, id) = name.split_once('/')?;
        match self.member(grid, id) {
            Ok((_, MemberPlace::On(host))) => Some(host),
            Ok((_, MemberPlace::Here(_))) | Err(_) => None,
        }
    }

    /// A member of a grid by its id: its seat, and where it runs.
    fn member(&self, grid: &str, id: &str) -> Result<(Seat, MemberPlace), Trouble> {
        let about = self.about.grid(grid);
        let members = about.map_or(&[][..], |about| about.members.as_slice());
        let found = members.iter().position(|member| member.id == id).map(|place| (place, &members[place]));
        found.map(|(place, member)| (Seat(place as u8), member.place.clone())).ok_or_else(|| {
            let known: Vec<String> = members.iter().map(|member| format!("{grid}/{}", member.id)).collect();
            Trouble::Unknown(format!("there is no controller '{grid}/{id}'; there is {}", known.join(", ")))
        })
    }

    /// Waits until it is durable that a controller is sole, or is no more, if it was asked for that: no event tells it.
    async fn declared(&self, asked: Asked) -> Done {
        let Command::Sole { begins } = asked.command else { return std::future::pending().await };
        loop {
            let seen = self.fed.seen(asked.to);
            if self.views.view(asked.to, &seen).is_some_and(|view| view.is_sole == begins) {
                let name = self.about.controllers[asked.to.position()].full();
                return done(format!("{name} {}", is_sole(begins)));
            }
            tokio::time::sleep(LOOKS_EVERY).await;
        }
    }

    /// Waits until somebody on another host has taken over what was given up here.
    async fn taken_over(&self, grid: &str) -> Done {
        loop {
            let looked = self.look();
            let elsewhere = self.elsewhere(grid, &self.of_grid(&looked, grid));
            if let Some(other) = elsewhere.iter().find(|other| other.held.is_some()) {
                return done(format!("{} is active, epoch {}", other.status.name, other.status.epoch));
            }
            tokio::time::sleep(LOOKS_EVERY).await;
        }
    }
}

/// Whether whoever has this role is in maintenance, or out of it, for certain: who is about to get another role may be wanted in
/// maintenance already.
const fn stands(role: Role, in_maintenance: bool) -> bool {
    match role {
        Role::Maintenance => in_maintenance,
        Role::Witness | Role::Standby | Role::Active => !in_maintenance,
        Role::Candidate | Role::Lapsed | Role::HandingOver => false,
    }
}

/// What is known of a command under way.
#[derive(Debug)]
enum Judged {
    /// What became of it.
    Over(Result<Done, Trouble>),
    /// Whoever was asked has given up its authority, for somebody on another host.
    GivenUp,
}

/// What an event says about a command under way; nothing if it is about something else.
fn judge(
    names: &[ControllerNames],
    asked: Asked,
    Until { successor, elsewhere }: Until,
    told: &Told,
) -> Option<Judged> {
    let name = |of: ControllerIndex| names[of.position()].full();
    let is_of_grid = names[told.from.position()].grid == names[asked.to.position()].grid;
    let What::Event(event) = told.what else { return None };
    match (event, asked.command) {
        (Event::CommandRefused { command, refusal }, _)
            if told.from == asked.to && command == asked.command =>
        {
            let message = format!("{}: {}", name(told.from), refusal.name());
            Some(Judged::Over(Err(Trouble::Conflict(message))))
        }
        (Event::TookOver { epoch, .. }, Command::SwitchOver { .. }) if is_of_grid => {
            let message = format!("{} is active, epoch {epoch}", name(told.from));
            Some(Judged::Over(match successor {
                Some(other) if other != told.from => {
                    Err(Trouble::Conflict(format!("{} did not take over: {message}", name(other))))
                }
                None if told.from == asked.to => {
                    Err(Trouble::Conflict(format!("nobody else took over: {message}")))
                }
                Some(_) | None => Ok(done(message)),
            }))
        }
        (Event::RoleChanged { role: Role::Standby, .. }, Command::SwitchOver { .. })
            if told.from == asked.to && elsewhere =>
        {
            Some(Judged::GivenUp)
        }
        (event, command) if told.from == asked.to && orders::is_outcome(event, command) => {
            Some(Judged::Over(Ok(done(orders::outcome_words(&name(told.from), event)))))
        }
        (Event::SnapshotTaken { .. }, Command::Snapshot) if told.from == asked.to => {
            Some(Judged::Over(Ok(done(format!("the state of {} is kept", name(told.from))))))
        }
        (Event::SnapshotFailed, Command::Snapshot) if told.from == asked.to => {
            let message = format!("{}: the disk did not take its state", name(told.from));
            Some(Judged::Over(Err(Trouble::Conflict(message))))
        }
        (Event::RoleChanged { role, .. }, Command::Maintenance { begins, .. })
            if told.from == asked.to && (role == Role::Maintenance) == begins =>
        {
            let state = if begins { "in maintenance" } else { role.name() };
            Some(Judged::Over(Ok(done(format!("{} is {state}", name(told.from))))))
        }
        (_, _) => None,
    }
}

/// What is so of who is sole, or is no more.
const fn is_sole(on: bool) -> &'static str {
    if on { "is sole: its own vote is a majority" } else { "is not sole" }
}

pub(super) fn done(message: String) -> Done {
    Done { outcome: "done".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_engine::redundancy::supervisor::CommandRefusal;
    use r_ems_engine::redundancy::{Epoch, Reason};
    use r_ems_engine::{Span, Time};

    const A: ControllerIndex = ControllerIndex(0);
    const B: ControllerIndex = ControllerIndex(1);
    const C: ControllerIndex = ControllerIndex(2);
    /// Of another grid.
    const FAR: ControllerIndex = ControllerIndex(3);
    const SWITCH_OVER: Command = Command::SwitchOver { to: None };

    /// What an event says about a command to `A` that `successor` should follow.
    fn judged(
        command: Command,
        successor: Option<ControllerIndex>,
        from: ControllerIndex,
        event: Event,
    ) -> Option<Result<String, String>> {
        let named = |(grid, id): (&str, &str)| ControllerNames {
            grid: grid.to_owned(),
            id: id.to_owned(),
            devices: Vec::new(),
            functions: Vec::new(),
        };
        let names = [("g", "a"), ("g", "b"), ("g", "c"), ("far", "a")].map(named);
        let told = Told { number: 1, at: Time::ZERO, from, what: What::Event(event) };
        let until = Until { successor, elsewhere: false };
        judge(&names, Asked { to: A, command }, until, &told).map(|judged| match judged {
            Judged::Over(Ok(Done { message, .. })) => Ok(message),
            Judged::Over(Err(
                Trouble::Conflict(message) | Trouble::Unknown(message) | Trouble::Busy(message),
            )) => Err(message),
            Judged::GivenUp => panic!("everybody is here"),
        })
    }

    fn took_over() -> Event {
        let (silent, sought) = (Span::ZERO, Span::ZERO);
        Event::TookOver { reason: Reason::Operator, epoch: Epoch::NONE, silent, sought }
    }

    #[test]
    fn a_switch_over_is_done_when_the_one_that_was_wanted_has_taken_over() {
        let epoch = Epoch::NONE;
        let active = |id: &str| format!("g/{id} is active, epoch {epoch}");
        for (successor, from, expected) in [
            (None, B, Some(Ok(active("b")))),
            (None, C, Some(Ok(active("c")))),
            (None, A, Some(Err(format!("nobody else took over: {}", active("a"))))),
            (Some(C), C, Some(Ok(active("c")))),
            (Some(C), B, Some(Err(format!("g/c did not take over: {}", active("b"))))),
            (Some(C), A, Some(Err(format!("g/c did not take over: {}", active("a"))))),
            (None, FAR, None),
        ] {
            assert_eq!(judged(SWITCH_OVER, successor, from, took_over()), expected);
        }
    }

    #[test]
    fn a_switch_over_to_another_host_is_waited_for_once_authority_is_given_up() {
        let what = |role| {
            let (reason, epoch) = (Reason::Operator, Epoch::NONE);
            let what = What::Event(Event::RoleChanged { role, reason, epoch });
            Told { number: 1, at: Time::ZERO, from: A, what }
        };
        let names = [ControllerNames {
            grid: "g".to_owned(),
            id: "a".to_owned(),
            devices: Vec::new(),
            functions: Vec::new(),
        }];
        let until = Until { successor: None, elsewhere: true };
        let judged = |role| judge(&names, Asked { to: A, command: SWITCH_OVER }, until, &what(role));
        assert!(judged(Role::HandingOver).is_none());
        assert!(matches!(judged(Role::Standby), Some(Judged::GivenUp)));
    }

    #[test]
    fn a_refusal_counts_from_the_one_that_was_asked_of_what_it_was_asked() {
        let refusal = CommandRefusal::NobodyReady;
        let refused = Event::CommandRefused { command: SWITCH_OVER, refusal };
        let expected = Some(Err("g/a: nobody is ready to take over".to_owned()));
        assert_eq!(judged(SWITCH_OVER, None, A, refused), expected);
        assert_eq!(judged(SWITCH_OVER, None, B, refused), None);
        let other = Command::Maintenance { begins: true, is_forced: false };
        assert_eq!(judged(other, None, A, refused), None);
    }

    #[test]
    fn maintenance_is_asked_for_unless_it_is_certain_that_nothing_changes() {
        let certain =
            |in_maintenance| Role::ALL.into_iter().filter(move |role| stands(*role, in_maintenance));
        assert!(certain(true).eq([Role::Maintenance]));
        assert!(certain(false).eq([Role::Witness, Role::Standby, Role::Active]));
    }

    #[test]
    fn a_snapshot_is_done_when_the_one_that_was_asked_has_kept_it() {
        let taken = Event::SnapshotTaken { after: Span::ZERO };
        assert_eq!(
            judged(Command::Snapshot, None, A, taken),
            Some(Ok("the state of g/a is kept".to_owned()))
        );
        assert_eq!(judged(Command::Snapshot, None, B, taken), None);
        let failed = Some(Err("g/a: the disk did not take its state".to_owned()));
        assert_eq!(judged(Command::Snapshot, None, A, Event::SnapshotFailed), failed);
    }

    #[test]
    fn maintenance_is_done_with_the_change_of_role_and_not_with_a_take_over() {
        let role_changed = |role| Event::RoleChanged { role, reason: Reason::Operator, epoch: Epoch::NONE };
        let on = Command::Maintenance { begins: true, is_forced: false };
        let off = Command::Maintenance { begins: false, is_forced: false };
        assert_eq!(judged(on, None, A, role_changed(Role::HandingOver)), None);
        assert_eq!(judged(on, None, B, role_changed(Role::Maintenance)), None);
        assert_eq!(judged(on, None, B, took_over()), None);
        let expected = Some(Ok("g/a is in maintenance".to_owned()));
        assert_eq!(judged(on, None, A, role_changed(Role::Maintenance)), expected);
        assert_eq!(judged(off, None, A, role_changed(Role::Maintenance)), None);
        assert_eq!(judged(off, None, A, role_changed(Role::Standby)), Some(Ok("g/a is standby".to_owned())));
    }
}
