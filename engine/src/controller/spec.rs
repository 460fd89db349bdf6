//! What a controller is made from, and how that is made from names.

use alloc::string::String;
use alloc::vec::Vec;

use super::mode::When;
use crate::fieldbus::map::BusSpec;
use crate::functions::wiring::GroupSpec;
use crate::functions::{Function, SpecError, Wiring};
use crate::ids::DeviceIndex;
use crate::persistence::SnapshotSettings;
use crate::points::{DeviceClass, DeviceSpec, PointKind};
use crate::redundancy::SupervisorSpec;
use crate::time::Span;
use crate::wall::TimeZone;

/// A function in its place of a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed<F> {
    /// The function.
    pub law: F,
    /// When it has a say; unless a site file says otherwise, what is usual for it.
    pub when: When,
}

/// What a controller is made from; [`ControllerSpec::wire`] makes it from names.
#[derive(Clone, Debug)]
pub struct ControllerSpec<F: Function> {
    /// The grid that it controls.
    pub grid: String,
    /// Its id within the grid.
    pub id: String,
    /// The time between two scans.
    pub scan: Span,
    /// How the site's clocks follow UTC: for functions that go by the clock.
    pub zone: TimeZone,
    /// The devices of its grid; their order makes ids.
    pub devices: Vec<DeviceSpec>,
    /// The connections to those of them that are found behind Modbus.
    pub bus: BusSpec,
    /// The functions in priority order.
    pub laws: Vec<Placed<F>>,
    /// The groups that the functions act on.
    pub groups: Vec<GroupSpec>,
    /// Its seat in the grid's council, and the council's rules.
    pub redundancy: SupervisorSpec,
    /// When it asks for snapshots.
    pub snapshots: SnapshotSettings,
}

/// A mistake in one function of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackError {
    /// The function's position in the stack.
    pub position: usize,
    /// What is wrong with it.
    pub error: SpecError,
}

impl<F: Function> ControllerSpec<F> {
    /// Builds the functions of a stack and finds their devices.
    ///
    /// # Errors
    /// Every mistake of every function, with the function's position.
    pub fn wire(
        grid: &str,
        id: &str,
        scan: Span,
        devices: Vec<DeviceSpec>,
        stack: &[F::Spec],
    ) -> Result<Self, Vec<StackError>> {
        let mut wiring = Wiring::new(&devices);
        let mut errors = Vec::new();
        let mut laws = Vec::with_capacity(stack.len());
        for (position, spec) in stack.iter().enumerate() {
            let law = F::build(spec, &mut wiring);
            laws.push(Placed { when: law.when(), law });
            errors.extend(wiring.take_errors().into_iter().map(|error| StackError { position, error }));
        }
        let groups = wiring.into_groups();
        if errors.is_empty() {
            let redundancy = SupervisorSpec::alone();
            Ok(Self {
                grid: String::from(grid),
                id: String::from(id),
                scan,
                zone: TimeZone::UTC,
                devices,
                bus: BusSpec::default(),
                laws,
                groups,
                redundancy,
                snapshots: SnapshotSettings::NEVER,
            })
        } else {
            Err(errors)
        }
    }

    /// A witness of a grid: it has a vote and nothing else.
    pub fn witness(grid: &str, id: &str, redundancy: SupervisorSpec) -> Self {
        let (grid, id) = (String::from(grid), String::from(id));
        let (devices, laws, groups) = (Vec::new(), Vec::new(), Vec::new());
        let snapshots = SnapshotSettings::NEVER;
        let (scan, bus) = (redundancy.settings.evaluate, BusSpec::default());
        Self { grid, id, scan, zone: TimeZone::UTC, devices, bus, laws, groups, redundancy, snapshots }
    }

    /// The breaker at the point of common coupling, if there is one.
    pub(super) fn breaker(&self) -> Option<DeviceIndex> {
        let is_breaker = |device: &DeviceSpec| device.class == DeviceClass::Breaker;
        self.devices.iter().position(is_breaker).map(DeviceIndex::of)
    }

    /// The meters that tell whether there is voltage.
    pub(super) fn voltmeters(&self) -> Vec<DeviceIndex> {
        let tells = |device: &DeviceSpec| {
            device.class == DeviceClass::Meter && device.points.contains(PointKind::Voltage)
        };
        let all = self.devices.iter().enumerate().filter(|(_, device)| tells(device));
        all.map(|(place, _)| DeviceIndex::of(place)).collect()
    }

    /// The meters that functions need, in the order of the stack.
    pub(super) fn meters(&self) -> Vec<DeviceIndex> {
        let mut meters = Vec::new();
        for meter in self.laws.iter().filter_map(|placed| placed.law.meter()) {
            if !meters.contains(&meter) {
                meters.push(meter);
            }
        }
        meters
    }
}
