//! One specification of every built-in function.

use r_ems_engine::Span;
use r_ems_engine::functions::BuiltInSpec;
use r_ems_engine::functions::connection_limit::ConnectionLimitSpec;
use r_ems_engine::functions::fcr::FcrSpec;
use r_ems_engine::functions::frequency_droop::FrequencyDroopSpec;
use r_ems_engine::functions::gensets::GensetsSpec;
use r_ems_engine::functions::grid_operator::GridOperatorSpec;
use r_ems_engine::functions::lfsm::LfsmSpec;
use r_ems_engine::functions::load_shedding::LoadSheddingSpec;
use r_ems_engine::functions::manual::ManualSpec;
use r_ems_engine::functions::peak_shaving::{PeakShavingSpec, Window};
use r_ems_engine::functions::pid::{Holds, PidSpec};
use r_ems_engine::functions::ramp_limit::RampLimitSpec;
use r_ems_engine::functions::reconnect::ReconnectSpec;
use r_ems_engine::functions::return_to_service::ReturnToServiceSpec;
use r_ems_engine::functions::schedule::{ScheduleSpec, ScheduledSpec, Wanted};
use r_ems_engine::functions::self_consumption::SelfConsumptionSpec;
use r_ems_engine::functions::soc_floor::SocFloorSpec;
use r_ems_engine::functions::tariff::{PricedSpec, TariffSpec};
use r_ems_engine::functions::volt_var::VoltVarSpec;
use r_ems_engine::functions::volt_watt::VoltWattSpec;
use r_ems_engine::units::{Hertz, PerUnit, Ratio, WattHours, Watts, WattsPerSecond};
use r_ems_engine::wall::{Clock, Weekdays};

use super::{PV_W, kilowatts};

/// One specification of every built-in function.
pub(crate) fn every_function() -> Vec<BuiltInSpec> {
    let (meter, battery, pv) = (|| "pcc".to_string(), || "batteries".to_string(), || "pv".to_string());
    let first = vec![
        BuiltInSpec::GridOperator(GridOperatorSpec {
            signal: "ripple".to_string(),
            meter: Some(meter()),
            pv: Some(pv()),
            battery: Some(battery()),
            rating: Some(Watts::of(PV_W)),
            consumption_limit: None,
            fail_safe: kilowatts(180.0),
        }),
        BuiltInSpec::ConnectionLimit(ConnectionLimitSpec {
            meter: meter(),
            battery: Some(battery()),
            pv: Some(pv()),
            import_max: Some(kilowatts(300.0)),
            export_max: Some(kilowatts(100.0)),
            fail_safe: None,
        }),
        BuiltInSpec::RampLimit(RampLimitSpec {
            battery: Some(battery()),
            pv: None,
            up: WattsPerSecond::of(50e3),
            down: None,
        }),
        BuiltInSpec::Manual(ManualSpec { battery: Some(battery()), pv: None }),
        BuiltInSpec::SocFloor(SocFloorSpec {
            battery: battery(),
            floor: Ratio::of(0.15),
            force_charge_below: Some(Ratio::of(0.10)),
            force_charge_power: None,
            release: None,
            dwell: None,
        }),
        BuiltInSpec::PeakShaving(PeakShavingSpec {
            meter: meter(),
            battery: battery(),
            limit: kilowatts(220.0),
            recharge: kilowatts(170.0),
            reserve: Ratio::of(0.8),
            window: Window::Mean(Span::from_mins(15)),
        }),
        BuiltInSpec::SelfConsumption(SelfConsumptionSpec {
            meter: meter(),
            battery: battery(),
            target: Watts::ZERO,
            discharge_above: Ratio::of(0.2),
        }),
    ];
    [first, voltage_functions(), frequency_functions(), clock_functions(), island_functions()].concat()
}

/// Those that hold an island.
fn island_functions() -> Vec<BuiltInSpec> {
    vec![
        BuiltInSpec::Gensets(GensetsSpec {
            gensets: "gensets".to_string(),
            battery: Some("batteries".to_string()),
            least: 1,
            start_above: Ratio::of(0.85),
            start_after: Span::from_secs(10),
            stop_below: Ratio::of(0.6),
            stop_after: Span::from_secs(20),
            loads: Vec::new(),
            heavy: Vec::new(),
            reserve: kilowatts(20.0),
            minimum_load: Ratio::of(0.3),
            up_time: Span::from_secs(30),
            down_time: Span::from_secs(5),
            low_below: Ratio::of(0.3),
            low_until: Ratio::of(0.8),
            charge_power: kilowatts(50.0),
            start_time_out: Span::from_secs(20),
            retry_after: Span::from_secs(40),
        }),
        BuiltInSpec::LoadShedding(LoadSheddingSpec {
            loads: vec!["oven".to_string()],
            meter: "pcc".to_string(),
            heavy: Vec::new(),
            import_max: None,
            overload_after: Span::from_secs(10),
            gensets: Some("gensets".to_string()),
            battery: Some("batteries".to_string()),
            battery_above: Ratio::of(0.2),
            restore_above: Ratio::of(0.5),
            reserve: Ratio::of(0.05),
            restore_after: Span::from_secs(20),
        }),
        BuiltInSpec::Reconnect(ReconnectSpec {
            breaker: "main".to_string(),
            nominal: Hertz::of(50.0),
            voltage_min: PerUnit::of(0.9),
            voltage_max: PerUnit::of(1.1),
            frequency_min: None,
            frequency_max: None,
            hold: Span::from_secs(30),
            time_out: Span::from_secs(20),
            retry_after: Span::from_secs(10),
        }),
    ]
}

/// Those that look at the clock; the site's begins at midnight.
fn clock_functions() -> Vec<BuiltInSpec> {
    let battery = || "batteries".to_string();
    let clock = |text: &str| text.parse::<Clock>().expect("a time of day");
    let price = |text: &str| text.parse().expect("a price");
    vec![
        BuiltInSpec::Schedule(ScheduleSpec {
            battery: battery(),
            windows: vec![ScheduledSpec {
                days: Weekdays::ALL,
                from: clock("00:01"),
                to: clock("06:00"),
                both: false,
                wants: Wanted::Charge { to: Ratio::of(0.9), power: Some(kilowatts(20.0)) },
            }],
            fallback: None,
        }),
        BuiltInSpec::Tariff(TariffSpec {
            battery: battery(),
            meter: Some("pcc".to_string()),
            price: price("0.30 EUR/kWh"),
            windows: vec![PricedSpec {
                days: Weekdays::ALL,
                from: clock("00:02"),
                to: clock("06:00"),
                both: false,
                price: price("0.10 EUR/kWh"),
            }],
            charge_below: price("0.15 EUR/kWh"),
            discharge_above: price("0.40 EUR/kWh"),
            charge_power: Some(kilowatts(50.0)),
            discharge_power: None,
            charge_to: Ratio::of(0.95),
            discharge_to: Ratio::of(0.2),
            fallback: None,
        }),
    ]
}

/// Those that hold a voltage.
fn voltage_functions() -> Vec<BuiltInSpec> {
    let (meter, battery) = ("pcc".to_string(), Some("batteries".to_string()));
    vec![
        BuiltInSpec::VoltVar(VoltVarSpec {
            meter: meter.clone(),
            battery: battery.clone(),
            pv: None,
            curve: None,
            response: None,
        }),
        BuiltInSpec::VoltWatt(VoltWattSpec {
            meter,
            battery,
            pv: Some("pv".to_string()),
            curve: None,
            response: None,
        }),
    ]
}

/// Those that answer a frequency, and what else measures more than power.
fn frequency_functions() -> Vec<BuiltInSpec> {
    let (meter, battery, pv) = (|| "pcc".to_string(), || "batteries".to_string(), || "pv".to_string());
    vec![
        BuiltInSpec::FrequencyDroop(FrequencyDroopSpec {
            meter: meter(),
            battery: Some(battery()),
            pv: Some(pv()),
            nominal: Hertz::of(50.0),
            dead_band: Hertz::of(0.036),
            droop: Ratio::of(0.05),
            response: Span::from_secs(5),
        }),
        BuiltInSpec::Lfsm(LfsmSpec {
            meter: meter(),
            battery: Some(battery()),
            pv: Some(pv()),
            nominal: Hertz::of(50.0),
            threshold: Hertz::of(0.2),
            droop: Ratio::of(0.05),
            release: Span::from_mins(10),
        }),
        BuiltInSpec::Fcr(FcrSpec {
            meter: meter(),
            battery: battery(),
            reserve: kilowatts(50.0),
            nominal: Hertz::of(50.0),
            dead_band: Hertz::of(0.01),
            full_at: Hertz::of(0.2),
            from_edge: false,
            full_in: Span::from_secs(30),
            capacity: Some(WattHours::of(1e6)),
            reserve_for: Span::from_mins(15),
        }),
        BuiltInSpec::ReturnToService(ReturnToServiceSpec {
            meter: meter(),
            battery: Some(battery()),
            pv: Some(pv()),
            nominal: Hertz::of(50.0),
            voltage_min: None,
            voltage_max: None,
            frequency_min: None,
            frequency_max: None,
            trip_voltage_min: None,
            trip_voltage_max: None,
            trip_frequency_min: None,
            trip_frequency_max: None,
            trip_after: Span::from_secs(2),
            hold: Span::from_secs(30),
            ramp: Span::from_secs(30),
        }),
        BuiltInSpec::Pid(PidSpec {
            meter: meter(),
            battery: Some(battery()),
            pv: None,
            holds: Holds::Power(kilowatts(100.0)),
            gain: 0.3,
            integral_time: Some(Span::from_secs(5)),
            derivative_time: Some(Span::from_secs(1)),
            filter: None,
        }),
    ]
}
