//! The scenario that the program brings along, so that it starts on any computer without a file.

use r_ems_scenarios::Memory;

/// Where it stands in the repository, from its folder of scenarios.
pub const PATH: &str = "demo.ron";

/// The scenario and its site.
pub fn files() -> Memory {
    Memory::new()
        .with(PATH, include_str!("../../../scenarios/demo.ron"))
        .with("sites/demo.ron", include_str!("../../../scenarios/sites/demo.ron"))
}
