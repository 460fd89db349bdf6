//! Which controllers run when, by the scenario's timeline: a machine that has died does not know it.

use r_ems_engine::Time;
use r_ems_sim::world::{Change, Life, WorldSpec};

/// When one controller's process goes and comes.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    /// In time order; before the first it runs.
    changes: Vec<(Time, Life)>,
}

impl Lives {
    /// The lives of all controllers of a world.
    pub fn of(world: &WorldSpec) -> Vec<Self> {
        (0..world.posts.len()).map(|place| Self::of_one(world, place)).collect()
    }

    fn of_one(world: &WorldSpec, place: usize) -> Self {
        let (mut host_runs, mut runs) = (true, true);
        let mut changes = Vec::new();
        for timed in &world.timeline {
            let after = match timed.change {
                Change::Host { host, state } if host == world.posts[place].host => {
                    // A host that boots starts its controllers, also those whose process had died.
                    let changes_it = host_runs != (state == Life::Up);
                    host_runs = state == Life::Up;
                    if changes_it { host_runs } else { runs }
                }
                Change::Process { controller, state } if usize::from(controller) == place => {
                    state == Life::Up && host_runs
                }
                Change::Plant { .. }
                | Change::Host { .. }
                | Change::Process { .. }
                | Change::Path { .. }
                | Change::ClockRate { .. }
                | Change::WallClock { .. }
                | Change::Upgrade { .. }
                | Change::Stall { .. }
                | Change::Disk { .. }
                | Change::Command { .. }
                | Change::Link { .. }
                | Change::Fault { .. }
                | Change::RestartDevice { .. } => runs,
            };
            if after != runs {
                runs = after;
                changes.push((timed.at, if runs { Life::Up } else { Life::Down }));
            }
        }
        Self { changes }
    }

    /// Whether it runs at an instant.
    pub fn at(&self, at: Time) -> Life {
        let last = self.changes.iter().take_while(|change| change.0 <= at).last();
        last.map_or(Life::Up, |change| change.1)
    }
}
