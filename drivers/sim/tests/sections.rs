//! Buses with sections against closed forms: what flows through ties, how sections part, go on, die and meet.

mod island_bus;

use island_bus::*;
use r_ems_engine::units::Ratio;
use r_ems_engine::{Span, Time, math};
use r_ems_sim::account::Account;
use r_ems_sim::ledger::Ledger;
use r_ems_sim::plant::*;

const STARBOARD: SectionIndex = SectionIndex(1);

/// The tie is always the first component.
const TIE: u16 = 0;

/// What a tie reads: whether it is closed, what holds its section, and its power.
fn tie_reads(bus: &Bus) -> (f64, f64, f64) {
    let at = |quantity| read(bus, TIE, quantity);
    (at(Quantity::Closed), at(Quantity::State), at(Quantity::Power))
}

/// A battery that forms behind another filter, which makes its mass another one.
fn former_behind(kilowatts: f64, filter: Span) -> Component {
    let forms = Some(Forming { filter, ..Forming::default() });
    battery(BatterySpec { forms, ..former(kilowatts) })
}

#[test]
fn a_tie_carries_what_is_behind_it_and_parts_two_balances_when_it_opens() {
    let main = vec![(0, load(30.0)), (0, battery(BatterySpec { forms: None, ..former(50.0) }))];
    let starboard = vec![(1, load(40.0)), (1, battery(former(100.0)))];
    let mut bus = sectioned([vec![(1, tie(0))], main, starboard].concat());
    let (mut ledger, mut account) = (Ledger::new(&bus), Account::new(&bus, s(900), None));
    assert_eq!(tie_reads(&bus), (1.0, 2.0, 40e3));
    // A battery behind the tie goes to 20 kW by its dead time and its lag, and so does what the tie carries.
    bus.command(ComponentIndex(4), kw(20.0), s(1), &mut (&mut ledger, &mut account));
    bus.advance(ms(1_150), &mut (&mut ledger, &mut account));
    let expected_w = 40e3 - 20e3 * (1.0 - math::exp(-1.0));
    assert!((tie_reads(&bus).2 - expected_w).abs() < 1e-6, "{} and {expected_w} W", tie_reads(&bus).2);
    move_tie(&mut bus, TIE, Position::Open, s(10), &mut (&mut ledger, &mut account));
    assert_eq!(tie_reads(&bus), (0.0, 1.0, 0.0));
    assert_eq!((bus.mode(), read(&bus, 5, Quantity::Power)), (BusMode::Grid, 30e3));
    assert_eq!(read(&bus, 4, Quantity::Power), 40e3, "who forms carries its section");
    let before = ledger.energies(&bus);
    bus.advance(s(370), &mut (&mut ledger, &mut account));
    let energies = ledger.energies(&bus);
    assert!((energies.import_wh - before.import_wh - 3e3).abs() < 1e-6, "{}", energies.import_wh);
    assert!((energies.discharge_wh - before.discharge_wh - 4e3).abs() < 1e-3, "{}", energies.discharge_wh);
    assert_eq!((energies.unserved_wh, ledger.check(&bus)), (0.0, Ok(())));
    assert_eq!(account.supply().island(), Span::from_mins(6));
    assert_eq!(account.supply().dead(), Span::ZERO);
}

#[test]
fn parted_islands_drift_apart_and_meet_at_the_mean_of_their_masses() {
    // Half of the rating on one side and nothing on the other: 0.5 % of slip, a quarter of a turn in a second.
    let slow = Span::from_millis(40);
    let mut bus = sectioned(vec![
        (1, tie(0)),
        (0, load(50.0)),
        (0, battery(former(100.0))),
        (1, former_behind(300.0, slow)),
    ]);
    bus.breaker(Position::Open, Time::ZERO, &mut ());
    move_tie(&mut bus, TIE, Position::Open, Time::ZERO, &mut ());
    bus.advance(s(2), &mut ());
    let starboard_hz = |bus: &Bus| read(bus, TIE, Quantity::Frequency);
    assert!((hz(&bus) - 49.75).abs() < 1e-6 && (starboard_hz(&bus) - 50.0).abs() < 1e-9);
    move_tie(&mut bus, TIE, Position::Closed, s(2), &mut ());
    assert_eq!((tie_reads(&bus), read(&bus, TIE, Quantity::Waiting)), ((0.0, 1.0, 0.0), 1.0));
    // One whole turn less 10 degrees; the filter was a hundredth of a second late.
    let fits_s = 0.01 + (1.0 - 10.0 / 360.0) / 0.25;
    bus.advance(Time::ZERO + Span::from_secs_f64(fits_s - 0.003), &mut ());
    assert_eq!(read(&bus, TIE, Quantity::Closed), 0.0);
    let closes =
        (0..6).map(|millis| Time::ZERO + Span::from_secs_f64(fits_s - 0.002 + 0.001 * f64::from(millis)));
    let mut closed = closes.skip_while(|at| {
        bus.advance(*at, &mut ());
        read(&bus, TIE, Quantity::Closed) < 1.0
    });
    assert!(closed.next().is_some(), "it closes when the angle fits");
    // The masses are as 1 to 12, and part of a millisecond has passed at most.
    let joined_hz = (49.75 + 12.0 * 50.0) / 13.0;
    assert_eq!(hz(&bus), starboard_hz(&bus));
    assert!((hz(&bus) - joined_hz).abs() < 2e-3, "{} and {joined_hz} Hz", hz(&bus));
    bus.advance(s(20), &mut ());
    // Each carries its share, as their droops say.
    assert!((hz(&bus) - 50.0 * (1.0 - 0.01 * 50.0 / 400.0)).abs() < 1e-6, "{}", hz(&bus));
    assert!((tie_reads(&bus).2 + 37.5e3).abs() < 1e-3, "{:?}", tie_reads(&bus));
}

#[test]
fn a_section_meets_the_grid_in_phase_and_follows_it_from_then_on() {
    let mut bus = sectioned(vec![(1, tie(0)), (0, load(10.0)), (1, load(50.0)), (1, battery(former(100.0)))]);
    move_tie(&mut bus, TIE, Position::Open, Time::ZERO, &mut ());
    move_tie(&mut bus, TIE, Position::Closed, s(2), &mut ());
    let fits_s = 0.01 + (1.0 - 10.0 / 360.0) / 0.25;
    bus.advance(Time::ZERO + Span::from_secs_f64(fits_s - 0.003), &mut ());
    assert_eq!((tie_reads(&bus).0, read(&bus, 4, Quantity::Power)), (0.0, 10e3));
    bus.advance(Time::ZERO + Span::from_secs_f64(fits_s + 0.003), &mut ());
    assert_eq!((tie_reads(&bus).0, tie_reads(&bus).1), (1.0, 2.0));
    bus.advance(s(60), &mut ());
    assert_eq!((tie_reads(&bus).2, read(&bus, 4, Quantity::Power)), (50e3, 60e3));
}

#[test]
fn a_dead_section_is_closed_onto_at_once_and_misses_what_it_wanted_meanwhile() {
    let mut bus = sectioned(vec![(1, tie(0)), (0, load(20.0)), (1, load(36.0))]);
    let (mut ledger, mut account) = (Ledger::new(&bus), Account::new(&bus, s(900), None));
    move_tie(&mut bus, TIE, Position::Open, s(100), &mut (&mut ledger, &mut account));
    assert_eq!(tie_reads(&bus), (0.0, 0.0, 0.0));
    assert_eq!((read(&bus, TIE, Quantity::Voltage), read(&bus, TIE, Quantity::Frequency)), (0.0, 0.0));
    assert_eq!((read(&bus, 3, Quantity::Power), read(&bus, 3, Quantity::Frequency)), (20e3, 50.0));
    move_tie(&mut bus, TIE, Position::Closed, s(200), &mut (&mut ledger, &mut account));
    assert_eq!((tie_reads(&bus), read(&bus, TIE, Quantity::Waiting)), ((1.0, 2.0, 36e3), 0.0));
    bus.advance(s(300), &mut (&mut ledger, &mut account));
    let energies = ledger.energies(&bus);
    assert!((energies.unserved_wh - 1e3).abs() < 1e-9, "{}", energies.unserved_wh);
    assert!((energies.import_wh - (20e3 * 300.0 + 36e3 * 200.0) / 3_600.0).abs() < 1e-6);
    assert_eq!((ledger.check(&bus), account.supply().dead()), (Ok(()), Span::from_secs(100)));
}

#[test]
fn a_dead_main_section_gets_its_voltage_through_a_tie() {
    let mut bus = sectioned(vec![(1, tie(0)), (0, load(20.0)), (1, load(30.0)), (1, battery(former(100.0)))]);
    move_tie(&mut bus, TIE, Position::Open, Time::ZERO, &mut ());
    bus.breaker(Position::Open, s(1), &mut ());
    assert_eq!((bus.mode(), tie_reads(&bus)), (BusMode::Dead, (0.0, 1.0, 0.0)));
    bus.advance(s(2), &mut ());
    let alone_hz = read(&bus, TIE, Quantity::Frequency);
    move_tie(&mut bus, TIE, Position::Closed, s(2), &mut ());
    assert_eq!((bus.mode(), tie_reads(&bus)), (BusMode::Island, (1.0, 1.0, -20e3)));
    assert_eq!(hz(&bus), alone_hz, "the frequency is that of the side that had one");
    assert_eq!(read(&bus, 3, Quantity::Power), 50e3);
}

#[test]
fn what_is_closed_out_of_phase_without_a_check_trips_and_is_counted() {
    let bare = BusTie::new(SectionIndex::MAIN).checked_by(None).expect("none is allowed");
    let mut bus = sectioned(vec![
        (1, Component::Tie(bare)),
        (0, load(10.0)),
        (1, load(50.0)),
        (1, battery(former(100.0))),
    ]);
    move_tie(&mut bus, TIE, Position::Open, s(1), &mut ());
    move_tie(&mut bus, TIE, Position::Closed, s(3), &mut ());
    assert_eq!((tie_reads(&bus).0, read(&bus, TIE, Quantity::Trips)), (0.0, 1.0));
    // A whole turn after the opening it fits.
    move_tie(&mut bus, TIE, Position::Closed, ms(5_010), &mut ());
    assert_eq!((tie_reads(&bus).0, read(&bus, TIE, Quantity::Trips)), (1.0, 1.0));
}

#[test]
fn a_section_dies_alone_and_the_other_goes_on() {
    let mut bus = sectioned(vec![
        (1, tie(0)),
        (0, load(20.0)),
        (0, battery(former(100.0))),
        (1, load(119.0)),
        (1, battery(former(100.0))),
    ]);
    let (mut ledger, mut account) = (Ledger::new(&bus), Account::new(&bus, s(900), None));
    bus.breaker(Position::Open, Time::ZERO, &mut (&mut ledger, &mut account));
    assert_eq!(tie_reads(&bus).1, 1.0, "together they carry it");
    move_tie(&mut bus, TIE, Position::Open, s(20), &mut (&mut ledger, &mut account));
    bus.advance(ms(29_999), &mut (&mut ledger, &mut account));
    assert_eq!((bus.mode(), tie_reads(&bus).1), (BusMode::Island, 1.0));
    bus.advance(s(30), &mut (&mut ledger, &mut account));
    assert_eq!((bus.mode(), tie_reads(&bus).1), (BusMode::Island, 0.0));
    assert_eq!((read(&bus, 4, Quantity::Trips), read(&bus, 2, Quantity::Trips)), (1.0, 0.0));
    bus.advance(s(40), &mut (&mut ledger, &mut account));
    assert_eq!((read(&bus, 2, Quantity::Power), read(&bus, 3, Quantity::Power)), (20e3, 0.0));
    assert!((hz(&bus) - 49.9).abs() < 1e-6, "{}", hz(&bus));
    assert_eq!(ledger.check(&bus), Ok(()));
    let supply = account.supply();
    assert_eq!((supply.island(), supply.dead()), (Span::from_secs(40), Span::from_secs(10)));
    let lowest_hz = supply.frequency_hz().expect("it was held").low.0;
    assert!((lowest_hz - 50.0 * (1.0 - 0.0119)).abs() < 1e-3, "the section's own: {lowest_hz}");
}

#[test]
fn a_request_ends_with_its_time_out_and_closes_at_once_when_a_side_dies() {
    let mut bus = sectioned(vec![(1, tie(0)), (0, load(10.0)), (1, battery(former(100.0)))]);
    move_tie(&mut bus, TIE, Position::Open, Time::ZERO, &mut ());
    // Without any load there is no slip.
    move_tie(&mut bus, TIE, Position::Closed, s(5), &mut ());
    bus.advance(s(64), &mut ());
    assert_eq!(read(&bus, TIE, Quantity::Waiting), 1.0);
    bus.advance(s(66), &mut ());
    assert_eq!((tie_reads(&bus).0, read(&bus, TIE, Quantity::Waiting)), (0.0, 0.0));
    move_tie(&mut bus, TIE, Position::Closed, s(70), &mut ());
    bus.stop(ComponentIndex(2), s(71), &mut ());
    assert_eq!(tie_reads(&bus), (1.0, 2.0, 0.0), "who waited for an angle need not once there is none");
    move_tie(&mut bus, TIE, Position::Open, s(72), &mut ());
    bus.start(ComponentIndex(2), s(73), &mut ());
    bus.advance(s(80), &mut ());
    move_tie(&mut bus, TIE, Position::Closed, s(80), &mut ());
    move_tie(&mut bus, TIE, Position::Open, s(81), &mut ());
    assert_eq!(read(&bus, TIE, Quantity::Waiting), 0.0, "to open takes the request back");
}

#[test]
fn sections_behind_each_other_stay_one_behind_a_tie_that_opens() {
    // The aft section hangs at the starboard one, and its tie is given first.
    let mut bus = sectioned(vec![
        (2, tie(1)),
        (1, tie(0)),
        (0, load(5.0)),
        (1, load(10.0)),
        (2, load(20.0)),
        (2, battery(former(100.0))),
    ]);
    assert_eq!((read(&bus, 0, Quantity::Power), read(&bus, 1, Quantity::Power)), (20e3, 30e3));
    move_tie(&mut bus, 1, Position::Open, s(1), &mut ());
    assert_eq!((read(&bus, 0, Quantity::Power), read(&bus, 1, Quantity::Power)), (-10e3, 0.0));
    let states = |bus: &Bus| [0, 1].map(|tie| read(bus, tie, Quantity::State));
    assert_eq!(
        (states(&bus), bus.areas().collect::<Vec<_>>()),
        ([1.0, 1.0], vec![SectionIndex::MAIN, STARBOARD])
    );
    move_tie(&mut bus, 0, Position::Open, s(2), &mut ());
    assert_eq!((states(&bus), read(&bus, 5, Quantity::Power)), ([1.0, 0.0], 20e3));
    move_tie(&mut bus, 1, Position::Closed, s(3), &mut ());
    assert_eq!((states(&bus), read(&bus, 6, Quantity::Power)), ([1.0, 2.0], 15e3));
}

#[test]
fn a_relay_sees_the_frequency_of_its_own_section() {
    let shed = || {
        Component::Load(
            plain_load(50.0).shed_by(Relay::new(49.0, Span::from_millis(100)).expect("a usual relay")),
        )
    };
    let mut bus = sectioned(vec![
        (1, tie(0)),
        (0, shed()),
        (1, load(40.0)),
        (1, shed()),
        (1, genset(running(100.0, 40.0))),
    ]);
    move_tie(&mut bus, TIE, Position::Open, s(1), &mut ());
    // The genset gave 40 kW: half of its rating is missing, and 49 Hz are passed after 1 / 17.9 s.
    let sheds = s(1) + Span::from_secs_f64(1.0 / (50.0 * 0.5 / 1.4)) + Span::from_millis(105);
    bus.advance(sheds, &mut ());
    assert_eq!((read(&bus, 1, Quantity::Closed), read(&bus, 3, Quantity::Closed)), (1.0, 0.0));
    // And that on the grid looks at the grid.
    bus.set_grid(GridValue::Frequency, Some(48.9), s(20), &mut ());
    bus.advance(ms(20_100), &mut ());
    assert_eq!((read(&bus, 1, Quantity::Closed), read(&bus, 2, Quantity::Power)), (0.0, -40e3));
}

#[test]
fn each_section_has_its_own_voltage() {
    let lagging =
        || Component::Load(plain_load(50.0).with_power_factor(Ratio::of(0.8)).expect("a usual one"));
    let mut bus = sectioned(vec![(1, tie(0)), (0, load(10.0)), (1, lagging()), (1, battery(former(100.0)))]);
    assert!((read(&bus, 4, Quantity::ReactivePower) - 37.5e3).abs() < 1e-6);
    move_tie(&mut bus, TIE, Position::Open, s(1), &mut ());
    bus.advance(s(2), &mut ());
    // 50 kW at a power factor of 0.8 come with 37.5 kvar.
    let voltage = read(&bus, TIE, Quantity::Voltage);
    assert!((voltage - (1.0 - 0.05 * 0.375)).abs() < 1e-12, "{voltage}");
    assert_eq!((read(&bus, 4, Quantity::Voltage), read(&bus, 4, Quantity::ReactivePower)), (1.0, 0.0));
}

#[test]
fn a_genset_that_waits_for_its_synchronizer_closes_at_once_when_its_section_dies() {
    let spec = GensetSpec { crank: Span::from_secs(1), warm_up: Span::from_secs(1), ..running(100.0, 20.0) };
    let starting = genset(GensetSpec { initial: InitialGenset::Off, ..spec });
    let mut bus = sectioned(vec![(1, tie(0)), (1, load(20.0)), (1, starting)]);
    bus.start(ComponentIndex(2), s(1), &mut ());
    bus.advance(s(4), &mut ());
    assert_eq!(read(&bus, 2, Quantity::State), 3.0, "there is a voltage to meet");
    move_tie(&mut bus, TIE, Position::Open, s(4), &mut ());
    assert_eq!((read(&bus, 2, Quantity::State), tie_reads(&bus).1), (4.0, 1.0));
    assert_eq!(read(&bus, 2, Quantity::Power), 20e3);
}

#[test]
fn what_makes_no_tree_of_sections_is_refused() {
    let made = |others: Vec<(u8, Component)>| {
        let (sections, components): (Vec<_>, Vec<_>) = others.into_iter().unzip();
        Bus::with_sections(components, sections.into_iter().map(SectionIndex).collect()).err()
    };
    let ties = |section, found| Some(BusError::Ties { section: SectionIndex(section), found });
    assert_eq!(made(vec![(0, connection()), (1, tie(0))]), None);
    assert_eq!(made(vec![(1, connection()), (1, tie(0))]), Some(BusError::NotMain));
    assert_eq!(made(vec![(0, connection()), (1, load(1.0))]), ties(1, 0));
    assert_eq!(made(vec![(0, connection()), (2, tie(0))]), ties(1, 0));
    assert_eq!(made(vec![(0, connection()), (1, tie(0)), (1, tie(0))]), ties(1, 2));
    assert_eq!(made(vec![(0, connection()), (0, tie(0))]), ties(0, 1));
    let lost = |section| Some(BusError::Loop { section: SectionIndex(section) });
    assert_eq!(made(vec![(0, connection()), (1, tie(2)), (2, tie(1))]), lost(1));
    assert_eq!(made(vec![(0, connection()), (1, tie(9))]), lost(1));
    let chain = |length: u8| {
        (1..length).map(|section| (section, tie(section - 1))).chain([(0, connection())]).collect()
    };
    assert_eq!(made(chain(16)), None);
    assert_eq!(made(chain(17)), Some(BusError::Sections { found: 17 }));
}
