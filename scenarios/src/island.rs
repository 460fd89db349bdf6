//! What makes an island and ends it: batteries that form, relays that shed, and the check before it meets the grid.

use r_ems_engine::Span;
use r_ems_engine::units::{Hertz, PerUnit, Ratio};
use r_ems_sim::plant::{Connection, Forming, NOMINAL_HZ, Relay, SpecError, SynchroSpec};

use crate::leaf::word;
use crate::mistake::Notes;
use crate::node::{Fields, Node};
use crate::refused;

/// Reads `forms: true` of a battery, and how it does.
pub(crate) fn forming(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<Forming> {
    let node = fields.optional("forms")?;
    let forms = word(&node, &["false", "true"], notes);
    // The fields of a battery that does not form are unknown, as nothing would come of them.
    if forms == Some(0) {
        return None;
    }
    let usual = Forming::default();
    // What cannot be read was noted, and the others are known all the same.
    let forming = Forming {
        droop: fields.leaf_or("droop", usual.droop, notes),
        filter: fields.leaf_or("filter", usual.filter, notes),
        voltage_droop: fields.leaf_or("voltage_droop", usual.voltage_droop, notes),
        overload: fields.leaf_if_given::<Ratio>("overload", notes).map_or(usual.overload, Ratio::ratio),
        overload_time: fields.leaf_or("overload_time", usual.overload_time, notes),
    };
    forms.map(|_true| forming)
}

/// Reads `shed_at: ("49.0 Hz", "100 ms")` of a load.
pub(crate) fn shed_at(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<Relay> {
    fields.optional("shed_at").and_then(|node| relay(&node, notes))
}

fn relay(node: &Node<'_>, notes: &mut Notes) -> Option<Relay> {
    let values = node.positional(notes)?;
    let [frequency, delay] = values.as_slice() else {
        let found = values.len();
        node.error(
            notes,
            format!("expected a frequency and a delay, (\"49.0 Hz\", \"100 ms\"), got {found} values"),
        );
        return None;
    };
    let (threshold, span): (Option<Hertz>, Option<Span>) = (frequency.leaf(notes), delay.leaf(notes));
    let made = Relay::new(threshold?.hertz(), span?);
    made.map_err(|error| {
        let place = if refused::parameter_of(&error) == "shed_at" { frequency } else { delay };
        refused::show_at(place, &error, notes);
    })
    .ok()
}

/// When an island and the grid may meet.
pub(crate) struct Meeting {
    check: Option<SynchroSpec>,
    nominal_hz: f64,
}

impl Meeting {
    /// The connection at which they meet.
    pub(crate) fn at(self, connection: Connection) -> Result<Connection, SpecError> {
        connection.checked_by(self.check)?.at_nominal(self.nominal_hz)
    }
}

/// Reads `nominal: "60 Hz", synchro_check: SynchroCheck(…)` of a connection.
pub(crate) fn meeting(fields: &mut Fields<'_>, notes: &mut Notes) -> Meeting {
    let nominal_hz = fields.leaf_if_given::<Hertz>("nominal", notes).map_or(NOMINAL_HZ, Hertz::hertz);
    Meeting { check: synchro_check(fields, notes), nominal_hz }
}

/// Reads `synchro_check: SynchroCheck(…)` of a breaker between two sides that may be live, or `None`.
pub(crate) fn synchro_check(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<SynchroSpec> {
    let mut check = Some(SynchroSpec::default());
    if let Some(node) = fields.optional("synchro_check") {
        match node.name() {
            "None" => check = None,
            "SynchroCheck" => check = Some(synchro_spec(&node, notes)),
            _ => node.error(notes, "expected SynchroCheck(…) or None"),
        }
    }
    check
}

fn synchro_spec(node: &Node<'_>, notes: &mut Notes) -> SynchroSpec {
    let mut spec = SynchroSpec::default();
    let Some(mut fields) = node.fields(notes) else { return spec };
    spec.slip_min = fields.leaf_or("slip_min", spec.slip_min, notes);
    spec.slip_max = fields.leaf_or("slip_max", spec.slip_max, notes);
    spec.voltage = fields.leaf_if_given::<PerUnit>("voltage", notes).map_or(spec.voltage, PerUnit::per_unit);
    spec.angle_deg = fields.leaf_or("angle", spec.angle_deg, notes);
    spec.time_out = fields.leaf_or("time_out", spec.time_out, notes);
    if let Err(error) = spec.check() {
        refused::show(&fields, &error, None, notes);
        spec = SynchroSpec::default();
    }
    fields.finish(notes);
    spec
}
