//! What a delivery through the fleet costs, with 16, 256 and 4,096 small machines that wake themselves.
//!
//! The machines do next to nothing, so that the time is that of the loop: finding the earliest wake, handing it over, taking
//! the effects and the next deadline. One criterion element is one delivery.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};

use r_ems::engine::fleet::Fleet;
use r_ems::engine::ids::{ControllerIndex, DeviceIndex};
use r_ems::engine::machine::{Boot, Delivery, Driver, Effect, Effects, Input, Machine, Outcome, Step};
use r_ems::engine::wakes::Wakes;
use r_ems::engine::{LocalTime, Span, Time};

/// Deliveries in one iteration.
const DELIVERIES: u64 = 100_000;

/// Wakes itself at a period of its own and asks for one poll each time.
#[derive(Clone, Serialize, Deserialize)]
struct Ticker {
    period: Span,
    due: LocalTime,
    wakes: u64,
}

impl Machine for Ticker {
    type Spec = Span;

    fn new(period: &Span) -> Self {
        Self { period: *period, due: LocalTime::ZERO, wakes: 0 }
    }

    fn boot(&mut self, now: LocalTime, _boot: Boot, _out: &mut Effects) {
        self.due = now + self.period;
    }

    fn handle(&mut self, _now: LocalTime, _input: &Input<'_>, out: &mut Effects) {
        self.due += self.period;
        self.wakes += 1;
        out.push(Effect::Poll { device: DeviceIndex(0), due: self.due });
    }

    fn deadline(&self) -> Option<LocalTime> {
        Some(self.due)
    }
}

/// Delivers wakes, and nothing else, until it has delivered enough.
struct WakesOnly {
    wakes: Wakes,
    left: u64,
    polls: u64,
}

impl Driver for WakesOnly {
    fn next(&mut self) -> Option<Delivery<'_>> {
        self.left = self.left.checked_sub(1)?;
        let (at, index) = self.wakes.next()?;
        let now = LocalTime::from_nanos(at.as_nanos());
        Some(Delivery { at, now, to: ControllerIndex(index as u16), step: Step::Input(Input::Wake) })
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.polls += outcome.effects.as_slice().len() as u64;
        let deadline = outcome.deadline.map(|due| Time::from_nanos(due.as_nanos()));
        self.wakes.set(u32::from(outcome.from.0), deadline);
    }
}

fn deliveries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fleet");
    group.throughput(Throughput::Elements(DELIVERIES));
    for machines in [16_u16, 256, 4_096] {
        // Periods that share no small factor, so that the order of wakes keeps changing.
        let tickers =
            (0..machines).map(|index| Ticker::new(&Span::from_micros(10_000 + 7 * u64::from(index))));
        let mut fleet = Fleet::new(tickers.collect());
        let mut driver = WakesOnly { wakes: Wakes::new(u32::from(machines)), left: 0, polls: 0 };
        for index in 0..u32::from(machines) {
            driver.wakes.set(index, Some(Time::ZERO));
        }
        group.bench_function(BenchmarkId::from_parameter(machines), |bencher| {
            bencher.iter(|| {
                driver.left = DELIVERIES;
                fleet.run(&mut driver).expect("no assertion fails");
                driver.polls
            });
        });
    }
    group.finish();
}

criterion_group!(benches, deliveries);
criterion_main!(benches);
