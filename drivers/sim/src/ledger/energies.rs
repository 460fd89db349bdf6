//! What the books say of a run.

/// Energies by kind since the run's start, in Wh.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Energies {
    /// Drawn from the grid.
    pub import_wh: f64,
    /// Fed into the grid.
    pub export_wh: f64,
    /// Taken by loads.
    pub load_wh: f64,
    /// Wanted by loads while the bus was dead.
    pub unserved_wh: f64,
    /// Made by photovoltaic plants.
    pub pv_made_wh: f64,
    /// What they could have made.
    pub pv_available_wh: f64,
    /// Taken from the bus by batteries.
    pub charge_wh: f64,
    /// Given to the bus by batteries.
    pub discharge_wh: f64,
    /// Lost by batteries' conversion.
    pub conversion_wh: f64,
    /// Lost by batteries' standing by.
    pub standby_wh: f64,
    /// What batteries store more than at the start.
    pub stored_wh: f64,
    /// Given to the bus by gensets.
    pub generated_wh: f64,
    /// Taken from the bus by gensets.
    pub absorbed_wh: f64,
}

impl Energies {
    /// What photovoltaic plants could have made and did not.
    pub fn pv_curtailed_wh(&self) -> f64 {
        self.pv_available_wh - self.pv_made_wh
    }
}
