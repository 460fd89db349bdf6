//! Whether the signs of a grid's devices agree with each other, as far as who only looks can know.
//!
//! What comes in at the meter, from photovoltaics and from batteries is consumed, and nothing consumes less than nothing. So a
//! sign is wrong where the sum is negative, and is right where the sum would be negative with the other one. Where both may
//! be, only a set-point shows it: see [`super::trial`]. All of that holds if nothing feeds in that is no device of the site.

use r_ems_engine::points::DeviceClass;
use r_ems_scenarios::Severity;

use super::report::Signs;
use super::target::{Noted, Target};
use crate::present::text::power;

/// What is smaller than this share of a rating has no sign.
const LEAST: f64 = 0.02;
/// What batteries are told and what they do is compared from this share of the rating on.
const FOLLOWS: f64 = 0.05;

/// A device, and what it reads.
pub(super) struct Seen<'t, 's> {
    pub(super) target: &'t Target<'s>,
    /// Its power, W, positive into the bus.
    pub(super) power: Option<f64>,
    /// Its set-point, W, positive into the bus.
    pub(super) set_point: Option<f64>,
}

impl Seen<'_, '_> {
    fn least(&self) -> f64 {
        self.target.spec.rating.watts() * LEAST
    }

    fn class(&self) -> DeviceClass {
        self.target.spec.class
    }

    /// What it says when its power is positive.
    fn says(&self) -> &'static str {
        match self.class() {
            DeviceClass::Meter => "import",
            DeviceClass::Signal | DeviceClass::Breaker => "none",
            DeviceClass::Battery => "discharge",
            DeviceClass::Pv | DeviceClass::Genset => "generation",
            DeviceClass::Load => "consumption",
        }
    }

    /// Where the file says what is positive.
    fn place(&self) -> &'static [&'static str] {
        match self.class() {
            DeviceClass::Meter | DeviceClass::Battery | DeviceClass::Signal | DeviceClass::Breaker => {
                &["link", "positive"]
            }
            DeviceClass::Pv | DeviceClass::Genset | DeviceClass::Load => &["link", "points", "p"],
        }
    }
}

/// Compares the signs of one grid's devices, which were read at about one instant.
pub(super) fn compare(grid: &str, seen: &[Seen<'_, '_>]) -> (Signs, Vec<Noted>) {
    let mut notes: Vec<Noted> = seen.iter().filter_map(alone).collect();
    let mut signs = Signs {
        grid: grid.to_owned(),
        meter_is_right: false,
        consumption_w: None,
        known: Vec::new(),
        unknown: Vec::new(),
    };
    let meters = seen.iter().filter(|seen| seen.class() == DeviceClass::Meter).count();
    let dark: Vec<&str> =
        seen.iter().filter(|seen| seen.power.is_none()).map(|seen| seen.target.spec.name.as_str()).collect();
    if meters != 1 {
        signs.unknown.push(format!(
            "whether the signs agree: the site has {meters} meters that were asked, and it takes one"
        ));
    } else if !dark.is_empty() {
        signs.unknown.push(format!("whether the signs agree: the power of {} is not known", dark.join(", ")));
    } else {
        notes.extend(balance(seen, &mut signs));
    }
    (signs, notes)
}

impl Signs {
    /// Takes into account that a set-point has shown the signs of a battery and of its meter to agree.
    pub(super) fn agree(&mut self, battery: &str) {
        self.unknown.retain(|question| !question.starts_with(&about(battery)));
        self.known.push(format!(
            "the meter saw that {battery} discharged as less import, and that it charged as more"
        ));
    }
}

/// How a question about the sign of a device begins.
fn about(name: &str) -> String {
    format!("whether {name} counts ")
}

/// What a device alone says that cannot be.
fn alone(seen: &Seen<'_, '_>) -> Option<Noted> {
    let (rating, found) = (seen.target.spec.rating.watts(), seen.power?);
    match seen.class() {
        DeviceClass::Pv if found < -seen.least() => Some(
            seen.target
                .note(&["link", "points", "p"], Severity::Error, power(found))
                .expected("generation, which is positive")
                .likely("the scale of `p` needs the other sign".to_owned()),
        ),
        DeviceClass::Battery => {
            let told = seen.set_point?;
            let is_solid = found.abs() >= rating * FOLLOWS && told.abs() >= rating * FOLLOWS;
            (is_solid && (found > 0.0) != (told > 0.0)).then(|| {
                seen.target
                    .note(
                        &["link", "points", "p"],
                        Severity::Error,
                        format!("{} at a set-point of {}", power(found), power(told)),
                    )
                    .expected("the same sign")
                    .likely("the scale of `p` or of `set_point` needs the other sign".to_owned())
            })
        }
        DeviceClass::Meter
        | DeviceClass::Pv
        | DeviceClass::Signal
        | DeviceClass::Genset
        | DeviceClass::Load
        | DeviceClass::Breaker => None,
    }
}

/// What the sum of all powers says of the signs.
fn balance(seen: &[Seen<'_, '_>], signs: &mut Signs) -> Option<Noted> {
    let power_of = |seen: &Seen<'_, '_>| seen.power.unwrap_or(0.0);
    let consumption: f64 = seen.iter().map(power_of).sum();
    let least = seen.iter().map(Seen::least).fold(0.0, r_ems_engine::math::at_least);
    let can_be = |consumed: f64| consumed >= -least;
    let other = |seen: &Seen<'_, '_>| consumption - 2.0 * power_of(seen);
    signs.consumption_w = Some(consumption);
    let parts: Vec<String> =
        seen.iter().map(|seen| format!("{} {}", seen.target.spec.name, power(power_of(seen)))).collect();
    signs.known.push(format!("consumption would be {}: {}", power(consumption), parts.join(", ")));
    let has_sign = |seen: &&Seen<'_, '_>| power_of(seen).abs() >= seen.least();
    if can_be(consumption) {
        for seen in seen {
            let name = &seen.target.spec.name;
            let question = format!("{}{} as the file says", about(name), seen.says());
            if !has_sign(&seen) {
                signs.unknown.push(format!("{question}: {} is too little to tell", power(power_of(seen))));
            } else if can_be(other(seen)) {
                signs.unknown.push(format!(
                    "{question}: with the other sign consumption would be {}",
                    power(other(seen))
                ));
            } else {
                signs.meter_is_right |= seen.class() == DeviceClass::Meter;
                signs.known.push(format!(
                    "{name} counts {} as the file says: else {} would come from nowhere",
                    seen.says(),
                    power(-other(seen))
                ));
            }
        }
        return None;
    }
    let likely: Vec<&Seen<'_, '_>> =
        seen.iter().filter(has_sign).filter(|seen| can_be(other(seen))).collect();
    let names: Vec<&str> = likely.iter().map(|seen| seen.target.spec.name.as_str()).collect();
    let meter = seen.iter().find(|seen| seen.class() == DeviceClass::Meter)?;
    let suspect = if let [only] = likely[..] { only } else { meter };
    let found = format!(
        "powers that say that {} are fed in without a source: {}",
        power(-consumption),
        parts.join(", ")
    );
    let hint = if names.is_empty() {
        "more than one sign is wrong, or something feeds in that is no device of the site".to_owned()
    } else {
        format!(
            "{} counts the other way, or something feeds in that is no device of the site",
            names.join(" or ")
        )
    };
    Some(
        suspect
            .target
            .note(suspect.place(), Severity::Error, found)
            .expected("consumption of 0 W or more")
            .likely(hint),
    )
}
