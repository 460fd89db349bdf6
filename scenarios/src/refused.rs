//! What the plant refuses of a component, shown at its field, with the allowed range in the units that people write.

use r_ems_engine::Span;
use r_ems_engine::units::{Hertz, Ratio, WattHours, Watts};
use r_ems_sim::plant::{FULL_POWER_MIN, SpecError};

use crate::mistake::Notes;
use crate::node::{Fields, Node, excerpt};

/// Notes the mistake at the field of its parameter.
pub(crate) fn show(fields: &Fields<'_>, error: &SpecError, rating: Option<Watts>, notes: &mut Notes) {
    let parameter = parameter_of(error);
    let place = fields.place(field_of(parameter));
    // What `initial` sets stands elsewhere: then the parameter is named.
    let name = if place.field().ends_with(field_of(parameter)) { "" } else { parameter };
    let gap = if name.is_empty() { "" } else { " " };
    let is_bare_number = !place.text().starts_with(['"', 'r']);
    let allowed = allowed(error, rating, is_bare_number);
    place.error(notes, format!("{name}{gap}must be {allowed}, got {}", found_text(error, place)));
}

/// Notes the mistake at a value that has no field of its own.
pub(crate) fn show_at(place: &Node<'_>, error: &SpecError, notes: &mut Notes) {
    place.error(notes, format!("must be {}, got {}", allowed(error, None, false), excerpt(place.text())));
}

/// The parameter that is refused, as the plant calls it.
pub(crate) fn parameter_of(error: &SpecError) -> &'static str {
    match error {
        SpecError::NotPositive { parameter, .. } | SpecError::OutOfRange { parameter, .. } => parameter,
    }
}

fn allowed(error: &SpecError, rating: Option<Watts>, is_bare_number: bool) -> String {
    match (error, rating) {
        (SpecError::NotPositive { .. }, _) => "above 0".to_string(),
        (SpecError::OutOfRange { parameter: "capacity", found, low, .. }, Some(rating)) if found < low => {
            // Rounded up, so that whoever writes it is right.
            let least_wh = if *low < 1.0 { *low } else { low.ceil() };
            let least = text_of("capacity", least_wh);
            format!("at least {least}, which is {FULL_POWER_MIN} at the rating of {rating}")
        }
        (SpecError::OutOfRange { parameter: "capacity", high, .. }, _) => {
            format!("at most {}", text_of("capacity", *high))
        }
        (SpecError::OutOfRange { low, high, .. }, _) if is_bare_number => format!("from {low} to {high}"),
        (SpecError::OutOfRange { parameter, low, high, .. }, _) => {
            format!("from {} to {}", text_of(parameter, *low), text_of(parameter, *high))
        }
    }
}

/// A number of the plant in the unit of its parameter.
fn text_of(parameter: &str, number: f64) -> String {
    match parameter {
        "capacity" => WattHours::of(number).to_string(),
        "rating" | "power" | "fallback" | "set_point" => Watts::of(number).to_string(),
        "nominal" | "shed_at" => Hertz::of(number).to_string(),
        "lag" | "filter" | "overload_time" | "reverse_time" | "inertia" | "crank" | "warm_up"
        | "cool_down" | "synchronizing" | "shed_delay" | "time_out" | "dead_time" | "t1" | "t2" | "t3"
        | "t4" | "t5" | "t6" => Span::from_secs_f64(number).to_string(),
        _ => Ratio::of(number).to_string(),
    }
}

/// What was found: as it is written if the field is there, else the number.
fn found_text(error: &SpecError, place: &Node<'_>) -> String {
    let (SpecError::NotPositive { parameter, found } | SpecError::OutOfRange { parameter, found, .. }) =
        error;
    if place.field().ends_with(field_of(parameter)) {
        excerpt(place.text())
    } else {
        text_of(parameter, *found)
    }
}

/// The field of a parameter that the plant calls by a name of its own.
fn field_of(parameter: &'static str) -> &'static str {
    match parameter {
        "standby loss" => "standby_loss",
        "proportional loss" => "proportional_loss",
        "quadratic loss" => "quadratic_loss",
        other => other,
    }
}
