//! How the reactive power of a group came about.

use r_ems_engine::controller::group::Group;
use r_ems_engine::controller::interval::{IntervalStep, Origin};
use r_ems_engine::functions::Wish;
use r_ems_engine::log::ControllerNames;
use r_ems_engine::units::Vars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names;

/// The decision for the reactive power of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReactiveDecision {
    /// What was decided, var, injected; nothing before the first decision.
    pub decided_var: Option<f64>,
    /// Who bound it; nothing if the group takes none.
    pub bound_by: Option<String>,
    /// Who narrowed the interval, first to last: what active power leaves room for, and then functions.
    pub steps: Vec<ReactiveStep>,
}

/// What one part of the composition did to the interval of reactive power.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReactiveStep {
    /// Who.
    pub who: String,
    /// Between which reactive powers it wished to stay, if it is a function.
    pub wish_var: Option<[f64; 2]>,
    /// The interval afterwards, var.
    pub after_var: [f64; 2],
    /// What is missing to the wish.
    pub shortfall_var: f64,
}

/// The decision for the reactive power of a group; none if it takes no reactive set-points.
pub(super) fn decision(names: &ControllerNames, group: &Group) -> Option<ReactiveDecision> {
    let reactive = group.reactive()?;
    Some(ReactiveDecision {
        decided_var: reactive.applied().map(Vars::vars),
        bound_by: reactive.bound_by().map(|origin| who(names, origin)),
        steps: reactive.steps().iter().map(|step| seen(names, step)).collect(),
    })
}

fn seen(names: &ControllerNames, step: &IntervalStep<Vars>) -> ReactiveStep {
    let wish_var = step.wish.and_then(|wish| match wish {
        Wish::Limit { low, high } => Some([low.vars(), high.vars()]),
        Wish::Target(power) => Some([power.vars(), power.vars()]),
        // Nobody wishes these of reactive power.
        Wish::Reserve { .. } | Wish::MemberLimit { .. } | Wish::Hold(_) | Wish::Missing(_) => None,
    });
    ReactiveStep {
        who: who(names, step.origin),
        wish_var,
        after_var: [step.low.vars(), step.high.vars()],
        shortfall_var: step.shortfall.vars(),
    }
}

fn who(names: &ControllerNames, origin: Origin) -> String {
    match origin {
        Origin::Ability => "what active power leaves room for".to_owned(),
        Origin::StartUp | Origin::EmergencyStop | Origin::Operator | Origin::Function(_) => {
            names::origin(names, origin)
        }
    }
}
