//! How the plant is when the run begins: breakers, modes, power and state of charge, where it differs from what `plant` says.

use r_ems_engine::units::{Ratio, Watts};
use r_ems_sim::plant::{InitialMode, Position};

use crate::later::unknown;
use crate::leaf::word;
use crate::mistake::{Notes, suggestion};
use crate::node::Node;
use crate::plant::Kind;

/// What one component begins with.
#[derive(Debug)]
pub(crate) struct Initial<'t> {
    /// `commerce/bess`.
    place: String,
    key: Node<'t>,
    pub(crate) breaker: Option<Position>,
    pub(crate) power: Option<Watts>,
    pub(crate) soc: Option<Ratio>,
    pub(crate) mode: Option<InitialMode>,
    is_used: bool,
}

/// The words for the modes that a battery can begin in.
pub(crate) const MODES: [&str; 4] = ["Off", "Starting", "Ready", "Running"];
/// A device that has failed is a mode of an interface that is not there yet.
const LATER: [&str; 1] = ["Fault"];

/// Reads `{"commerce/pcc": (breaker: Open), "commerce/bess": (power: "100 kW", soc: "40 %")}`.
pub(crate) fn read<'t>(node: &Node<'t>, notes: &mut Notes) -> Vec<Initial<'t>> {
    let entries = node.map(notes).unwrap_or_default();
    let mut all = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(mut fields) = entry.value.fields(notes) else { continue };
        let positions = [Position::Open, Position::Closed];
        let breaker = fields.optional("breaker").and_then(|node| word(&node, &["Open", "Closed"], notes));
        all.push(Initial {
            place: entry.name,
            key: entry.key,
            breaker: breaker.map(|position| positions[position]),
            power: fields.leaf_if_given("power", notes),
            soc: fields.leaf_if_given("soc", notes),
            mode: fields.optional("mode").and_then(|node| read_mode(&node, notes)),
            is_used: false,
        });
        let begun = all
            .last()
            .filter(|begun: &&Initial<'_>| begun.mode.is_some_and(|mode| mode != InitialMode::Running));
        if begun.and_then(|begun| begun.power).is_some_and(|power| power != Watts::ZERO) {
            fields.place("power").error(notes, "only a battery that is Running begins with a power");
        }
        fields.finish(notes);
    }
    all
}

fn read_mode(node: &Node<'_>, notes: &mut Notes) -> Option<InitialMode> {
    match node.text() {
        "Off" => Some(InitialMode::Off),
        "Starting" => Some(InitialMode::Starting),
        "Ready" => Some(InitialMode::Ready),
        "Running" => Some(InitialMode::Running),
        _ => {
            unknown(node, "mode", &MODES, &LATER, notes);
            None
        }
    }
}

impl<'t> Initial<'t> {
    /// What the component at `place` begins with.
    pub(crate) fn take<'a>(all: &'a mut [Self], place: &str) -> Option<&'a mut Self> {
        all.iter_mut().find(|initial| initial.place == place)
    }

    /// Where it stands.
    pub(crate) fn key(&self) -> &Node<'t> {
        &self.key
    }

    /// Notes what a component of `kind` cannot begin with.
    pub(crate) fn check_used(&mut self, kind: Option<Kind>, notes: &mut Notes) {
        self.is_used = true;
        let Some(kind) = kind else { return };
        if self.breaker.is_some() && !matches!(kind, Kind::Connection | Kind::Tie) {
            self.key.error(notes, "only a GridConnection or a BusTie begins with a breaker");
        }
        let is_of_battery = self.power.is_some() || self.soc.is_some();
        let is_of_genset = self.mode.is_some() && kind == Kind::Genset;
        if (is_of_battery || self.mode.is_some() && !is_of_genset) && kind != Kind::Battery {
            let allowed = "only a Battery begins with a power or a state of charge, and a Battery or a Genset with a mode";
            self.key.error(notes, allowed);
        }
    }

    /// Notes every place that no component has, but for those whose lack is noted already.
    pub(crate) fn check_all_used(
        all: &[Self],
        places: &[&str],
        is_noted: &dyn Fn(&str) -> bool,
        notes: &mut Notes,
    ) {
        for initial in all.iter().filter(|initial| !initial.is_used && !is_noted(&initial.place)) {
            let message = format!("there is no component there; {}", suggestion(&initial.place, places));
            initial.key.error(notes, message);
        }
    }
}
