//! What was found at a site: what was measured, and where the site file says otherwise.

use r_ems_scenarios::{Mistake, Severity};
use serde::Serialize;

/// All that was found.
#[derive(Debug, Serialize)]
pub struct Probed {
    /// Whether the file says nothing that is wrong.
    pub ok: bool,
    /// The site file.
    pub file: String,
    /// Whether somebody ended it before all was asked.
    pub interrupted: bool,
    /// The batteries that were to be tried, and were not, or not to the end.
    pub untried: Vec<String>,
    /// Each device that was asked.
    pub devices: Vec<Device>,
    /// What the signs of each grid's devices say of each other.
    pub signs: Vec<Signs>,
    /// Where the file says otherwise, in the order of the devices.
    pub findings: Vec<Finding>,
}

/// One device.
#[derive(Debug, Serialize)]
pub struct Device {
    /// Its name: `commerce/bess`.
    pub device: String,
    /// Its class, as the file spells it.
    pub class: &'static str,
    /// Where it was looked for.
    pub address: String,
    /// Its unit there.
    pub unit: u8,
    /// Whether it answered.
    pub answers: bool,
    /// Why it was not asked all, if so.
    pub trouble: Option<String>,
    /// How long the connection took; none if there was none.
    pub connect_s: Option<f64>,
    /// How long answers took.
    pub round_trips: Option<RoundTrips>,
    /// Who it says it is.
    pub identity: Identity,
    /// The texts by which the file says who it must be; none: it does not say.
    pub texts: Vec<TextSeen>,
    /// Where its SunSpec marker was found, and the models behind it.
    pub sunspec: Option<SunSpec>,
    /// Each bit on which a point depends; none for most devices.
    pub bits: Vec<BitSeen>,
    /// Each point of the map.
    pub points: Vec<PointSeen>,
    /// What became of test set-points; none where none was written.
    pub written: Option<Written>,
}

/// How long answers took.
#[derive(Debug, Serialize)]
pub struct RoundTrips {
    /// So many requests.
    pub asked: usize,
    /// So many of them had no answer in time.
    pub lost: usize,
    /// Half of the answers took no longer.
    pub p50_s: f64,
    /// 99 of 100 took no longer.
    pub p99_s: f64,
    /// None took longer.
    pub max_s: f64,
    /// What the file says.
    pub declared_s: f64,
}

/// Who a device says it is.
#[derive(Debug, Default, Serialize)]
pub struct Identity {
    /// Why it says nothing; none if it does, or was not asked.
    pub refused: Option<String>,
    /// Who made it.
    pub vendor: Option<String>,
    /// What it is called.
    pub product: Option<String>,
    /// Its revision.
    pub revision: Option<String>,
}

/// A text by which the file says who a device must be, as it was read.
#[derive(Debug, Serialize)]
pub struct TextSeen {
    /// `manufacturer`, `model`, `serial` or `version`.
    pub text: &'static str,
    /// `Holding` or `Input`.
    pub table: &'static str,
    /// Its first register.
    pub address: u16,
    /// What it is; none if it could not be read.
    pub reads: Option<String>,
    /// What it must be.
    pub is: String,
    /// Why it could not be read.
    pub refused: Option<String>,
}

/// A map of SunSpec.
#[derive(Debug, Serialize)]
pub struct SunSpec {
    /// The holding register of the marker.
    pub address: u16,
    /// The models, in order.
    pub models: Vec<Model>,
    /// Whether the end was found behind them.
    pub is_whole: bool,
    /// What is set in those of them that no controller uses.
    pub settings: Vec<ModelSeen>,
}

/// A model that no controller uses, as it was read.
#[derive(Debug, Serialize)]
pub struct ModelSeen {
    /// Its number.
    pub model: u16,
    /// What it is of; nothing if it could not be read.
    pub of: &'static str,
    /// Whether that is in force; none where the device does not say, or has no switch for it.
    pub is_on: Option<bool>,
    /// What it says.
    pub numbers: Vec<Numbers>,
    /// Why it could not be read.
    pub refused: Option<String>,
}

/// Numbers of a model: a single one, or one of each point of a curve and of each module.
#[derive(Debug, Serialize)]
pub struct Numbers {
    /// What they are.
    pub name: &'static str,
    /// Their unit, if they have one.
    pub unit: &'static str,
    /// Each, in its order; none if the device does not implement it.
    pub values: Vec<Option<f64>>,
    /// What the bits that are set mean, of bits.
    pub bits: Vec<&'static str>,
}

/// A model of SunSpec.
#[derive(Debug, Serialize)]
pub struct Model {
    /// Its number.
    pub id: u16,
    /// So many registers follow its head.
    pub length: u16,
    /// The register of its number.
    pub address: u16,
}

/// A bit on which a point depends, as it was read.
#[derive(Debug, Serialize)]
pub struct BitSeen {
    /// The point's name.
    pub point: &'static str,
    /// `Coil` or `Discrete`.
    pub table: &'static str,
    /// Its address.
    pub address: u16,
    /// What it is, 0 or 1; none if it could not be read.
    pub reads: Option<u8>,
    /// What it must be.
    pub is: u8,
    /// Why it could not be read.
    pub refused: Option<String>,
}

/// A point of the map, as it was read.
#[derive(Debug, Serialize)]
pub struct PointSeen {
    /// Its name.
    pub point: &'static str,
    /// `Holding` or `Input`; `Coil` or `Discrete` of a bit.
    pub table: &'static str,
    /// Its first register.
    pub address: u16,
    /// Its registers, in hexadecimal digits; none if they could not be read.
    pub words: Vec<String>,
    /// What they mean, in the unit and positive into the bus; none if that is no number.
    pub value: Option<f64>,
    /// `W`, or `1` for a share.
    pub unit: &'static str,
    /// `good`, `doubtful` where it is a number that can hardly be, `not in force` where another number says so, `invalid`, or
    /// `unknown` where nothing was read.
    pub quality: &'static str,
    /// Why the registers could not be read.
    pub refused: Option<String>,
}

/// What became of test set-points.
#[derive(Debug, Default, Serialize)]
pub struct Written {
    /// Why nothing was written, or not all.
    pub withheld: Option<String>,
    /// Each step.
    pub steps: Vec<Step>,
    /// How long the last set-point held while nobody wrote.
    pub reverted_after_s: Option<f64>,
    /// So long that was waited for.
    pub waited_s: Option<f64>,
    /// What the file says.
    pub reversion_s: f64,
    /// Whether the meter saw discharge as less import; none if it saw too little, or too much else.
    pub meter_agrees: Option<bool>,
    /// Whether nothing of what was written is left.
    pub rests: bool,
}

/// One test set-point.
#[derive(Debug, Serialize)]
pub struct Step {
    /// What was written, W, positive into the bus.
    pub set_point_w: f64,
    /// From the request to the device's acknowledgment.
    pub acknowledged_s: Option<f64>,
    /// What the device said its set-point is then.
    pub read_back_w: Option<f64>,
    /// What it measured in the end.
    pub measured_w: Option<f64>,
    /// From the request until the power was nine tenths there.
    pub response_s: Option<f64>,
    /// How far the meter's power moved against the step before, W, positive: import.
    pub meter_moved_w: Option<f64>,
}

/// What the signs of a grid's devices say of each other.
#[derive(Debug, Serialize)]
pub struct Signs {
    /// The grid.
    pub grid: String,
    /// Import, generation and discharge together, W: what is consumed; none if a part of it is not known.
    pub consumption_w: Option<f64>,
    /// What follows from the signs.
    pub known: Vec<String>,
    /// What a look cannot know.
    pub unknown: Vec<String>,
    /// Whether the meter must count as the file says.
    #[serde(skip)]
    pub meter_is_right: bool,
}

/// Something that is not as the file says.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The device: `commerce/bess`.
    pub device: String,
    /// The site file.
    pub file: String,
    /// The line of it that says so, or would; none if it cannot be shown.
    pub line: Option<u32>,
    /// The column in it.
    pub column: Option<u32>,
    /// The field.
    pub field: String,
    /// `error`: the file is wrong, or the site is; `warning`: somebody should look.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// What the file makes one expect.
    pub expected: String,
    /// What is likely wrong.
    pub likely: Option<String>,
    /// The same for people.
    #[serde(skip)]
    pub mistake: Mistake,
}

impl Probed {
    /// Whether all was asked and tried.
    pub const fn is_whole(&self) -> bool {
        !self.interrupted && self.untried.is_empty()
    }
}

impl Finding {
    /// Whether the file, or the site, is wrong.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
