//! The battery of a plant: its fields, and what begins differently by `initial`.

use r_ems_engine::Span;
use r_ems_engine::units::{Ratio, WattHours, Watts};
use r_ems_sim::plant::{Battery, BatterySpec, InitialMode, RATING_MIN_W};

use crate::device::Device;
use crate::initial::Initial;
use crate::mistake::Notes;
use crate::node::Fields;
use crate::{island, refused};

/// How long a battery gives its rated power that stands in for one that cannot be read.
const ORDINARY: Span = Span::from_mins(30);

/// Reads the fields of `Battery(…)`; none if something in it is wrong, which was noted.
pub(crate) fn read(
    fields: &mut Fields<'_>,
    rating: Option<Watts>,
    declared: Option<&Device<'_>>,
    initial: Option<&mut Initial<'_>>,
    notes: &mut Notes,
) -> Option<Battery> {
    let capacity = read_capacity(fields, declared, notes);
    let mut soc: Option<Ratio> = fields.leaf("soc", notes);
    let mut power = Watts::ZERO;
    let mut begin = None;
    if let Some(initial) = initial {
        begin = initial.mode;
        soc = initial.soc.or(soc);
        power = initial.power.unwrap_or(power);
    }
    // What could not be read was noted; something that fits stands in for it, to find what else is wrong.
    let rating = rating.filter(|rating| *rating > Watts::ZERO);
    let stand_in = rating.unwrap_or(Watts::of(RATING_MIN_W));
    let is_judged = |capacity: &WattHours| rating.is_some() || *capacity <= WattHours::ZERO;
    let capacity = capacity.filter(is_judged).unwrap_or(stand_in.over(ORDINARY));
    let mut spec = BatterySpec::new(capacity, stand_in, soc.unwrap_or(Ratio::ONE));
    spec.power = power;
    spec.dead_time = fields.leaf_or("dead_time", spec.dead_time, notes);
    spec.lag = fields.leaf_or("lag", spec.lag, notes);
    spec.losses.standby = fields.leaf_or("standby_loss", spec.losses.standby, notes);
    spec.losses.proportional = fields.leaf_or("proportional_loss", spec.losses.proportional, notes);
    spec.losses.quadratic = fields.leaf_or("quadratic_loss", spec.losses.quadratic, notes);
    spec.taper = fields.leaf_or("taper", spec.taper, notes);
    spec.soc_bias = fields.leaf_or("soc_bias", spec.soc_bias, notes);
    spec.soc_step = fields.leaf_or("soc_step", spec.soc_step, notes);
    spec.start_delay = fields.leaf_or("start_delay", spec.start_delay, notes);
    spec = spec.beginning(begin.unwrap_or(InitialMode::Running));
    spec.reversion = declared.map(|device| device.spec.reversion);
    spec.reversion = fields.leaf_if_given("reversion", notes).or(spec.reversion);
    spec.fallback = fields.leaf_or("fallback", spec.fallback, notes);
    spec.forms = island::forming(fields, notes);
    if rating.is_none() {
        (spec.power, spec.fallback) = (Watts::ZERO, Watts::ZERO);
    }
    checked(spec, fields, notes)
}

/// Reads the capacity, which is the one that the site says where the plant says none; that they differ is worth a look.
fn read_capacity(
    fields: &mut Fields<'_>,
    declared: Option<&Device<'_>>,
    notes: &mut Notes,
) -> Option<WattHours> {
    let Some((device, stated)) = declared.and_then(|device| Some((device, device.capacity?))) else {
        return fields.leaf("capacity", notes);
    };
    let capacity = fields.leaf_or("capacity", stated, notes);
    if capacity != stated {
        let site = device.rating.as_ref().map_or("", |rating| rating.document().path());
        let message = format!("the site file {site} says {stated}, here it is {capacity}");
        fields.place("capacity").warning(notes, message);
    }
    Some(capacity)
}

/// Makes the battery; every parameter that it refuses is noted, and replaced to find the next.
fn checked(mut spec: BatterySpec, fields: &Fields<'_>, notes: &mut Notes) -> Option<Battery> {
    const PARAMETERS: usize = 16;
    let plain = BatterySpec::new(spec.rating.over(ORDINARY), spec.rating, Ratio::ONE);
    for _parameter in 0..PARAMETERS {
        let error = match Battery::new(spec) {
            Ok(battery) => return Some(battery),
            Err(error) => error,
        };
        refused::show(fields, &error, Some(spec.rating), notes);
        match refused::parameter_of(&error) {
            "capacity" => spec.capacity = plain.capacity,
            "soc" => spec.soc = plain.soc,
            "power" => spec.power = plain.power,
            "fallback" => spec.fallback = plain.fallback,
            "lag" => spec.lag = plain.lag,
            "taper" => spec.taper = plain.taper,
            "soc_bias" => spec.soc_bias = plain.soc_bias,
            "soc_step" => spec.soc_step = plain.soc_step,
            "standby loss" => spec.losses.standby = plain.losses.standby,
            "proportional loss" => spec.losses.proportional = plain.losses.proportional,
            "quadratic loss" => spec.losses.quadratic = plain.losses.quadratic,
            "droop" | "filter" | "voltage_droop" | "overload" | "overload_time" => spec.forms = None,
            _ => return None,
        }
    }
    None
}
