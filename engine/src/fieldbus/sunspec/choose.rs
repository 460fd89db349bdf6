//! What a device's models are used for: its points, the requests of its set-point, its heartbeat.

use alloc::vec::Vec;

use super::models::{self, Command, Field};
use super::{ByModels, Missing, Model};
use crate::fieldbus::map::{Fixed, Guard, MappedPoint, ModelHead, Otherwise};
use crate::fieldbus::pdu::Table;
use crate::fieldbus::plan::ReadLimits;
use crate::fieldbus::register::{Layout, NumberType, Unknown, WordOrder};
use crate::fieldbus::write::{FieldContent, Heartbeat, WriteFunction, WriteRequest, WrittenField};
use crate::ids::PointIndex;
use crate::points::{DeviceClass, PointKind, Priority};
use crate::time::Span;

/// A set-point is its value, its reversion time, and that it is in force; a reactive one as much again.
pub(super) const MOST_WRITES: usize = 3;
/// So many registers the longest of these requests has.
pub(super) const LONGEST_WRITE: usize = 2;
/// And that of a reactive set-point, with which power comes first.
pub(super) const LONGEST_REACTIVE: usize = 3;
/// The head of the model that hears heartbeats, and what shares are shares of; those of a reactive set-point come beside.
pub(super) const MOST_FIXED: usize = 2;
/// One of a hundred.
const PERCENT: f64 = 0.01;

/// What the map of a device becomes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) points: Vec<MappedPoint>,
    /// What must stay as it is.
    pub(crate) fixed: Vec<Fixed>,
    pub(crate) writes: Vec<WriteRequest>,
    pub(crate) heartbeat: Option<Heartbeat>,
}

/// Chooses what a device's models are used for.
///
/// # Errors
/// The first thing that they have not.
pub(crate) fn choose(models: &[Model], by: &ByModels, limits: ReadLimits) -> Result<Chosen, Missing> {
    let device = Device { models, by, most: limits.most() };
    let controls = Controls { active: device.control()?, reactive: device.reactive()? };
    let mut points = Vec::new();
    for (place, kind) in by.kinds.iter().enumerate() {
        let point = PointIndex::of(by.first_point.position() + place);
        points.push(device.point(kind, point, &controls)?);
    }
    let heard = by.heartbeat.map(|timeout| device.heartbeat(timeout)).transpose()?;
    let (heartbeat, head) = heard.unzip();
    let (mut fixed, mut writes): (Vec<Fixed>, Vec<WriteRequest>) = (head.into_iter().collect(), Vec::new());
    for control in [controls.active, controls.reactive].into_iter().flatten() {
        writes.extend(control.writes);
        // Both may be shares of the same.
        let is_new = |most: &Fixed| !fixed.contains(most);
        let most = control.most.filter(is_new);
        fixed.extend(most);
    }
    Ok(Chosen { points, fixed, writes, heartbeat })
}

struct Device<'a> {
    models: &'a [Model],
    by: &'a ByModels,
    /// Most registers of one request.
    most: u16,
}

/// How the set-points of a device are written: the reactive one comes after the other.
struct Controls {
    active: Option<Control>,
    reactive: Option<Control>,
}

/// How a set-point of a device is written, and where it is seen what is in force.
struct Control {
    writes: Vec<WriteRequest>,
    command: Command,
    /// What one of the number is, in W or var.
    scale: f64,
    /// What is in force where the command is not, in W or var.
    otherwise: f64,
    /// What the number is a share of.
    most: Option<Fixed>,
}

impl Controls {
    /// That by which a set-point is written.
    const fn of(&self, kind: PointKind) -> Option<&Control> {
        match kind {
            PointKind::SetPoint => self.active.as_ref(),
            PointKind::ReactiveSetPoint => self.reactive.as_ref(),
            PointKind::Power
            | PointKind::StateOfCharge
            | PointKind::ChargeLimit
            | PointKind::DischargeLimit
            | PointKind::ReactivePower
            | PointKind::Voltage
            | PointKind::Frequency
            | PointKind::Signal
            | PointKind::State
            | PointKind::Closed
            | PointKind::Mode
            | PointKind::Remote => None,
        }
    }
}

impl Device<'_> {
    /// The first model that has a number, and may be used.
    fn model(&self, field: Field) -> Option<&Model> {
        self.models.iter().find(|model| model.has(field) && self.by.uses(model.id))
    }

    /// A number when its model was looked at, if there is one.
    fn value(&self, field: Field) -> Option<f64> {
        self.model(field)?.value(field)
    }

    /// The first of the numbers that is implemented.
    fn first(&self, candidates: &[Field]) -> Option<Field> {
        candidates.iter().copied().find(|field| self.value(*field).is_some())
    }

    fn point(&self, kind: PointKind, point: PointIndex, controls: &Controls) -> Result<MappedPoint, Missing> {
        // An inverter that sleeps does not know its power: what counts is that it has a register for it.
        let fits = |field: &Field| self.model(*field).is_some() && field.reach() <= self.most;
        let has = |candidates: &[Field]| candidates.iter().copied().find(fits);
        let first = |candidates: &[Field]| self.first(candidates).or_else(|| has(candidates));
        let control = controls.of(kind);
        let (field, scale) = match kind {
            PointKind::Power if self.by.class == DeviceClass::Meter => (has(&models::METERED), 1.0),
            PointKind::Power => (has(&models::POWER), 1.0),
            PointKind::ReactivePower if self.by.class == DeviceClass::Meter => {
                (has(&models::METERED_REACTIVE), 1.0)
            }
            PointKind::ReactivePower => (has(&models::REACTIVE), 1.0),
            PointKind::Frequency => (has(&models::FREQUENCY), 1.0),
            PointKind::Voltage => self
                .by
                .nominal
                .map_or((None, 1.0), |nominal| (has(nominal.measured()), nominal.volts().volts().recip())),
            PointKind::Signal
            | PointKind::State
            | PointKind::Closed
            | PointKind::Mode
            | PointKind::Remote => (None, 1.0),
            PointKind::StateOfCharge => (first(&models::CHARGE), PERCENT),
            PointKind::ChargeLimit => (self.first(&models::CHARGE_LIMIT), 1.0),
            PointKind::DischargeLimit => (self.first(&models::DISCHARGE_LIMIT), 1.0),
            PointKind::SetPoint | PointKind::ReactiveSetPoint => {
                control.map_or((None, 1.0), |control| (Some(control.command.set), control.scale))
            }
        };
        let field = field.ok_or(Missing::Point(kind))?;
        let model = self.model(field).ok_or(Missing::Point(kind))?;
        let guard = control.map(|control| Guard {
            address: model.address + control.command.on.at,
            layout: control.command.on.layout(1.0),
            is: control.command.is_on,
            otherwise: Otherwise::Value(control.otherwise),
        });
        Ok(MappedPoint {
            point,
            table: Table::HoldingRegisters,
            address: model.address + field.at,
            layout: field.layout(scale),
            factor: field.factor.map(|factor| model.address + factor),
            guard,
            model: Some(ModelHead {
                address: model.address,
                id: model.id,
                length: model.length,
                factor: guard.and_then(|_| model.factor(field)).filter(|_| field.factor.is_some()),
            }),
        })
    }

    fn control(&self) -> Result<Option<Control>, Missing> {
        let found = match self.by.class {
            DeviceClass::Meter | DeviceClass::Signal => return Ok(None),
            DeviceClass::Genset | DeviceClass::Load | DeviceClass::Breaker => None,
            DeviceClass::Battery => self.power().or_else(|| self.rates()),
            DeviceClass::Pv => self
                .limit(&models::POWER_MAX_702, models::LIMIT_704)
                .or_else(|| self.limit(&models::POWER_MAX_121, models::LIMIT_123)),
        };
        found.map(Some).ok_or(Missing::Control)
    }

    /// A battery's power in W, by model 704.
    fn power(&self) -> Option<Control> {
        self.control_by(models::POWER_704, FieldContent::SetPoint, &[1.0], (None, 0.0))
    }

    /// The reactive set-point of a device that takes one.
    fn reactive(&self) -> Result<Option<Control>, Missing> {
        let Some(priority) = self.by.reactive else { return Ok(None) };
        let found = self.vars(priority).or_else(|| self.share_of_vars());
        found.map(Some).ok_or(Missing::Point(PointKind::ReactiveSetPoint))
    }

    /// Reactive power in var, by model 704, with which power comes first where the device lets that be said.
    fn vars(&self, priority: Priority) -> Option<Control> {
        let content = FieldContent::ReactiveSetPoint;
        let mut control = self.control_by(models::REACTIVE_704, content, &[1.0], (None, 0.0))?;
        let field = models::PRIORITY_704;
        if let (Some(_), Some(switches)) = (self.value(field), control.writes.last_mut()) {
            let content = FieldContent::Constant(models::priority(priority));
            let layout = Layout { unknown: Unknown::Never, ..field.layout(1.0) };
            switches.fields.push(WrittenField { content, layout, most: None });
        }
        Some(control)
    }

    /// Reactive power as a share of the most active power, by model 123.
    fn share_of_vars(&self) -> Option<Control> {
        let (most, fixed) = self.most(&models::POWER_MAX_121)?;
        let content = FieldContent::ReactiveSetPoint;
        let control = self.control_by(models::REACTIVE_123, content, &[PERCENT * most], (None, 0.0))?;
        Some(Control { most: Some(fixed), ..control })
    }

    /// A battery's power in shares of the most, by model 124: the highest rate of discharge, and the lowest.
    fn rates(&self) -> Option<Control> {
        let (most, fixed) = self.most(&[models::STORAGE_MAX])?;
        let percent = PERCENT * most;
        let control = self.control_by(
            models::DISCHARGE_124,
            FieldContent::SetPoint,
            &[percent, -percent],
            (Some(most), 0.0),
        )?;
        Some(Control { most: Some(fixed), ..control })
    }

    /// An inverter's highest power as a share of the most.
    fn limit(&self, most: &[Field], command: Command) -> Option<Control> {
        let (most, fixed) = self.most(most)?;
        let control =
            self.control_by(command, FieldContent::SetPoint, &[PERCENT * most], (Some(most), most))?;
        Some(Control { most: Some(fixed), ..control })
    }

    /// What shares are shares of, in W, and the registers that say so.
    fn most(&self, candidates: &[Field]) -> Option<(f64, Fixed)> {
        let field = self.first(candidates)?;
        let model = self.model(field)?;
        let most = model.value(field).filter(|most| *most > 0.0)?;
        let places = [0, 1].into_iter().chain(field.at..field.end()).chain(field.factor);
        Some((most, model.fixed(places)?))
    }

    /// By a number with each of these scales in a row, the time-out where there is one, and that it is in force. Of the power no
    /// more is set than `most`, and it is `otherwise` where nothing is in force.
    fn control_by(
        &self,
        command: Command,
        content: FieldContent,
        scales: &[f64],
        (most, otherwise): (Option<f64>, f64),
    ) -> Option<Control> {
        let Command { set, reverts, on, is_on } = command;
        let model = self.model(set)?;
        let factor = model.factor(set)?;
        // Whether all this is implemented shows at the switch: a number need not be known before it was set.
        model.value(on).filter(|_| model.is_implemented(on))?;
        let request = |field: Field, fields| WriteRequest {
            address: model.address + field.at,
            function: WriteFunction::Registers,
            is_read_back: false,
            fields,
        };
        let written = |content, layout| WrittenField {
            content,
            layout: Layout { unknown: Unknown::Never, ..layout },
            most,
        };
        let constant = |field: Field, value| {
            request(field, Vec::from([written(FieldContent::Constant(value), field.layout(1.0))]))
        };
        let layouts = scales.iter().filter_map(|scale| set.layout(*scale).scaled(factor));
        let values = layouts.map(|layout| written(content, layout));
        let mut writes = Vec::from([request(set, values.collect())]);
        if model.value(reverts).is_some() {
            let seconds = self.by.reversion.as_nanos().div_ceil(Span::from_secs(1).as_nanos());
            writes.push(constant(reverts, seconds as f64));
        }
        writes.push(constant(on, is_on));
        Some(Control { writes, command, scale: scales[0], otherwise, most: None })
    }

    fn heartbeat(&self, timeout: Span) -> Result<(Heartbeat, Fixed), Missing> {
        let field = self.first(&models::HEARTBEATS).ok_or(Missing::Heartbeat)?;
        let model = self.model(field).ok_or(Missing::Heartbeat)?;
        let head = model.fixed([0, 1].into_iter()).ok_or(Missing::Heartbeat)?;
        let layout = Layout {
            number: field.number,
            order: WordOrder::HighFirst,
            scale: 1.0,
            offset: 0.0,
            unknown: Unknown::Never,
        };
        let fields = Vec::from([WrittenField { content: FieldContent::Counter, layout, most: None }]);
        let function =
            if field.number == NumberType::U16 { WriteFunction::Register } else { WriteFunction::Registers };
        let address = model.address + field.at;
        let request = WriteRequest { address, function, is_read_back: false, fields };
        Ok((Heartbeat { timeout, request }, head))
    }
}
