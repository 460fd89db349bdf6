//! Who wrote when: each take-over as devices saw it, with what the controller that took over said of it.

use r_ems_engine::event::Event;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::{Span, Time};
use r_ems_replay::describe::Words;
use r_ems_replay::describe::council::reason_words;
use r_ems_sim::authority::{TakeOver, Unheard};
use r_ems_sim::driver::RunResult;
use serde::Serialize;

use super::Facts;
use crate::study::observed::{Observations, Told};

/// So many take-overs are listed one by one, the first ones; all are counted.
const MAX_LISTED: usize = 100;

/// Authority that moved, and what that took.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Authorities {
    /// How many take-overs there were.
    pub count: u64,
    /// The longest time that a grid was without authority; nothing without a take-over.
    pub longest_gap_s: Option<f64>,
    /// The first take-overs.
    pub list: Vec<TakeOverSummary>,
    /// Grids in which at the end nobody had written since the last writer was lost.
    pub waiting: Vec<WaitingSummary>,
    /// What operators asked of controllers that were down, the first ones.
    pub unheard: Vec<UnheardSummary>,
    /// What the members of the councils told each other.
    pub messages: Messages,
}

/// Messages between the members of councils.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Messages {
    /// How many were sent.
    pub sent: u64,
    /// How many arrived, repeated ones included.
    pub received: u64,
}

/// One take-over.
#[derive(Clone, Debug, Serialize)]
pub struct TakeOverSummary {
    /// When a device accepted the first write of the next.
    pub at_s: f64,
    /// The same as local time.
    pub at: String,
    /// Who wrote before, `grid/id`.
    pub from: String,
    /// Who writes now; the same for a controller that came back.
    pub to: String,
    /// When the one before was lost: its crash, or else its last accepted write.
    pub lost_at: String,
    /// How long the grid was without authority.
    pub gap_s: f64,
    /// Why it moved, in words.
    pub reason: Option<&'static str>,
    /// The fencing number, `round.seat`.
    pub epoch: Option<String>,
    /// How long it took to notice: how long no active had been heard when it began to ask for authority.
    pub detected_s: Option<f64>,
    /// How long it took to act: from when it began to ask until its first set-points were out.
    pub acted_s: Option<f64>,
    /// By how much the first set-points differ from what the devices held, all devices added.
    pub step_w: Option<f64>,
    /// How old the state of the active before it was at the grant.
    pub state_age_s: Option<f64>,
}

/// A grid that waits for an authority.
#[derive(Clone, Debug, Serialize)]
pub struct WaitingSummary {
    /// Which.
    pub grid: String,
    /// Since when.
    pub since_s: f64,
    /// The same as local time.
    pub since: String,
}

/// A command that nobody heard.
#[derive(Clone, Debug, Serialize)]
pub struct UnheardSummary {
    /// When.
    pub at_s: f64,
    /// The same as local time.
    pub at: String,
    /// To whom, `grid/id`.
    pub controller: String,
    /// What was asked for, in words.
    pub command: String,
}

impl Authorities {
    /// Takes what a run showed; nothing where nobody shares a grid.
    pub(super) fn of(facts: &Facts, result: &RunResult, observations: &Observations) -> Option<Self> {
        let is_shared = |names: &r_ems_engine::log::ControllerNames| {
            facts.controllers.iter().filter(|other| other.grid == names.grid).count() > 1
        };
        if !facts.controllers.iter().any(is_shared) {
            return None;
        }
        let all = &result.authority.take_overs;
        let summary = |found: &TakeOver| take_over(facts, observations, found);
        let waiting = |(grid, since): &(u16, Time)| WaitingSummary {
            grid: facts.grids[usize::from(*grid)].name.clone(),
            since_s: since.as_secs_f64(),
            since: facts.local(*since),
        };
        let unheard = |lost: &Unheard| {
            let place = usize::from(lost.controller);
            UnheardSummary {
                at_s: lost.at.as_secs_f64(),
                at: facts.local(lost.at),
                controller: facts.controllers[place].full(),
                command: Words::within(&facts.controllers, place).command(lost.command),
            }
        };
        let (sent, received) = observations.messages();
        Some(Self {
            count: all.len() as u64,
            longest_gap_s: all.iter().map(TakeOver::gap).max().map(Span::as_secs_f64),
            list: all.iter().take(MAX_LISTED).map(summary).collect(),
            waiting: result.authority.waiting.iter().map(waiting).collect(),
            unheard: result.authority.unheard.iter().map(unheard).collect(),
            messages: Messages { sent, received },
        })
    }
}

fn take_over(facts: &Facts, observations: &Observations, found: &TakeOver) -> TakeOverSummary {
    let name = |place: u16| facts.controllers[usize::from(place)].full();
    let to = ControllerIndex(found.to);
    let (mut reason, mut epoch, mut detected, mut acted) = (None, None, None, None);
    let (mut sought_for, mut step_w, mut state_age_s) = (Span::ZERO, None, None);
    for Told { event, .. } in observations.told(to, found.at) {
        if let Event::TookOver { reason: why, epoch: under, silent, sought } = event {
            (reason, epoch) = (Some(reason_words(*why)), Some(under.to_string()));
            (detected, sought_for) = (why.is_noticed().then_some(*silent - *sought), *sought);
            // A step that was told before belongs to an authority before.
            (acted, step_w, state_age_s) = (None, None, None);
        }
        if let Event::SetPointsTakenOver { step, after, state_age } = event {
            acted = Some(sought_for + *after);
            (step_w, state_age_s) = (Some(step.watts()), state_age.map(Span::as_secs_f64));
        }
    }
    TakeOverSummary {
        at_s: found.at.as_secs_f64(),
        at: facts.local(found.at),
        from: name(found.from),
        to: name(found.to),
        lost_at: facts.local(found.lost_at),
        gap_s: found.gap().as_secs_f64(),
        reason,
        epoch,
        detected_s: detected.map(Span::as_secs_f64),
        acted_s: acted.map(Span::as_secs_f64),
        step_w,
        state_age_s,
    }
}
