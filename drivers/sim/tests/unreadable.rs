//! Lives that begin while their disk cannot be read: they do not know their number, and begin anew once it can be.

mod council_site;

use council_site::{Site, at, host};
use r_ems_engine::controller::{Controller, ControllerSpec};
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::log::{ControllerNames, DeviceName, Header};
use r_ems_engine::machine::{Delivery, Driver, Input, Machine, Outcome, Step, WriteOutcome};
use r_ems_engine::persistence::journal::{JournalSettings, SyncRule};
use r_ems_engine::persistence::promises::LOOKS_AGAIN_AFTER;
use r_ems_engine::persistence::recovery::Containment;
use r_ems_engine::persistence::retention::Retention;
use r_ems_engine::points::DeviceClass;
use r_ems_engine::redundancy::SupervisorSpec;
use r_ems_engine::{Span, Time};
use r_ems_sim::disk::DiskChange;
use r_ems_sim::driver::{RunResult, SimDriver};
use r_ems_sim::world::{Change, Life, PersistenceSpec, WorldSpec};

/// The lives of one controller with their numbers, and what became of its writes.
#[derive(Default)]
struct Seen {
    boots: Vec<(Time, u32)>,
    written: Vec<(Time, WriteOutcome)>,
}

struct Watching {
    inner: SimDriver,
    of: u16,
    seen: Seen,
}

impl Driver for Watching {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let delivery = self.inner.next()?;
        if delivery.to.0 == self.of {
            match delivery.step {
                Step::Boot(boot) => self.seen.boots.push((delivery.at, boot.incarnation)),
                Step::Input(Input::Written { outcome, .. }) => self.seen.written.push((delivery.at, outcome)),
                Step::Input(_) | Step::Restore { .. } => {}
            }
        }
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.inner.perform(outcome);
    }
}

struct Uncontained;

impl Containment for Uncontained {}

fn run(world: WorldSpec, controllers: Vec<Controller<BuiltIn>>, of: u16) -> (RunResult, Seen) {
    let journal = JournalSettings {
        sync: SyncRule::Every(Span::from_millis(50)),
        rotate_bytes: 1 << 20,
        rotate_after: None,
        retention: Retention { keep: 3, keep_for: None },
    };
    let world = WorldSpec { persistence: Some(PersistenceSpec { auto_replay: true, journal }), ..world };
    let inner = SimDriver::new(world).expect("links fit their bus");
    let device =
        |name: &str, class: DeviceClass| DeviceName { name: name.into(), class, points: class.points() };
    let devices = [device("pcc", DeviceClass::Meter), device("bess", DeviceClass::Battery)];
    let names = |place: usize| ControllerNames {
        grid: "grid".into(),
        id: ["a", "b", "w"][place].into(),
        devices: if place == 2 { Vec::new() } else { devices.to_vec() },
        functions: vec!["peak".into()],
    };
    let header = Header::new(&[], (0..controllers.len()).map(names).collect());
    let inner = inner.with_persistence::<_, Uncontained>(&header, &controllers);
    let mut driver = Watching { inner, of, seen: Seen::default() };
    Fleet::new(controllers).run(&mut driver).expect("no assertion fails");
    (driver.inner.finish(), driver.seen)
}

/// Host `of` starts three times; before the last one its disk fails, and it heals at 4 s.
fn site(of: u16) -> Site {
    let disk = |is_failing| Change::Disk { host: of, change: DiskChange::Failing(is_failing) };
    let site = Site { duration: Span::from_secs(8), swing: 40e3, ..Site::new(1) };
    let starts =
        |site: Site, millis| site.then(millis, host(of, Life::Down)).then(millis + 100, host(of, Life::Up));
    let site = starts(starts(site, 1_000), 1_500).then(2_050, disk(true));
    starts(site, 2_000).then(4_000, disk(false))
}

/// The life on the unreadable disk is over soon after that can be read, and the next one has a number of its own.
fn begins_anew(boots: &[(Time, u32)]) {
    let numbers: Vec<u32> = boots.iter().map(|boot| boot.1).collect();
    assert_eq!(numbers, [1, 2, 3, 1, 4]);
    let anew = boots[4].0;
    let latest = at(4_000) + LOOKS_AGAIN_AFTER + Span::from_millis(100);
    assert!(anew > at(4_000) && anew < latest, "{anew}");
}

#[test]
fn a_standby_is_heard_again_once_its_disk_can_be_read() {
    for seed in 0..20 {
        let site = Site { seed, ..site(1) }.then(6_000, host(0, Life::Down));
        let (result, Seen { boots, .. }) = run(site.world(), site.controllers(), 1);
        begins_anew(&boots);
        assert_eq!(result.authority.violations, [], "seed {seed}");
        let [taken] = result.authority.take_overs[..] else { panic!("{:?}", result.authority.take_overs) };
        assert_eq!((taken.from, taken.to), (0, 1), "seed {seed}");
    }
}

#[test]
fn a_witness_votes_again_once_its_disk_can_be_read() {
    let site = site(2).then(6_000, host(0, Life::Down));
    let (result, Seen { boots, .. }) = run(site.world(), site.controllers(), 2);
    begins_anew(&boots);
    assert_eq!((result.authority.violations.len(), result.authority.take_overs.len()), (0, 1));
}

#[test]
fn who_is_alone_controls_without_its_disk_and_learns_from_its_devices_which_epochs_it_used() {
    for checks_epochs in [false, true] {
        let site = Site { checks_epochs, ..site(0) };
        let mut world = site.world();
        world.posts.truncate(1);
        let spec = ControllerSpec { redundancy: SupervisorSpec::alone(), ..site.controller(0) };
        let (_, Seen { boots, written }) = run(world, vec![Controller::new(&spec)], 0);
        begins_anew(&boots);
        let outcomes = |from: u64, to: u64| {
            let within = written.iter().filter(move |(when, _)| *when > at(from) && *when < at(to));
            within.map(|(_, outcome)| *outcome).collect::<Vec<_>>()
        };
        let (without, after) = (outcomes(2_500, 4_000), outcomes(5_500, 8_000));
        for outcomes in [without, after] {
            let others = outcomes.iter().filter(|outcome| **outcome != WriteOutcome::Acknowledged);
            let others: Vec<_> = others.collect();
            assert!(outcomes.len() > 20 && others.is_empty(), "{others:?} of {}", outcomes.len());
        }
        let refused = written.iter().filter(|(_, outcome)| matches!(outcome, WriteOutcome::Outdated { .. }));
        // In the life that does not know them.
        assert_eq!(refused.count(), usize::from(checks_epochs));
        let anew = boots[4].0;
        let first = written.iter().find(|(when, _)| *when > anew).expect("it writes").0;
        assert!(first.since(anew) < Span::from_millis(100), "{}", first.since(anew));
    }
}
