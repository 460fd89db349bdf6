//! The `sunspec` of a link: its device says itself where its numbers lie, by the models that it has.

use r_ems_engine::Span;
use r_ems_engine::fieldbus::plan::ReadLimits;
use r_ems_engine::fieldbus::sunspec::settings::MODELS_SHOWN;
use r_ems_engine::fieldbus::sunspec::{ByModels, HEAD, MODELS_USED, NominalVoltage, REVERSION_MAX};
use r_ems_engine::ids::PointIndex;
use r_ems_engine::points::{DeviceClass, DeviceSpec, PointKind};
use r_ems_engine::units::Volts;

use super::writes::check_timeout;
use crate::device::Device;
use crate::later::unknown;
use crate::mistake::Notes;
use crate::node::{Fields, Node};

/// What a link says where its device says the rest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Models {
    /// The models that may be used; none: all that are known.
    only: Vec<u16>,
    pub(super) heartbeat: Option<Span>,
    /// What a voltage is a multiple of.
    nominal: Option<NominalVoltage>,
}

/// The nominal voltages of grids: above extra-low voltage, and no more than the highest one of IEC 60038.
const NOMINAL_V: (f64, f64) = (50.0, 1.2e6);

/// What such a link does not say itself.
const SAID_BY_MODELS: [&str; 5] = ["points", "writes", "heartbeat", "hole_max", "bits_max"];

/// Reads `(models: [701, 702, 704, 713], heartbeat: "3 s")` of a device in a grid with this scan, and of a meter also
/// `nominal_voltage: LineToLine("400 V")`.
pub(super) fn read(
    node: &Node<'_>,
    link: &mut Fields<'_>,
    class: DeviceClass,
    scan: Span,
    notes: &mut Notes,
) -> Option<Models> {
    let errors = notes.errors();
    for name in SAID_BY_MODELS {
        if let Some(said) = link.optional(name) {
            said.error(notes, format!("a link with `sunspec` has no `{name}`: the models say that"));
        }
    }
    let mut fields = node.fields(notes)?;
    let models = fields.optional("models").and_then(|node| read_models(&node, notes)).unwrap_or_default();
    let heartbeat: Option<Span> = fields.leaf_if_given("heartbeat", notes);
    if let Some(found) = heartbeat {
        check_timeout(found, scan, fields.place("heartbeat"), notes);
        if !class.is_controlled() {
            fields.place("heartbeat").error(notes, "a meter expects no heartbeats");
        }
    }
    let nominal = fields.optional("nominal_voltage").and_then(|node| read_nominal(&node, class, notes));
    fields.finish(notes);
    (notes.errors() == errors).then_some(Models { only: models, heartbeat, nominal })
}

/// Reads `LineToLine("400 V")` or `LineToNeutral("230 V")`.
fn read_nominal(node: &Node<'_>, class: DeviceClass, notes: &mut Notes) -> Option<NominalVoltage> {
    if class != DeviceClass::Meter {
        node.error(notes, format!("a {} measures no voltage", class.name()));
        return None;
    }
    let between: fn(Volts) -> NominalVoltage = match node.name() {
        "LineToLine" => NominalVoltage::LineToLine,
        "LineToNeutral" => NominalVoltage::LineToNeutral,
        _other => {
            unknown(node, "nominal voltage", &["LineToLine", "LineToNeutral"], &[], notes);
            return None;
        }
    };
    let values = node.positional(notes)?;
    let [value] = &values[..] else {
        node.error(notes, format!("expected one voltage, such as {}(\"400 V\")", node.name()));
        return None;
    };
    let found: Volts = value.leaf(notes)?;
    let (low, high) = (Volts::of(NOMINAL_V.0), Volts::of(NOMINAL_V.1));
    if !(low..=high).contains(&found) {
        value.error(notes, format!("must be from {low} to {high}, got {found}"));
        return None;
    }
    Some(between(found))
}

fn read_models(node: &Node<'_>, notes: &mut Notes) -> Option<Vec<u16>> {
    let items = node.items(notes)?;
    if items.is_empty() {
        node.error(notes, "expected the models that may be used; without `models` all of them may");
    }
    let mut models = Vec::new();
    for item in &items {
        let Some(found) = item.leaf::<u64>(notes) else { continue };
        match MODELS_USED.iter().chain(&MODELS_SHOWN).find(|known| u64::from(**known) == found) {
            Some(model) if !models.contains(model) => models.push(*model),
            Some(model) => item.error(notes, format!("model {model} is there twice")),
            None => {
                let known: Vec<String> =
                    MODELS_USED.iter().chain(&MODELS_SHOWN).map(u16::to_string).collect();
                item.error(
                    notes,
                    format!("nothing is read from model {found}; allowed: {}", known.join(", ")),
                );
            }
        }
    }
    Some(models)
}

impl Models {
    /// What is wanted of a device whose first point in the image is this.
    pub(super) fn wanted(&self, spec: &DeviceSpec, first_point: PointIndex) -> ByModels {
        ByModels {
            class: spec.class,
            kinds: spec.points,
            first_point,
            only: self.only.clone(),
            reversion: spec.reversion,
            heartbeat: self.heartbeat,
            rating: spec.rating,
            nominal: self.nominal,
            reactive: spec.apparent.map(|_apparent| spec.priority),
        }
    }
}

/// Notes what no device has that has these models, and what models have no room for.
pub(super) fn check(device: &Device<'_>, (wanted, limits): (&ByModels, ReadLimits), notes: &mut Notes) {
    let has = |kind: PointKind| wanted.kinds.contains(kind);
    if has(PointKind::Voltage) && wanted.nominal.is_none() {
        let message = "`v` is a multiple of the nominal voltage, and models have volts: with `sunspec` say of what, such as \
                       nominal_voltage: LineToLine(\"400 V\"), or LineToNeutral(\"230 V\")";
        device.note_link(message.into(), notes);
    } else if has(PointKind::ReactiveSetPoint) && wanted.reactive.is_none() {
        let message = "`q_set_point` needs the `apparent` power of the device, such as \"300 kVA\"";
        device.note_link(message.into(), notes);
    } else if let Some(missing) = wanted.lacks() {
        let known: Vec<String> = wanted.only.iter().map(u16::to_string).collect();
        device.note_link(format!("`models` are {}, and of these {missing}", known.join(", ")), notes);
    }
    if wanted.class.is_controlled() && wanted.reversion > REVERSION_MAX {
        let message = format!(
            "with `sunspec` the `reversion` must be at most {REVERSION_MAX}, got {}",
            wanted.reversion
        );
        device.note_link(message, notes);
    }
    let second = Span::from_secs(1);
    if wanted.class.is_controlled() && wanted.reversion != second * wanted.reversion.whole(second) {
        let message =
            format!("with `sunspec` the `reversion` must be whole seconds, got {}", wanted.reversion);
        device.note_link(message, notes);
    }
    if limits.most() < HEAD {
        device.note_link(
            format!("with `sunspec` `registers_max` must be at least {HEAD}, the head of a model"),
            notes,
        );
    }
    if device.spec.checks_epochs {
        device.note_link(
            "checks_epochs: true needs writes with Epoch(…), which no model of SunSpec has".into(),
            notes,
        );
    }
}
