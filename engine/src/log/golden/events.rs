//! The bytes of every event, and of every way in which a write ends.

use alloc::vec::Vec;

use super::super::events::{decode, encode};
use super::super::varint::Cursor;
use super::hex;
use crate::carried::NotCarried;
use crate::controller::operation::Operation;
use crate::controller::orders::{Aim, ManualEnd, Milliwatts};
use crate::event::Event;
use crate::fieldbus::map::{Differs, Text, Who};
use crate::fieldbus::sunspec::{Chain, Missing};
use crate::ids::{DeviceIndex, GroupIndex, PointIndex, SlotIndex};
use crate::machine::WriteOutcome;
use crate::persistence::{Origin, Trouble};
use crate::points::{DeviceClass, PointKind, Quality};
use crate::redundancy::supervisor::CommandRefusal;
use crate::redundancy::transfer::Refusal;
use crate::redundancy::{Command, Epoch, Reason, Role, Seat};
use crate::time::Span;
use crate::units::Watts;
use crate::wall::WallTime;

const EPOCH: Epoch = Epoch { round: 3, seat: Seat(1) };

/// Written down from the documentation of the form, not from what the code gave.
fn golden() -> impl Iterator<Item = (Event, &'static str)> {
    of_control()
        .into_iter()
        .chain(of_operators())
        .chain(of_standings())
        .chain(of_writes())
        .chain(of_persistence())
}

/// What operators tell devices, and what is refused of it.
fn of_operators() -> [(Event, &'static str); 8] {
    let group = GroupIndex(1);
    let (to, power) = (Aim::Device(DeviceIndex(300)), Milliwatts(-3));
    let refused = |command, refusal| Event::CommandRefused { command, refusal };
    let told = Command::SetPoint { to, power, lasts: Span::from_nanos(300) };
    [
        (
            Event::ManualBegan { group, power: Watts::of(-2.0), lasts: Span::from_nanos(300) },
            "2901ac0200000000000000c0",
        ),
        (Event::ManualEnded { group, why: ManualEnd::Released }, "2a0101"),
        (Event::EmergencyStopBegan, "2b"),
        (Event::EmergencyStopEnded, "2c"),
        (Event::OperationChanged { operation: Operation::Hold }, "3401"),
        (refused(told, CommandRefusal::TooLong), "110600fb2c0105fb2c0108"),
        (
            refused(
                Command::ReleaseSetPoint { to: Aim::All(DeviceClass::Pv) },
                CommandRefusal::NothingToRelease,
            ),
            "110701020a",
        ),
        (refused(Command::Reset, CommandRefusal::NotStopped), "11090c"),
    ]
}

/// What devices say of themselves as a whole.
const fn of_standings() -> [(Event, &'static str); 4] {
    let device = DeviceIndex(300);
    [
        (Event::DeviceLocal { device }, "2fac02"),
        (Event::DeviceRemote { device }, "30ac02"),
        (Event::DeviceFault { device }, "31ac02"),
        (Event::DeviceRecovered { device }, "32ac02"),
    ]
}

fn of_writes() -> [(Event, &'static str); 18] {
    let device = DeviceIndex(300);
    let (who, expected) = (Who::Serial, Text::of(b"A-1"));
    let differs = |found| Event::IdentityDiffers { device, differs: Differs { who, expected, found } };
    let failed = |outcome| Event::WriteFailed { device, outcome };
    [
        (failed(WriteOutcome::Acknowledged), "08ac0200"),
        (failed(WriteOutcome::Refused), "08ac0201"),
        (failed(WriteOutcome::TimedOut), "08ac0202"),
        (failed(WriteOutcome::Expired), "08ac0203"),
        (failed(WriteOutcome::Outdated { accepted: 257 }), "08ac02048102"),
        (failed(WriteOutcome::NotHeld), "08ac0205"),
        (failed(WriteOutcome::Incomplete), "08ac0206"),
        (Event::WritesSucceed { device }, "0cac02"),
        (Event::ModelsFound { device, chain: Chain { base: 40_000, models: 6 } }, "25fb2c01fb409c06"),
        (Event::ModelsMissing { device, missing: Missing::Point(PointKind::StateOfCharge) }, "26fb2c010201"),
        (Event::ModelsMissing { device, missing: Missing::Room(PointKind::Power) }, "26fb2c010500"),
        (Event::IdentityFound { device }, "27fb2c01"),
        (
            differs(None),
            concat!("28fb2c0102", "412d310000000000000000000000000000000000000000000000000000000000", "0300"),
        ),
        (
            differs(Some(Text::of(b"B"))),
            concat!(
                "28fb2c0102",
                "412d310000000000000000000000000000000000000000000000000000000000",
                "0301",
                "4200000000000000000000000000000000000000000000000000000000000000",
                "01"
            ),
        ),
        (Event::HeartbeatFailed { device, outcome: WriteOutcome::TimedOut }, "1fac0202"),
        (Event::HeartbeatsSucceed { device }, "20ac02"),
        (
            Event::WriteBudgetUsedUp { device, per_day: 300, renewed_in: Span::from_nanos(1_000_000) },
            "21ac02ac02c0843d",
        ),
        (Event::WriteBudgetRenewed { device }, "22ac02"),
    ]
}

fn of_control() -> [(Event, &'static str); 29] {
    [
        (Event::Booted { incarnation: 300 }, "00ac02"),
        (Event::Started { after: Span::from_nanos(1_000_000) }, "01c0843d"),
        (Event::ScansMissed { count: 3, lateness: Span::from_nanos(200) }, "0203c801"),
        (Event::QualityChanged { point: PointIndex(5), quality: Quality::Unknown }, "030500"),
        (Event::QualityChanged { point: PointIndex(5), quality: Quality::Good }, "030501"),
        (Event::QualityChanged { point: PointIndex(5), quality: Quality::Stale }, "030502"),
        (Event::QualityChanged { point: PointIndex(5), quality: Quality::Invalid }, "030503"),
        (Event::QualityChanged { point: PointIndex(5), quality: Quality::Stuck }, "030504"),
        (Event::FunctionLost { slot: SlotIndex(2) }, "0402"),
        (Event::FunctionReturned { slot: SlotIndex(2) }, "0502"),
        (Event::Islanded, "2d"),
        (Event::Rejoined, "2e"),
        (Event::BlackedOut, "35"),
        (Event::Energized, "36"),
        (
            Event::ShortfallBegan { slot: SlotIndex(2), group: GroupIndex(1), shortfall: Watts::of(1.0) },
            "060201000000000000f03f",
        ),
        (
            Event::ShortfallEnded { slot: SlotIndex(2), group: GroupIndex(1), worst: Watts::of(-2.0) },
            "07020100000000000000c0",
        ),
        (
            Event::DeviceLimited { device: DeviceIndex(300), difference: Watts::of(1.0) },
            "09ac02000000000000f03f",
        ),
        (Event::DeviceFollows { device: DeviceIndex(300) }, "0aac02"),
        (Event::RoleChanged { role: Role::Active, reason: Reason::Renewed, epoch: EPOCH }, "0d05090301"),
        (
            Event::TookOver {
                reason: Reason::HeartbeatLost,
                epoch: EPOCH,
                silent: Span::from_nanos(300),
                sought: Span::from_nanos(1),
            },
            "0e010301fb2c0101",
        ),
        (
            Event::SetPointsTakenOver {
                step: Watts::of(1.0),
                after: Span::from_nanos(300),
                state_age: Some(Span::from_nanos(7)),
            },
            "12fb2c010107000000000000f03f",
        ),
        (Event::StateTaken { seat: Seat(1) }, "1301"),
        (Event::StateRefused { seat: Seat(1), refusal: Refusal::Layout }, "140102"),
        (Event::AuthoritiesOverlapped { seat: Seat(1), at_most: Span::from_nanos(300) }, "0f01fb2c01"),
        (Event::SectionDiffers { seat: Seat(2) }, "1002"),
        (Event::PeerSilent { seat: Seat(2), silent: Span::from_nanos(300) }, "2302fb2c01"),
        (Event::PeerHeard { seat: Seat(2) }, "2402"),
        (
            Event::CommandRefused {
                command: Command::SwitchOver { to: Some(Seat(1)) },
                refusal: CommandRefusal::SeatNotReady,
            },
            "1100010102",
        ),
        (
            Event::SignSuspect {
                device: DeviceIndex(300),
                measured_by: DeviceIndex(0),
                step: Watts::of(1.0),
                moved: Watts::of(-2.0),
            },
            "0bac0200000000000000f03f00000000000000c0",
        ),
    ]
}

/// The same of what is told of persistence and of the wall clock.
const fn of_persistence() -> [(Event, &'static str); 11] {
    [
        (Event::StateRecovered { origin: Origin::Poisoned }, "1503"),
        (Event::MemoryCarried { age: Some(Span::from_nanos(300)) }, "1d01fb2c01"),
        (Event::MemoryCarried { age: None }, "1d00"),
        (Event::MemoryNotCarried { why: NotCarried::Layout }, "1e02"),
        (Event::SnapshotTaken { after: Span::from_nanos(300) }, "16ac02"),
        (Event::SnapshotFailed, "17"),
        (Event::JournalDegraded { trouble: Trouble::Slow }, "1801"),
        (Event::JournalRestored { after: Span::from_nanos(300) }, "19ac02"),
        (Event::StopBegan, "1a"),
        (Event::Stopped { after: Span::from_nanos(300) }, "1bac02"),
        (Event::WallClockSet { before: Some(WallTime::from_unix_nanos(-3)), after: None }, "1c010500"),
    ]
}

#[test]
fn each_event_has_its_golden_bytes() {
    for (event, golden) in golden() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &event);
        assert_eq!(hex(&bytes), golden, "{event:?}");
        let mut cursor = Cursor::new(&bytes, 0);
        assert_eq!(decode(&mut cursor), Ok(event));
        assert_eq!(cursor.position(), bytes.len());
    }
}

#[test]
fn every_kind_of_event_has_golden_bytes() {
    for kind in Event::KINDS {
        assert!(golden().any(|(event, _)| event.kind() == kind), "{kind}");
    }
}
