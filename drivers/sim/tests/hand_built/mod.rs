//! Parts of sites that are built by hand.

use r_ems_engine::Span;
use r_ems_engine::controller::{Controller, ControllerSpec};
use r_ems_engine::functions::peak_shaving::{PeakShavingSpec, Window};
use r_ems_engine::functions::{BuiltIn, BuiltInSpec};
use r_ems_engine::ids::PointIndex;
use r_ems_engine::machine::Machine;
use r_ems_engine::points::{Connections, DeviceClass, DeviceSpec, Positive, Priority};
use r_ems_engine::units::{Ratio, Watts};
use r_ems_sim::network::Delay;
use r_ems_sim::plant::{ComponentIndex, Quantity};
use r_ems_sim::world::LinkSpec;

const LATENCY: Span = Span::from_millis(20);

/// What a battery's link reads, in the order of its points.
pub(crate) const BATTERY_POINTS: [Quantity; 5] = [
    Quantity::Power,
    Quantity::ReportedStateOfCharge,
    Quantity::ChargeLimit,
    Quantity::DischargeLimit,
    Quantity::SetPoint,
];

pub(crate) fn kilowatts(power: f64) -> Watts {
    Watts::of(power * 1e3)
}

fn device(name: &str, class: DeviceClass, positive: Positive) -> DeviceSpec {
    DeviceSpec {
        name: name.into(),
        class,
        points: class.points(),
        positive,
        rating: kilowatts(250.0),
        latency: LATENCY,
        age_max: Span::from_secs(3) + LATENCY,
        stuck_after: None,
        reversion: Span::from_secs(60),
        write_interval: Span::ZERO,
        writes_per_day: None,
        longest_write: Span::ZERO,
        checks_epochs: false,
        at_stop: None,
        dead_band: Watts::of(250.0),
        connections: Connections::Shared,
        apparent: None,
        priority: Priority::Active,
        ramp: None,
    }
}

/// A controller that shaves peaks above 220 kW, whose devices count the other way round than the engine.
pub(crate) fn controller() -> Controller<BuiltIn> {
    let stack = [BuiltInSpec::PeakShaving(PeakShavingSpec {
        meter: "pcc".into(),
        battery: "bess".into(),
        limit: kilowatts(220.0),
        recharge: kilowatts(170.0),
        reserve: Ratio::of(0.8),
        window: Window::Instant,
    })];
    let devices = vec![
        device("pcc", DeviceClass::Meter, Positive::Export),
        device("bess", DeviceClass::Battery, Positive::Charge),
    ];
    let spec =
        ControllerSpec::wire("commerce", "a", Span::from_secs(1), devices, &stack).expect("a right stack");
    Controller::new(&spec)
}

/// A link to a component, 20 ms away.
pub(crate) fn link(
    component: ComponentIndex,
    first_point: u16,
    positive: Positive,
    quantities: &[Quantity],
) -> LinkSpec {
    LinkSpec {
        component,
        first_point: PointIndex(first_point),
        quantities: quantities.to_vec(),
        positive,
        declared: positive,
        latency: LATENCY,
        write_delay: Delay::exactly(Span::ZERO),
        checks_epochs: false,
        one_connection: None,
        timeout: Span::from_millis(500),
        reconnect: Span::from_millis(200),
        valid_for: Span::from_secs(3),
        drop_outs: None,
    }
}
