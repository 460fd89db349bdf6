//! What the service knows of a run that it cannot read from states: names, and when it began.

use std::collections::BTreeMap;

use r_ems_engine::Time;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::ControllerNames;
use r_ems_engine::wall::{TimeZone, WallTime};
use r_ems_site::clock::{Face, wall_clock};

use crate::summary::Facts;

/// What is known of a run before it begins.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// What it is called.
    pub(super) title: String,
    /// What the wall clock shows when the run's time is zero.
    pub(super) start: WallTime,
    /// The run's clock, where the wall clock is real: that may be set during the run.
    pub(super) face: Option<Face>,
    /// How far the site's clocks are ahead of UTC.
    pub(super) offset: TimeZone,
    /// The grids that have controllers here.
    pub(super) grids: Vec<GridAbout>,
    /// The controllers.
    pub(super) controllers: Vec<ControllerNames>,
    /// Whether they keep journals: those of a site do, those of a simulation where it says `persistence`.
    pub(super) keeps_journals: bool,
}

impl About {
    /// What is known of a grid by its name.
    pub(super) fn grid(&self, name: &str) -> Option<&GridAbout> {
        self.grids.iter().find(|known| known.name == name)
    }
}

/// What is known of a grid.
#[derive(Clone, Debug)]
pub(super) struct GridAbout {
    /// Its name.
    pub(super) name: String,
    /// The limit that peaks are shaved to.
    pub(super) limit_w: Option<f64>,
    /// How much its batteries hold, by their names, as far as is known.
    pub(super) capacities_wh: BTreeMap<String, f64>,
    /// Devices of a real site that are simulated.
    pub(super) simulated: Vec<String>,
    /// Its controllers and its witness, in the order of their seats.
    pub(super) members: Vec<MemberAbout>,
}

/// What is known of a member of a grid's council.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberAbout {
    /// What it is called in its grid.
    pub(super) id: String,
    /// Where it runs.
    pub(super) place: MemberPlace,
}

/// Where a member runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MemberPlace {
    /// Here.
    Here(ControllerIndex),
    /// On the host of this name.
    On(String),
}

impl About {
    /// Devices of a real site that are simulated, by the names of their grids and their own.
    pub(super) fn simulated(&self) -> Vec<[String; 2]> {
        let of_grid = |grid: &GridAbout| {
            let name = grid.name.clone();
            grid.simulated.clone().into_iter().map(move |device| [name.clone(), device])
        };
        self.grids.iter().flat_map(of_grid).collect()
    }

    /// A run's instant as the site's clocks show it.
    pub(super) fn local(&self, at: Time) -> String {
        let now = self.face.and_then(|face| Some((wall_clock()?, face.now())));
        let wall = match now {
            Some((wall, now)) => {
                let ago = i64::try_from(now.since(at).as_nanos()).unwrap_or(i64::MAX);
                wall.moved(-ago) + at.since(now)
            }
            None => self.start + at.since(Time::ZERO),
        };
        wall.local(self.offset).to_string()
    }
}

impl From<Facts> for About {
    fn from(facts: Facts) -> Self {
        let Facts { scenario, start, offset, grids, controllers, .. } = facts;
        let member = |(place, names): (usize, &ControllerNames)| MemberAbout {
            id: names.id.clone(),
            place: MemberPlace::Here(ControllerIndex::of(place)),
        };
        let members = |grid: &str| {
            let of_grid = controllers.iter().enumerate().filter(|(_, names)| names.grid == grid);
            of_grid.map(member).collect()
        };
        let grid = |grid: crate::summary::GridFacts| GridAbout {
            members: members(&grid.name),
            name: grid.name,
            limit_w: grid.limit_w,
            capacities_wh: grid.capacities_wh,
            simulated: Vec::new(),
        };
        let grids = grids.into_iter().map(grid).collect();
        Self { title: scenario, start, face: None, offset, grids, controllers, keeps_journals: false }
    }
}
