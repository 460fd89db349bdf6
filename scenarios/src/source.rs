//! Source expressions: what a load wants or the sun gives, from profiles, formulas and noise.
//!
//! A source is written as a share of its component's rating; where a share would be clumsy a power may stand instead:
//! `Sum([Profile("year", "commerce_pu"), Blocks(value: "60 kW", on: "4 min", off: "11 min")])`. In a product the first
//! factor carries the size, the others are plain numbers.
//!
//! Every random source has a stream of its own, named by grid, component and place in the expression, so that adding one
//! does not move another's numbers.

use r_ems_engine::points::device::{FREQUENCY_MAX_HZ, FREQUENCY_MIN_HZ, VOLTAGE_MAX};
use r_ems_engine::rng::Stream;
use r_ems_engine::units::{Hertz, PerUnit, Watts};
use r_ems_engine::{Span, Time};
use r_ems_sim::plant::GridValue;
use r_ems_sim::sources::{
    Blocks, Course, DropOuts, MAX_PARTS, Noise, Product, Ramp, RandomWalk, SINE_CHORDS, Sine, Source,
    SourceError, Sum,
};

use crate::bounds::{self, FACTOR_MAX};
use crate::leaf::Leaf;
use crate::mistake::{Notes, suggestion};
use crate::moment::Calendar;
use crate::node::{Fields, Node, excerpt};
use crate::profile::Table;
use crate::reach::Reach;

/// Deepest nesting of one expression.
pub(crate) const MAX_SOURCE_DEPTH: u32 = 16;
/// Shortest time in which a source may change: a change every nanosecond would keep the plant busy for ever.
pub(crate) const SOURCE_STEP_MIN: Span = Span::from_millis(1);
/// The kinds of sources.
pub(crate) const KINDS: [&str; 10] =
    ["Profile", "Constant", "Sine", "Ramp", "RandomWalk", "Noise", "Blocks", "DropOuts", "Sum", "Product"];

/// What sources are made with.
pub(crate) struct Maker<'a, 't> {
    pub(crate) tables: &'a mut Vec<Table<'t>>,
    /// The names of profiles that cannot be read, which was noted.
    pub(crate) broken: Vec<String>,
    pub(crate) calendar: Calendar,
    pub(crate) seed: u64,
}

/// Where an expression stands: what its numbers are multiplied with, and what its stream is called.
#[derive(Clone, Debug)]
pub(crate) struct Stand {
    scale: Scale,
    stream: String,
    depth: u32,
}

/// What a number of an expression means.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    /// A share of a rating; a power is allowed too.
    Rating(Watts),
    /// A plain factor.
    Factor,
    /// A value of a grid, in its own unit.
    Grid(GridValue),
}

impl Stand {
    /// The whole expression of a component.
    pub(crate) fn of(rating: Watts, stream: &str) -> Self {
        Self { scale: Scale::Rating(rating), stream: stream.to_string(), depth: 0 }
    }

    /// A whole expression of plain numbers.
    pub(crate) fn plain(stream: &str) -> Self {
        Self { scale: Scale::Factor, stream: stream.to_string(), depth: 0 }
    }

    /// The course of a value of a grid.
    pub(crate) fn of_grid(what: GridValue, stream: &str) -> Self {
        Self { scale: Scale::Grid(what), stream: format!("{stream}/{}", name_of(what)), depth: 0 }
    }

    fn part(&self, position: usize, scale: Scale) -> Self {
        Self { scale, stream: format!("{}/{position}", self.stream), depth: self.depth + 1 }
    }

    /// Notes a source that goes beyond what a power or a factor can be.
    fn within(&self, shaped: Shaped, node: &Node<'_>, notes: &mut Notes) -> Option<Shaped> {
        let (is_within, allowed, unit) = match self.scale {
            Scale::Rating(_) => (shaped.reach.is_power(), bounds::powers(), " W"),
            Scale::Factor => (shaped.reach.is_factor(), format!("from -{FACTOR_MAX} to {FACTOR_MAX}"), ""),
            Scale::Grid(what) => {
                let (low, high, unit) = grid_range(what);
                let Reach { low: least, high: most } = shaped.reach;
                (least >= low && most <= high, format!("from {low} to {high}{unit}"), unit)
            }
        };
        if !is_within {
            let Reach { low, high } = shaped.reach;
            let found = if low < high { format!("{low:e} to {high:e}") } else { format!("{high:e}") };
            node.error(notes, format!("must have values {allowed}, got {found}{unit}"));
        }
        is_within.then_some(shaped)
    }

    fn factor(&self) -> f64 {
        match self.scale {
            Scale::Rating(rating) => rating.watts(),
            Scale::Factor | Scale::Grid(_) => 1.0,
        }
    }

    /// Reads a share or, where a size is meant, a power.
    fn amount(&self, node: &Node<'_>, notes: &mut Notes) -> Option<f64> {
        match self.scale {
            Scale::Rating(_) if node.text().starts_with(['"', 'r']) => {
                node.leaf::<Watts>(notes).map(Watts::watts)
            }
            Scale::Rating(rating) => {
                let value = f64::read(node).map(|share| share * rating.watts());
                let allowed = "expected a share of the rating such as 0.5 or a power such as \"60 kW\"";
                let found = || format!("{allowed}, got {}", excerpt(node.text()));
                let watts = value.map_err(|_| node.error(notes, found())).ok()?;
                if !bounds::is_power(watts) {
                    let found = excerpt(node.text());
                    let product = format!("{found} times the rating of {rating}");
                    node.error(notes, format!("must be a power {}, got {product}", bounds::powers()));
                    return None;
                }
                Some(watts)
            }
            Scale::Grid(what) => grid_amount(node, what, notes),
            Scale::Factor => {
                let factor = node.leaf::<f64>(notes)?;
                if factor.abs() > FACTOR_MAX {
                    node.error(notes, format!("must be from -{FACTOR_MAX} to {FACTOR_MAX}, got {factor:e}"));
                    return None;
                }
                Some(factor)
            }
        }
    }
}

/// A value of a grid by name.
const fn name_of(what: GridValue) -> &'static str {
    match what {
        GridValue::Voltage => "voltage",
        GridValue::Frequency => "frequency",
    }
}

/// What a value of a grid can be, and its unit.
pub(crate) const fn grid_range(what: GridValue) -> (f64, f64, &'static str) {
    match what {
        GridValue::Voltage => (0.0, VOLTAGE_MAX, " pu"),
        GridValue::Frequency => (FREQUENCY_MIN_HZ, FREQUENCY_MAX_HZ, " Hz"),
    }
}

/// Reads a value of a grid: a bare number in its unit, or a quantity in quotes.
pub(crate) fn grid_amount(node: &Node<'_>, what: GridValue, notes: &mut Notes) -> Option<f64> {
    let is_text = node.text().starts_with(['"', 'r']);
    let value = match what {
        GridValue::Voltage if is_text => node.leaf::<PerUnit>(notes).map(PerUnit::per_unit),
        GridValue::Frequency if is_text => node.leaf::<Hertz>(notes).map(Hertz::hertz),
        GridValue::Voltage | GridValue::Frequency => node.leaf::<f64>(notes),
    }?;
    let (low, high, unit) = grid_range(what);
    // A deviation is smaller than what it deviates from.
    if value.abs() > high {
        node.error(notes, format!("must be from {low} to {high}{unit}, got {value}"));
        return None;
    }
    Some(value)
}

/// A source and how far its values go.
#[derive(Debug)]
pub(crate) struct Shaped {
    pub(crate) source: Source,
    pub(crate) reach: Reach,
}

impl Maker<'_, '_> {
    /// Makes the source of an expression; whatever is wrong is noted.
    pub(crate) fn make(&mut self, node: &Node<'_>, stand: &Stand, notes: &mut Notes) -> Option<Shaped> {
        if stand.depth > MAX_SOURCE_DEPTH {
            node.error(notes, format!("sources may be nested {MAX_SOURCE_DEPTH} deep"));
            return None;
        }
        match node.name() {
            "Profile" => return self.column(node, stand, notes),
            "Sum" => return self.parts(node, stand, notes, Combination::Sum),
            "Product" => return self.parts(node, stand, notes, Combination::Product),
            "Constant" | "Sine" | "Ramp" | "RandomWalk" | "Noise" | "Blocks" | "DropOuts" => {}
            name => {
                let found = excerpt(if name.is_empty() { node.text() } else { name });
                node.error(notes, format!("unknown source `{found}`; {}", suggestion(&found, &KINDS)));
                return None;
            }
        }
        let mut fields = match node.name() {
            "Constant" => return constant(node, stand, notes),
            _ => node.fields(notes)?,
        };
        let stream = Stream::named(self.seed, &stand.stream);
        let made = match node.name() {
            "Sine" => sine(&mut fields, stand, notes),
            "Ramp" => self.ramp(&mut fields, stand, notes),
            "RandomWalk" => random_walk(&mut fields, stand, stream, notes),
            "Noise" => noise(&mut fields, stand, stream, notes),
            "Blocks" => self.blocks(&mut fields, stand, notes),
            _ => self.drop_outs(&mut fields, stand, stream, notes),
        };
        let place = fields.node().clone();
        let made = match made {
            Some(Err(error)) => {
                error_place(&fields, &error).unwrap_or(&place).error(notes, error.to_string());
                None
            }
            Some(Ok(shaped)) => stand.within(shaped, &place, notes),
            None => None,
        };
        fields.finish(notes);
        made
    }

    /// `("year", "commerce_pu")`, with or without the word `Profile` before it.
    pub(crate) fn column(&mut self, node: &Node<'_>, stand: &Stand, notes: &mut Notes) -> Option<Shaped> {
        let parts = node.positional(notes)?;
        let [table_node, column_node] = parts.as_slice() else {
            let found = parts.len();
            node.error(
                notes,
                format!("expected a profile and a column (\"year\", \"load_pu\"), got {found} values"),
            );
            return None;
        };
        let table_name: Option<String> = table_node.leaf(notes);
        let column: Option<String> = column_node.leaf(notes);
        let (table_name, column) = (table_name?, column?);
        if self.broken.contains(&table_name) {
            return None;
        }
        let Some(table) = self.tables.iter_mut().find(|table| table.name == table_name) else {
            let known: Vec<&str> = self.tables.iter().map(|table| table.name.as_str()).collect();
            let message = format!(
                "there is no profile \"{}\"; {}",
                excerpt(&table_name),
                suggestion(&table_name, &known)
            );
            table_node.error(notes, message);
            return None;
        };
        let calendar = self.calendar.is_dated.then_some(&self.calendar);
        let (profile, reach) = table.column(&column, column_node, calendar, notes)?;
        let start_ns = self.calendar.start.as_unix_nanos().saturating_sub(table.epoch.as_unix_nanos());
        let course = Course::new(profile, table.interpolation, start_ns, stand.factor());
        let course = course.map_err(|error| node.error(notes, error.to_string())).ok()?;
        if stand.depth == 0 && reach.low < 0.0 {
            let lowest = reach.low;
            column_node.warning(notes, format!("the column falls to {lowest}; values below 0 count as 0"));
        }
        let reach = reach.times(Reach::of(stand.factor()));
        stand.within(Shaped { source: Source::Course(course), reach }, node, notes)
    }

    fn parts(
        &mut self,
        node: &Node<'_>,
        stand: &Stand,
        notes: &mut Notes,
        combination: Combination,
    ) -> Option<Shaped> {
        let values = node.positional(notes)?;
        let [list] = values.as_slice() else {
            node.error(notes, format!("expected {}([source, …])", node.name()));
            return None;
        };
        let items = list.items(notes)?;
        if items.is_empty() || items.len() > MAX_PARTS {
            list.error(notes, format!("expected 1 to {MAX_PARTS} sources, got {}", items.len()));
            return None;
        }
        let mut parts = Vec::with_capacity(items.len());
        for (position, item) in items.iter().enumerate() {
            let scale = match combination {
                Combination::Product if position > 0 => Scale::Factor,
                Combination::Product | Combination::Sum => stand.scale,
            };
            parts.push(self.make(item, &stand.part(position, scale), notes));
        }
        let parts: Vec<Shaped> = parts.into_iter().collect::<Option<_>>()?;
        let reaches = parts.iter().map(|part| part.reach);
        let reach = match combination {
            Combination::Sum => reaches.fold(Reach::of(0.0), Reach::plus),
            Combination::Product => reaches.fold(Reach::of(1.0), Reach::times),
        };
        let parts: Vec<Source> = parts.into_iter().map(|part| part.source).collect();
        let made = match combination {
            Combination::Sum => Sum::new(parts).map(Source::Sum),
            Combination::Product => Product::new(parts).map(Source::Product),
        };
        let source = made.map_err(|error| node.error(notes, error.to_string())).ok()?;
        stand.within(Shaped { source, reach }, node, notes)
    }

    fn ramp(&self, fields: &mut Fields<'_>, stand: &Stand, notes: &mut Notes) -> Option<Made> {
        let from = fields.required("from", notes).and_then(|node| stand.amount(&node, notes));
        let to = fields.required("to", notes).and_then(|node| stand.amount(&node, notes));
        let begin = fields.required("begin", notes).and_then(|node| self.calendar.moment(&node, notes));
        let end = fields.required("end", notes).and_then(|node| self.calendar.moment(&node, notes));
        let (from, to) = (from?, to?);
        let ramp = Ramp::new(from, to, begin?, end?).map(Source::Ramp);
        Some(shaped(ramp, Reach::between(from, to)))
    }

    fn blocks(&self, fields: &mut Fields<'_>, stand: &Stand, notes: &mut Notes) -> Option<Made> {
        let value = fields.required("value", notes).and_then(|node| stand.amount(&node, notes));
        let on = step(fields, "on", SOURCE_STEP_MIN, notes);
        let off = step(fields, "off", SOURCE_STEP_MIN, notes);
        let first = match fields.optional("first") {
            Some(node) => self.calendar.moment(&node, notes),
            None => Some(Time::ZERO),
        };
        let value = value?;
        let blocks = Blocks::new(value, on?, off?, first?).map(Source::Blocks);
        Some(shaped(blocks, Reach::between(0.0, value)))
    }

    fn drop_outs(
        &mut self,
        fields: &mut Fields<'_>,
        stand: &Stand,
        stream: Stream,
        notes: &mut Notes,
    ) -> Option<Made> {
        let inner = fields.required("source", notes);
        let inner = inner.and_then(|node| self.make(&node, &stand.part(0, stand.scale), notes));
        let to = match fields.optional("to") {
            Some(node) => stand.amount(&node, notes),
            None => Some(0.0),
        };
        let every = step(fields, "every", SOURCE_STEP_MIN, notes);
        let lasting = step(fields, "lasting", SOURCE_STEP_MIN, notes);
        let (inner, to) = (inner?, to?);
        let reach = inner.reach.or(Reach::of(to));
        let drop_outs = DropOuts::new(inner.source, to, every?, lasting?, stream).map(Source::DropOuts);
        Some(shaped(drop_outs, reach))
    }
}

type Made = Result<Shaped, SourceError>;

fn shaped(source: Result<Source, SourceError>, reach: Reach) -> Made {
    source.map(|source| Shaped { source, reach })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Combination {
    Sum,
    Product,
}

fn constant(node: &Node<'_>, stand: &Stand, notes: &mut Notes) -> Option<Shaped> {
    let values = node.positional(notes)?;
    let [value] = values.as_slice() else {
        node.error(notes, format!("expected one value, Constant(0.5), got {}", values.len()));
        return None;
    };
    let value = stand.amount(value, notes)?;
    let made = shaped(Source::constant(value), Reach::of(value));
    made.map_err(|error| node.error(notes, error.to_string())).ok()
}

fn sine(fields: &mut Fields<'_>, stand: &Stand, notes: &mut Notes) -> Option<Made> {
    let mean = fields.required("mean", notes).and_then(|node| stand.amount(&node, notes));
    let amplitude = fields.required("amplitude", notes).and_then(|node| stand.amount(&node, notes));
    let period = step(fields, "period", SOURCE_STEP_MIN * SINE_CHORDS, notes);
    let phase = fields.leaf_or("phase", 0.0, notes);
    let (mean, amplitude) = (mean?, amplitude?);
    let sine = Sine::new(mean, amplitude, period?, phase).map(Source::Sine);
    Some(shaped(sine, Reach::around(mean, amplitude)))
}

fn random_walk(fields: &mut Fields<'_>, stand: &Stand, stream: Stream, notes: &mut Notes) -> Option<Made> {
    let start = fields.required("start", notes).and_then(|node| stand.amount(&node, notes));
    let deviation = fields.required("deviation", notes).and_then(|node| stand.amount(&node, notes));
    let every = step(fields, "every", SOURCE_STEP_MIN, notes);
    let low = fields.required("low", notes).and_then(|node| stand.amount(&node, notes));
    let high = fields.required("high", notes).and_then(|node| stand.amount(&node, notes));
    let (low, high) = (low?, high?);
    let walk = RandomWalk::new(start?, deviation?, every?, (low, high), stream).map(Source::RandomWalk);
    Some(shaped(walk, Reach::between(low, high)))
}

fn noise(fields: &mut Fields<'_>, stand: &Stand, stream: Stream, notes: &mut Notes) -> Option<Made> {
    let mean = match fields.optional("mean") {
        Some(node) => stand.amount(&node, notes),
        None => Some(0.0),
    };
    let deviation = fields.required("deviation", notes).and_then(|node| stand.amount(&node, notes));
    let every = step(fields, "every", SOURCE_STEP_MIN, notes);
    let (mean, deviation) = (mean?, deviation?);
    let noise = Noise::new(mean, deviation, every?, stream).map(Source::Noise);
    Some(shaped(noise, Reach::normal(mean, deviation)))
}

/// A span of at least `shortest`.
fn step(fields: &mut Fields<'_>, name: &'static str, shortest: Span, notes: &mut Notes) -> Option<Span> {
    let span: Span = fields.leaf(name, notes)?;
    if span < shortest {
        fields.place(name).error(notes, format!("must be at least {shortest}, got {span}"));
        return None;
    }
    Some(span)
}

/// The field that a source complains about, if it names one.
fn error_place<'f, 't>(fields: &'f Fields<'t>, error: &SourceError) -> Option<&'f Node<'t>> {
    match error {
        SourceError::ZeroSpan { parameter } | SourceError::OutOfRange { parameter, .. } => {
            Some(fields.place(if *parameter == "distance" { "every" } else { parameter }))
        }
        SourceError::Shape { .. } | SourceError::NotIncreasing { .. } | SourceError::Parts { .. } => None,
    }
}
