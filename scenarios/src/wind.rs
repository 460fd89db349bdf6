//! Reads a `Wind` component: a turbine behind an inverter whose power can be limited, in a wind whose speed is given in m/s.

use r_ems_engine::units::Watts;
use r_ems_sim::sources::{PowerCurve, Source, SourceError, Turbine};

use crate::mistake::Notes;
use crate::node::Fields;
use crate::plant::read_source;
use crate::source::{Maker, Stand};

/// As the component is spelled.
pub(crate) const WIND: &str = "Wind";

/// Reads the speed of the wind and the turbine's curve, which make its power.
pub(crate) fn read(
    fields: &mut Fields<'_>,
    rating: Option<Watts>,
    maker: &mut Maker<'_, '_>,
    place: &str,
    notes: &mut Notes,
) -> Option<Source> {
    let speed = read_source(fields, None, maker, &|_rating| Stand::plain(place), notes);
    let usual = PowerCurve::default();
    let curve = PowerCurve {
        cut_in: fields.leaf_or("cut_in", usual.cut_in, notes),
        rated: fields.leaf_or("rated_speed", usual.rated, notes),
        cut_out: fields.leaf_or("cut_out", usual.cut_out, notes),
        restart: fields.leaf_or("restart", usual.restart, notes),
    };
    let made = Turbine::new(curve, rating?.watts().abs(), speed?);
    let place = |error: &SourceError| match error {
        SourceError::OutOfRange { parameter, .. } | SourceError::ZeroSpan { parameter } => {
            fields.place(parameter).clone()
        }
        SourceError::Shape { .. } | SourceError::NotIncreasing { .. } | SourceError::Parts { .. } => {
            fields.node().clone()
        }
    };
    match made {
        Ok(turbine) => Some(Source::Turbine(turbine)),
        Err(error) => {
            place(&error).error(notes, error.to_string());
            None
        }
    }
}
