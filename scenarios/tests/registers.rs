//! What a simulated device makes of the requests that write its registers, whoever sends them.

mod wire_site;

use std::collections::BTreeMap;

use proptest::prelude::*;
use r_ems_engine::Span;
use r_ems_engine::controller::Controller;
use r_ems_engine::fieldbus::frame::HEADER_BYTES;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::machine::{Delivery, Driver, Effect, Machine, Outcome, SetPointWrite};
use r_ems_scenarios::{Disk, Overrides, load};
use r_ems_sim::authority::{Rule, Violation};
use r_ems_sim::driver::SimDriver;
use wire_site::{COILS, EXCHANGED, GROUP, PV, Served, exchange, mask, one, read, run, several, watts};

/// The three requests of [`GROUP`], in their order.
fn value(power_w: i32) -> Vec<u8> {
    several(200, &watts(power_w))
}
fn time_out() -> Vec<u8> {
    one(202, 60)
}
fn enable() -> Vec<u8> {
    mask(203, 0xfff7, 0x0008)
}
/// The heartbeat beside the bit that enables.
fn beat(number: u16) -> Vec<u8> {
    mask(203, 0xfffe, number)
}

/// A device with [`GROUP`] that has acknowledged these requests, all at the start.
fn serve(requests: &[Vec<u8>]) -> Served {
    let mut served = Served::new(GROUP, "");
    for request in requests {
        served.acknowledges(request);
    }
    served
}

#[test]
fn a_device_reads_back_what_was_written_and_nothing_that_was_not() {
    let mut served = serve(&[]);
    assert_eq!(served.words(200, 4), [0, 0, 0, 0xfff6], "nothing but the bits that are its own");
    assert_eq!(served.ask(&read(4, 200, 1)), [0x84, 2], "they are holding registers");
    served.acknowledges(&time_out());
    assert_eq!(served.words(200, 4), [0, 0, 60, 0xfff6]);
    served.acknowledges(&one(202, 7));
    assert_eq!(served.words(202, 1), [7], "whatever that is");
    served.acknowledges(&enable());
    served.acknowledges(&value(50_000));
    assert_eq!(served.words(200, 3), [0, 50_000, 7]);
    assert_eq!(served.set_point_w(), 0.0, "its time-out is none");
}

#[test]
fn a_set_point_is_in_force_when_all_that_is_written_with_it_has_arrived_in_its_order() {
    let all = [value(50_000), time_out(), enable()];
    for (order, expected) in [
        (&[0, 1, 2][..], 50_000.0),
        (&[0, 1], 0.0),
        (&[0, 2], 0.0),
        (&[1, 2], 0.0),
        (&[0, 2, 1], 0.0),
        (&[1, 0, 2], 0.0),
        (&[2, 1, 0], 0.0),
        (&[1, 2, 0], 0.0),
        // What is repeated, or begun anew, is no mistake.
        (&[0, 0, 1, 1, 2, 2], 50_000.0),
        (&[0, 1, 0, 1, 2], 50_000.0),
        (&[0, 1, 2, 0, 1, 2], 50_000.0),
    ] {
        let requests: Vec<Vec<u8>> = order.iter().map(|place| all[*place].clone()).collect();
        let served = serve(&requests);
        assert_eq!(served.set_point_w(), expected, "{order:?}");
        assert_eq!(served.is_in_force(), expected > 0.0, "{order:?}");
    }
    // The next one waits for its turn as well, and the one before it stays in force.
    let mut served = serve(&all);
    served.acknowledges(&value(20_000));
    assert_eq!((served.set_point_w(), served.is_in_force()), (50_000.0, true));
    assert_eq!(served.words(200, 2), watts(20_000), "its register holds it already");
    served.acknowledges(&time_out());
    served.acknowledges(&enable());
    assert_eq!((served.set_point_w(), served.is_in_force()), (20_000.0, true));
}

#[test]
fn what_takes_away_something_that_a_set_point_needs_ends_it() {
    let all = [value(50_000), time_out(), enable()];
    for (ends, restores) in
        [(one(202, 61), true), (mask(203, 0xfff7, 0), true), (mask(203, 0, 0x0008), false)]
    {
        let mut served = serve(&all);
        served.acknowledges(&ends);
        assert_eq!((served.set_point_w(), served.is_in_force()), (0.0, false), "{ends:?}");
        all.iter().for_each(|request| served.acknowledges(request));
        assert_eq!(served.is_in_force(), restores, "{ends:?}: its own bits do not come back");
    }
}

#[test]
fn function_22_writes_the_bits_that_and_has_not_and_keeps_the_others() {
    let mut served = serve(&[]);
    for (and, or, expected) in
        [(0xfff7, 0x0008, 0xfffe), (0x00f2, 0x0025, 0x00f7), (0xffff, 0x0000, 0x00f7), (0, 0x1234, 0x1234)]
    {
        served.acknowledges(&mask(203, and, or));
        // Bit 3 says whether the set-point is in force.
        assert_eq!(served.words(203, 1)[0] & 0xfff7, expected & 0xfff7, "{and:04x} {or:04x}");
    }
}

#[test]
fn a_heartbeat_beside_the_bit_that_enables_is_heard_and_changes_nothing_else() {
    let mut served = serve(&[value(50_000), time_out(), enable()]);
    for second in [1, 2, 3, 4, 5] {
        served.pass(second);
        served.acknowledges(&beat((second % 2) as u16));
        assert!(served.is_in_force(), "{second} s");
    }
    served.pass(14);
    served.acknowledges(&beat(1));
    served.pass(16);
    assert!(!served.is_in_force(), "the same number again is none");
    assert_eq!(served.words(200, 2), watts(50_000), "its register keeps what it does not follow");
    assert_eq!(served.words(203, 1), [0xfff7]);
    served.acknowledges(&beat(0));
    assert!(!served.is_in_force(), "it waits for a set-point");
    [value(50_000), time_out(), enable()].iter().for_each(|request| served.acknowledges(request));
    assert!(served.is_in_force());
    served.pass(25);
    assert!(served.is_in_force());
    served.pass(27);
    assert!(!served.is_in_force());
}

#[test]
fn a_photovoltaic_plant_hears_heartbeats_as_well() {
    let mut served = Served::new(GROUP, "");
    served.device = PV;
    served.acknowledges(&several(300, &watts(5_000)));
    served.pass(8);
    served.acknowledges(&one(310, 1));
    served.pass(17);
    assert_eq!(served.set_point_w(), 5e3);
    served.pass(19);
    assert_eq!(served.set_point_w(), 60e3, "it makes what it can");
}

#[test]
fn a_restart_forgets_all_that_was_written() {
    let mut served = Served::new(GROUP, "faults: [At(\"+5 s\", RestartDevice(\"g/bess\"))],");
    [value(50_000), time_out(), enable(), value(20_000), time_out()]
        .iter()
        .for_each(|request| served.acknowledges(request));
    served.pass(6);
    assert_eq!(served.words(200, 4), [0, 0, 0, 0xfff6]);
    served.acknowledges(&enable());
    assert!(!served.is_in_force(), "the requests before it are forgotten too");
}

#[test]
fn what_a_device_refuses_or_ignores_changes_none_of_its_registers() {
    for (fault, is_acknowledged) in [("Refuses", false), ("Ignores", true)] {
        let mut served =
            Served::new(GROUP, &format!("faults: [During(\"+5 s\", \"+9 s\", {fault}(\"g/bess\"))],"));
        served.pass(6);
        for request in [value(50_000), time_out(), enable(), beat(1)] {
            assert_eq!(served.ask(&request)[0] == request[0], is_acknowledged, "{fault}");
        }
        assert_eq!(served.words(200, 4), [0, 0, 0, 0xfff6], "{fault}");
    }
    let mut served = Served::new(GROUP, "");
    for (request, exception) in [
        (one(200, 1), [0x86, 2]),
        (several(200, &[1]), [0x90, 2]),
        (several(201, &watts(1)), [0x90, 2]),
        (several(202, &[60]), [0x90, 2]),
        (mask(202, 0, 60), [0x96, 2]),
        (exchange(200, 2, 200, &watts(1)), [0x97, 2]),
    ] {
        assert_eq!(served.ask(&request), exception, "no request of its map is {request:?}");
    }
}

#[test]
fn function_23_writes_before_it_reads_and_nothing_where_it_could_not_read() {
    let mut served = Served::new(EXCHANGED, "");
    assert_eq!(served.ask(&exchange(199, 3, 200, &watts(40_000))), [0x97, 2]);
    assert_eq!(served.set_point_w(), 0.0);
    assert_eq!(served.ask(&exchange(200, 2, 200, &watts(40_000))), [23, 4, 0, 0, 0x9c, 0x40]);
    assert_eq!(served.set_point_w(), 40_000.0);
    assert_eq!(served.ask(&exchange(102, 1, 200, &watts(30_000))), [23, 2, 0x01, 0xf4], "it reads another");
    assert_eq!(served.set_point_w(), 30_000.0);
}

#[test]
fn coils_bring_a_set_point_into_force_and_say_whether_it_is() {
    let mut served = Served::new(COILS, "");
    let (on, off) = ([5, 0, 3, 0xff, 0], [5, 0, 3, 0, 0]);
    let modes = [15, 0, 8, 0, 2, 1, 0b01];
    assert_eq!(served.ask(&read(1, 3, 2)), [1, 1, 0], "the other one hears the heartbeat");
    served.acknowledges(&value(50_000));
    served.acknowledges(&on);
    assert_eq!(served.ask(&read(1, 3, 1)), [1, 1, 1]);
    assert_eq!(served.ask(&read(2, 5, 1)), [2, 1, 0], "what it holds is not in force yet");
    served.acknowledges(&modes);
    assert_eq!((served.is_in_force(), served.set_point_w()), (true, 50e3));
    assert_eq!(served.ask(&read(1, 3, 2)), [1, 1, 0b01]);
    assert_eq!(served.ask(&read(1, 8, 2)), [1, 1, 0b01]);
    assert_eq!(served.ask(&read(2, 5, 1)), [2, 1, 1]);
    served.acknowledges(&[5, 0, 4, 0xff, 0]);
    assert_eq!(served.ask(&read(1, 3, 2)), [1, 1, 0b11]);
    assert!(served.is_in_force());
    served.acknowledges(&off);
    assert!(!served.is_in_force());
    for (asked, refused) in [
        (read(2, 3, 1), [0x82, 2]),
        (read(1, 5, 1), [0x81, 2]),
        (vec![15, 0, 3, 0, 1, 1, 1], [0x8f, 2]),
        (vec![5, 0, 8, 0xff, 0], [0x85, 2]),
        (one(3, 1), [0x86, 2]),
    ] {
        assert_eq!(served.ask(&asked), refused, "{asked:?}");
    }
}

#[test]
fn a_controller_brings_its_set_point_into_force_and_notices_where_it_does_not() {
    let expect = |claims: &str| format!("expect: [{claims}],");
    for (map, more) in [
        (
            GROUP,
            expect(
                "Always(\"g/bess.p >= 79 kW\", (from: \"+10 s\")), Always(\"a:g/bess.set_point >= 79 kW\", (from: \"+10 s\")),
                NoEvent(\"write_failed\"), NoEvent(\"heartbeat_failed\")",
            ),
        ),
        (COILS, expect("Always(\"g/bess.p >= 79 kW\", (from: \"+10 s\")), NoEvent(\"write_failed\")")),
        (
            COILS,
            format!(
                "faults: [During(\"+0 s\", \"+1 min\", Ignores(\"g/bess\"))], {}",
                expect("SomeEvent(\"write_failed\", (within: \"10 s\")), Never(\"g/bess.p > 1 kW\", (to: \"+1 min\"))")
            ),
        ),
        (EXCHANGED, expect("Always(\"g/bess.p >= 79 kW\", (from: \"+10 s\")), NoEvent(\"write_failed\")")),
        // It reads back a constant that is not there.
        (
            GROUP,
            format!(
                "faults: [During(\"+0 s\", \"+1 min\", Ignores(\"g/bess\"))], {}",
                expect(
                    "SomeEvent(\"write_failed\", (within: \"10 s\")), Never(\"g/bess.p > 1 kW\", (to: \"+1 min\")),
                    Eventually(\"g/bess.p >= 79 kW\", (from: \"+1 min\", within: \"30 s\"))"
                )
            ),
        ),
        // It does not hear what it acknowledges, and says that it follows its set-point no longer.
        (
            GROUP,
            format!(
                "faults: [During(\"+1 min\", \"+75 s\", Ignores(\"g/bess\"))], {}",
                expect(
                    "Eventually(\"g/bess.p <= 1 kW\", (from: \"+1 min\", within: \"15 s\")),
                    Eventually(\"g/bess.p >= 79 kW\", (from: \"+75 s\", within: \"20 s\"))"
                )
            ),
        ),
    ] {
        let result = run(map, &more);
        assert!(result.verdicts.len() > 1 && result.verdicts.iter().all(|verdict| verdict.held), "{:#?}", result.verdicts);
        assert!(result.authority.violations.is_empty(), "{:?}", result.authority.violations);
        assert!(result.grids.iter().all(|grid| grid.reversion.is_ok()), "{:?}", result.grids[0].reversion);
    }
}

/// Sends all frames of a function once more as if they were valid for a minute longer than the lease.
struct Overstays {
    inner: SimDriver,
    function: u8,
}

impl Driver for Overstays {
    fn next(&mut self) -> Option<Delivery<'_>> {
        self.inner.next()
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        let mut effects = outcome.effects.clone();
        for effect in outcome.effects.as_slice() {
            if let Effect::Frame { connection, first, length, chain, write: Some(write) } = *effect
                && outcome.effects.frames()[first as usize + HEADER_BYTES] == self.function
            {
                let write =
                    Some(SetPointWrite { valid_until: write.valid_until + Span::from_mins(1), ..write });
                effects.push(Effect::Frame { connection, first, length, chain, write });
            }
        }
        let Outcome { at, now, from, deadline, state, .. } = *outcome;
        self.inner.perform(&Outcome { at, now, from, deadline, effects: &effects, state });
    }
}

#[test]
fn a_request_of_constants_alone_that_may_leave_after_the_lease_is_found_and_a_heartbeat_too() {
    let path = format!("{}/heartbeat.ron", env!("CARGO_MANIFEST_DIR"));
    let settings = ["duration=\"20 s\"", "faults=[]", "expect=[]"].map(str::to_owned).to_vec();
    let changes = Overrides { settings, ..Overrides::default() };
    // None of its requests is made by function 23.
    for (function, is_found) in [(23, false), (22, true), (6, true)] {
        let loaded = load::<BuiltIn>(&Disk, &path, &changes).unwrap_or_else(|report| panic!("{report}"));
        let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
        let inner = SimDriver::new(loaded.world).expect("the checker has seen every link");
        let mut driver = Overstays { inner, function };
        fleet.run(&mut driver).expect("no controller fails an assertion");
        let found = driver.inner.finish().authority.violations;
        let is_it = |violation: &Violation| matches!(violation.rule, Rule::WritesExpire { .. });
        assert_eq!(found.iter().any(is_it), is_found, "function {function}: {found:?}");
        assert!(found.iter().all(is_it), "{found:?}");
    }
}

/// What a request does to registers, as the standard says.
fn applied(registers: &mut BTreeMap<u16, u16>, request: &Asked) {
    match request {
        Asked::Mask(address, and, or) => {
            if let Some(word) = registers.get_mut(address) {
                *word = (*word & and) | (or & !and);
            }
        }
        Asked::One(address, word) => {
            registers.insert(*address, *word);
        }
        Asked::Several(address, words) => {
            registers.extend((*address..).zip(words.iter().copied()));
        }
        Asked::Bytes(_) => {}
    }
}

/// A request at random.
#[derive(Clone, Debug)]
enum Asked {
    Mask(u16, u16, u16),
    One(u16, u16),
    Several(u16, Vec<u16>),
    Bytes(Vec<u8>),
}

impl Asked {
    fn pdu(&self) -> Vec<u8> {
        match self {
            Self::Mask(address, and, or) => mask(*address, *and, *or),
            Self::One(address, word) => one(*address, *word),
            Self::Several(address, words) => several(*address, words),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let address = || 198..206_u16;
    prop_oneof![
        4 => (address(), any::<u16>(), any::<u16>()).prop_map(|(at, and, or)| Asked::Mask(at, and, or)),
        2 => Just(Asked::Mask(203, 0xfff7, 0x0008)),
        2 => Just(Asked::One(202, 60)),
        4 => (address(), any::<u16>()).prop_map(|(at, word)| Asked::One(at, word)),
        4 => (address(), prop::collection::vec(any::<u16>(), 1..4)).prop_map(|(at, words)| Asked::Several(at, words)),
        4 => (-30_000..30_000_i32).prop_map(|power_w| Asked::Several(200, watts(power_w))),
        2 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Asked::Bytes),
        2 => (prop::sample::select(vec![3, 6, 16, 22, 23]), prop::collection::vec(any::<u8>(), 0..16))
            .prop_map(|(function, rest)| Asked::Bytes([vec![function], rest].concat())),
    ]
}

/// Whether a model of a register file, and of what a set-point needs, says the same.
fn agrees(driver: &mut Served, registers: &BTreeMap<u16, u16>) -> Result<(), TestCaseError> {
    let shown = driver.words(200, 4);
    for (word, address) in shown.iter().zip(200_u16..) {
        // Bit 3 of 203 says whether the set-point is in force; where it is, and none waits, 200 shows it.
        let named = if address == 203 { 0xfff7 } else { 0xffff };
        prop_assert_eq!(word & named, registers[&address] & named, "register {}", address);
    }
    if driver.is_in_force() {
        prop_assert_eq!(registers[&202], 60);
        prop_assert_eq!(registers[&203] & 0xfffe, 0xfffe);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn registers_hold_what_was_acknowledged_last(requests in prop::collection::vec(asked(), 1..60)) {
        let mut served = Served::new(GROUP, "");
        let mut registers: BTreeMap<u16, u16> = [(200, 0), (201, 0), (202, 0), (203, 0xfff6)].into();
        for request in &requests {
            let pdu = request.pdu();
            let answer = served.ask(&pdu);
            prop_assert!(!answer.is_empty());
            let bytes_may_write = matches!(request, Asked::Bytes(_)) && answer[0] < 0x80 && answer[0] != 3;
            prop_assume!(!bytes_may_write);
            if answer[0] < 0x80 {
                applied(&mut registers, request);
                prop_assert_eq!(registers.len(), 4, "only what the map names is taken: {:?}", request);
            }
            agrees(&mut served, &registers)?;
        }
    }

    #[test]
    fn no_request_makes_a_device_panic(
        requests in prop::collection::vec((0..3_usize, any::<u8>(), prop::collection::vec(any::<u8>(), 0..24)), 1..40),
    ) {
        let mut served = Served::new(GROUP, "");
        for (place, function, rest) in &requests {
            let function = [*function, 16, 23][*place];
            let answer = served.ask(&[vec![function], rest.clone()].concat());
            prop_assert!(answer.first().is_some_and(|first| first & 0x7f == function & 0x7f));
        }
    }
}
