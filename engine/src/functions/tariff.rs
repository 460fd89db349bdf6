//! Tariff: the battery is charged while energy is cheap, and gives it back while energy is dear.
//!
//! Two thresholds and the price that holds now decide, nothing else: below `charge_below` the battery is charged, and never
//! discharged; above `discharge_above` it carries what the site draws; in between it is left to the functions below. So anybody
//! can say at any moment why it does what it does.
//!
//! **This is no optimizer.** One would look ahead: how long the cheap hours last, what the sun and the load will be, what a
//! cycle costs in losses and wear, how full the battery should be when the dear hours begin, and then spread the charging
//! over the cheapest of them. With thresholds that are further apart than the losses cost, this law never loses money by a cycle;
//! it leaves money on the table on days that are unlike those that the thresholds were chosen for.
//!
//! **It knows no limit of the connection.** What stands above it in the stack does: [`super::PeakShaving`] lets it charge no
//! further than to its limit, and discharge only above its reserve, [`super::ConnectionLimit`] likewise.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::schedule::{CHARGE_HYSTERESIS, Reading, charge, check_windows, is_full};
use super::{Function, Rank, View, When, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::text::{MAX_QUANTITY_CHARS, TextError};
use crate::units::{Ratio, Watts};
use crate::wall::{Clock, LocalWindow, Weekdays};

/// Largest magnitude of a price of a kWh.
pub const PRICE_MAX: f64 = 1e9;

/// What a site file says about a tariff.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffSpec {
    /// The battery, or `batteries`.
    pub battery: String,
    /// The meter of what the site draws: with it the battery gives no more than that, without it `discharge_power`.
    #[serde(default)]
    pub meter: Option<String>,
    /// What energy costs outside all windows.
    pub price: Price,
    /// When it costs something else; of two windows that overlap the later one counts.
    #[serde(default)]
    pub windows: Vec<PricedSpec>,
    /// Below this price the battery is charged.
    pub charge_below: Price,
    /// Above this price it is discharged.
    pub discharge_above: Price,
    /// With how much it is charged, a magnitude; without it with all that it takes.
    #[serde(default)]
    pub charge_power: Option<Watts>,
    /// With how much it is discharged at most; without it with all that it gives.
    #[serde(default)]
    pub discharge_power: Option<Watts>,
    /// How full it is charged.
    #[serde(default = "full")]
    pub charge_to: Ratio,
    /// How far it is discharged.
    #[serde(default)]
    pub discharge_to: Ratio,
    /// The price that counts while the wall clock is not synchronized; without it nothing is wished.
    #[serde(default)]
    pub fallback: Option<Price>,
}

fn full() -> Ratio {
    Ratio::ONE
}

/// A price in one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricedSpec {
    /// The days on which it begins.
    #[serde(default)]
    pub days: Weekdays,
    /// When it begins.
    pub from: Clock,
    /// When it ends: on the next day, if that is not later.
    pub to: Clock,
    /// Whether it holds twice where clocks show a time twice.
    #[serde(default)]
    pub both: bool,
    /// What energy costs meanwhile.
    pub price: Price,
}

/// The price of a kWh: "0.28 EUR/kWh".
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    amount: f64,
    currency: String,
}

/// Charges a battery below one price and discharges it above another.
///
/// # Units     prices: of a kWh, all in one currency; powers: W, magnitudes; `charge_to`, `discharge_to`: state of charge, 0 to 1
/// # Shape     at most one limit for one group
/// # Errors    `Problem::OutOfRange` if a window is empty, thresholds or bounds cross, a power is not above 0, currencies differ
/// # Source    OpenEMS, "Time-Of-Use Tariff" controller, with fixed thresholds in place of its planning
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tariff {
    battery: [GroupIndex; 1],
    meter: Option<DeviceIndex>,
    price: f64,
    windows: Vec<(LocalWindow, f64)>,
    charge_below: f64,
    discharge_above: f64,
    charge_power: Option<Watts>,
    discharge_power: Option<Watts>,
    charge_to: Ratio,
    discharge_to: Ratio,
    fallback: Option<f64>,
    reading: Reading,
    is_full: bool,
    is_empty: bool,
}

impl PricedSpec {
    const fn window(&self) -> LocalWindow {
        LocalWindow { days: self.days, from: self.from, to: self.to, both: self.both }
    }
}

impl Function for Tariff {
    type Spec = TariffSpec;

    fn build(spec: &TariffSpec, wiring: &mut Wiring<'_>) -> Self {
        check_windows(spec.windows.iter().map(PricedSpec::window), wiring);
        spec.check(wiring);
        Self {
            battery: [wiring.battery("battery", &spec.battery)],
            meter: spec.meter.as_ref().map(|name| wiring.meter("meter", name)),
            price: spec.price.amount,
            windows: spec.windows.iter().map(|window| (window.window(), window.price.amount)).collect(),
            charge_below: spec.charge_below.amount,
            discharge_above: spec.discharge_above.amount,
            charge_power: spec.charge_power,
            discharge_power: spec.discharge_power,
            charge_to: spec.charge_to,
            discharge_to: spec.discharge_to,
            fallback: spec.fallback.as_ref().map(|price| price.amount),
            reading: Reading::default(),
            is_full: false,
            is_empty: false,
        }
    }

    fn rank(&self) -> Rank {
        Rank::Schedule
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.battery
    }

    fn when(&self) -> When {
        When::OnGrid
    }

    fn meter(&self) -> Option<DeviceIndex> {
        self.meter
    }

    fn forget(&mut self) {
        self.reading.forget();
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        carry.timers(|carry| {
            carry.flag(&mut self.is_full);
            carry.flag(&mut self.is_empty);
        });
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let [battery] = self.battery;
        let soc = view.state_of_charge(battery);
        self.is_full = is_full(soc, self.charge_to, self.is_full);
        self.is_empty = match soc {
            Some(soc) if self.is_empty => soc.ratio() < self.discharge_to.ratio() + CHARGE_HYSTERESIS,
            Some(soc) => soc <= self.discharge_to,
            None => self.is_empty,
        };
        let Some(price) = self.price(view) else { return };
        if price < self.charge_below {
            charge(battery, self.is_full, self.charge_power, view, wishes);
        } else if price > self.discharge_above && !self.is_empty {
            self.discharge(battery, view, wishes);
        }
    }
}

impl Tariff {
    /// What energy costs now.
    fn price(&mut self, view: &View<'_>) -> Option<f64> {
        match self.reading.find(view, self.windows.iter().map(|window| &window.0)) {
            Some(found) => {
                Some(found.and_then(|place| self.windows.get(place)).map_or(self.price, |window| window.1))
            }
            None => self.fallback,
        }
    }

    fn discharge(&self, battery: GroupIndex, view: &View<'_>, wishes: &mut Wishes) {
        let rating = view.rating(battery);
        let most = self.discharge_power.unwrap_or(rating).at_most(rating);
        let power = match self.meter {
            Some(meter) => view.demand(meter, battery).map_or(Watts::ZERO, |demand| demand.at_most(most)),
            None => most,
        };
        // What the sun leaves over is for the functions below.
        if power > Watts::ZERO {
            wishes.limit(battery, power, rating);
        }
    }
}

impl TariffSpec {
    fn check(&self, wiring: &mut Wiring<'_>) {
        let (below, above) = (&self.charge_below, &self.discharge_above);
        wiring.require(
            "charge_below",
            below.amount <= above.amount,
            below,
            &format!("at most discharge_above of {above}"),
        );
        wiring.state_of_charge("charge_to", self.charge_to);
        wiring.state_of_charge("discharge_to", self.discharge_to);
        let allowed = format!("below charge_to of {}", self.charge_to);
        wiring.require("discharge_to", self.discharge_to < self.charge_to, self.discharge_to, &allowed);
        for (field, power) in [("charge_power", self.charge_power), ("discharge_power", self.discharge_power)]
        {
            if let Some(power) = power {
                wiring.require(field, power > Watts::ZERO, power, "above 0 W");
            }
        }
        let allowed = format!("in {}, as price is", self.price.currency);
        let windows = self.windows.iter().map(|window| ("windows", &window.price));
        let single = [("charge_below", below), ("discharge_above", above)];
        let fallback = self.fallback.iter().map(|price| ("fallback", price));
        for (field, price) in windows.chain(single).chain(fallback) {
            wiring.require(field, price.currency == self.price.currency, price, &allowed);
        }
    }
}

impl FromStr for Price {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let refused = || TextError {
            found: text.chars().take(MAX_QUANTITY_CHARS).collect(),
            allowed: format!("a price from -{PRICE_MAX} to {PRICE_MAX} of a kWh, such as \"0.28 EUR/kWh\""),
        };
        if text.len() > MAX_QUANTITY_CHARS {
            return Err(refused());
        }
        let (number, unit) = text.trim().split_once(' ').ok_or_else(refused)?;
        let currency = unit.trim().strip_suffix("/kWh").filter(|currency| !currency.is_empty());
        let amount = number.parse::<f64>().ok().filter(|amount| amount.abs() <= PRICE_MAX);
        let price = amount.zip(currency);
        // A negative zero is no price of its own.
        price
            .map(|(amount, currency)| Self { amount: amount + 0.0, currency: currency.to_string() })
            .ok_or_else(refused)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/kWh", self.amount, self.currency)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
        }
        // A bare number is what people try first: read to its end, it is refused where it stands.
        deserializer.deserialize_any(PriceVisitor)
    }
}

/// Reads a price, and refuses a number with what it lacks.
struct PriceVisitor;

impl Visitor<'_> for PriceVisitor {
    type Value = Price;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price of a kWh in quotes, such as \"0.28 EUR/kWh\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Price, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Price, E> {
        Err(E::custom(format!("expected a price of a kWh in quotes, such as \"0.28 EUR/kWh\", got {number}")))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Price, E> {
        Err(E::custom(format!("expected a price of a kWh in quotes, such as \"0.28 EUR/kWh\", got {number}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::peak_shaving::Window;
    use crate::functions::testing::{self, Rig, kilowatts, shaving};
    use crate::time::LocalTime;
    use crate::wall::WallTime;

    fn price(text: &str) -> Price {
        text.parse().expect("a price")
    }

    /// Cheap from one to five, dear from five to eight in the evening.
    fn spec() -> TariffSpec {
        let window = |from: &str, to: &str, cost: &str| PricedSpec {
            days: Weekdays::ALL,
            from: from.parse().expect("a time of day"),
            to: to.parse().expect("a time of day"),
            both: false,
            price: price(cost),
        };
        TariffSpec {
            battery: "bess".into(),
            meter: Some("pcc".into()),
            price: price("0.24 EUR/kWh"),
            windows: alloc::vec![
                window("01:00", "05:00", "0.12 EUR/kWh"),
                window("17:00", "20:00", "0.38 EUR/kWh")
            ],
            charge_below: price("0.15 EUR/kWh"),
            discharge_above: price("0.3 EUR/kWh"),
            charge_power: Some(kilowatts(100.0)),
            discharge_power: Some(kilowatts(150.0)),
            charge_to: Ratio::of(0.9),
            discharge_to: Ratio::of(0.2),
            fallback: None,
        }
    }

    fn rig(stack: &[BuiltInSpec], at: &str) -> Rig {
        let wall: WallTime = at.parse().expect("an instant");
        Rig::booted_at(stack, LocalTime::ZERO, Some(wall))
    }

    fn reading(pcc: f64, bess: f64, soc: f64) -> testing::Reading {
        testing::Reading { pcc, bess, soc, ..testing::Reading::default() }
    }

    type Change = fn(&mut TariffSpec);

    const CHEAP: &str = "2016-03-09 02:00 UTC";
    const DEAR: &str = "2016-03-09 18:00 UTC";
    const USUAL: &str = "2016-03-09 12:00 UTC";

    #[test]
    fn it_charges_while_energy_is_cheap_and_gives_what_the_site_draws_while_it_is_dear() {
        let decided =
            |at, pcc, soc| rig(&[BuiltInSpec::Tariff(spec())], at).settled(reading(pcc, 0.0, soc)).bess;
        assert_eq!(decided(CHEAP, 50.0, 0.5), -100.0);
        assert_eq!(decided(DEAR, 50.0, 0.5), 50.0);
        assert_eq!(decided(DEAR, 170.0, 0.5), 150.0);
        assert_eq!(decided(DEAR, -40.0, 0.5), 0.0);
        assert_eq!(decided(USUAL, 50.0, 0.5), 0.0);
    }

    #[test]
    fn a_threshold_itself_is_neither_cheap_nor_dear() {
        let mut on_it = spec();
        (on_it.windows[0].price, on_it.windows[1].price) = (price("0.15 EUR/kWh"), price("0.3 EUR/kWh"));
        for at in [CHEAP, DEAR] {
            let mut rig = rig(&[BuiltInSpec::Tariff(on_it.clone())], at);
            assert_eq!(rig.settled(reading(50.0, 0.0, 0.5)).bess, 0.0, "{at}");
        }
    }

    #[test]
    fn bounds_of_the_charge_are_left_only_some_way_inside() {
        let mut cheap = rig(&[BuiltInSpec::Tariff(spec())], CHEAP);
        let mut dear = rig(&[BuiltInSpec::Tariff(spec())], DEAR);
        for (soc, charged) in [(0.899, -100.0), (0.9, 0.0), (0.881, 0.0), (0.88, -100.0)] {
            assert_eq!(cheap.settled(reading(50.0, 0.0, soc)).bess, charged, "{soc}");
        }
        for (soc, given) in [(0.201, 50.0), (0.2, 0.0), (0.219, 0.0), (0.221, 50.0)] {
            assert_eq!(dear.settled(reading(50.0, 0.0, soc)).bess, given, "{soc}");
        }
    }

    #[test]
    fn peak_shaving_above_it_keeps_its_limit_and_its_reserve() {
        let stack = [BuiltInSpec::PeakShaving(shaving(Window::Instant)), BuiltInSpec::Tariff(spec())];
        // 180 kW of load leave 40 kW below the limit of 220 kW, although 100 kW would be charged.
        assert_eq!(rig(&stack, CHEAP).settled(reading(180.0, 0.0, 0.85)).bess, -40.0);
        assert_eq!(rig(&stack, CHEAP).settled(reading(220.0, -40.0, 0.85)).bess, -40.0);
        assert_eq!(rig(&stack, DEAR).settled(reading(180.0, 0.0, 0.85)).bess, 150.0);
        assert_eq!(rig(&stack, DEAR).settled(reading(180.0, 0.0, 0.80)).bess, 0.0);
    }

    #[test]
    fn without_a_synchronized_clock_its_fallback_is_the_price() {
        let decided = |fallback: Option<Price>| {
            let stack = [BuiltInSpec::Tariff(TariffSpec { fallback, ..spec() })];
            Rig::booted_at(&stack, LocalTime::ZERO, None).settled(reading(50.0, 0.0, 0.5)).bess
        };
        assert_eq!(decided(None), 0.0);
        assert_eq!(decided(Some(price("0.1 EUR/kWh"))), -100.0);
        assert_eq!(decided(Some(price("0.4 EUR/kWh"))), 50.0);
    }

    #[test]
    fn prices_read_as_they_are_written_and_mistakes_are_refused() {
        for text in ["0.28 EUR/kWh", "-0.05 CHF/kWh", "28 ct/kWh"] {
            assert_eq!(price(text).to_string(), text);
        }
        for text in ["", "0.28", "0.28 EUR", "0.28 /kWh", "NaN EUR/kWh", "1e10 EUR/kWh", "x EUR/kWh"] {
            assert!(text.parse::<Price>().is_err(), "{text}");
        }

        let errors = |change: Change| {
            let mut spec = spec();
            change(&mut spec);
            Rig::errors(&[BuiltInSpec::Tariff(spec)])
        };
        assert_eq!(errors(|_spec| {}), [""; 0]);
        assert_eq!(errors(|spec| spec.charge_below = price("0.3 EUR/kWh")), [""; 0]);
        let cases: [(Change, &str); 5] = [
            (
                |spec| spec.charge_below = price("0.31 EUR/kWh"),
                "charge_below: must be at most discharge_above",
            ),
            (|spec| spec.discharge_to = Ratio::of(0.9), "discharge_to: must be below charge_to"),
            (|spec| spec.charge_power = Some(Watts::ZERO), "charge_power: must be above 0 W"),
            (|spec| spec.windows[0].price = price("12 ct/kWh"), "windows: must be in EUR, as price is"),
            (|spec| spec.windows[0].to = spec.windows[0].from, "windows: must be windows that end"),
        ];
        for (change, expected) in cases {
            let found = errors(change);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
        }
    }
}
