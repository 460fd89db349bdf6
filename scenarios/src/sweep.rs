//! Sweeps: a value of a scenario that takes several values, one after the other: `plant.commerce.bess.capacity=250,500,1000kWh`.
//!
//! Each value is what `--set` takes, so that what a sweep sets is checked like what is written. A comma within quotes or brackets
//! belongs to a value. Where the last value is a number with a unit, it is that of every number without one.
//!
//! Several axes make every combination: the first changes slowest, as digits of a number do.

use std::fmt;
use std::str::FromStr;

use crate::node::excerpt;
use crate::steps::{Step, parsed, shown};

/// Most runs of a sweep, all combinations of all axes counted.
pub const MAX_SWEEP_RUNS: usize = 10_000;

/// One value that is swept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    path: String,
    steps: Vec<Step>,
    values: Vec<String>,
}

/// Every combination of some axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    axes: Vec<Axis>,
    runs: usize,
}

impl FromStr for Axis {
    type Err = String;

    /// Reads `path=value,value,…`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (steps, listed) = parsed(text)?;
        let path = text[..text.len() - listed.len()].trim_end_matches('=').trim().to_owned();
        let mut values: Vec<String> =
            split(listed)?.into_iter().map(|value| value.trim().to_owned()).collect();
        if values.iter().any(String::is_empty) {
            let found = excerpt(listed);
            return Err(format!(
                "{path}: expected values with commas between, such as 250,500,1000kWh, got {found}"
            ));
        }
        let unit = values.last().and_then(|last| quantity(last)).map_or("", |parts| parts.1).to_owned();
        for value in &mut values {
            if value.parse::<f64>().is_ok() {
                value.push_str(&unit);
            }
        }
        if let Some(twice) = values.iter().enumerate().find(|(place, value)| values[..*place].contains(value))
        {
            return Err(format!("{path}: each value is given once, got {} twice", excerpt(twice.1)));
        }
        Ok(Self { path, steps, values })
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.path, self.values.join(","))
    }
}

impl Axis {
    /// What it is called in a table: the path, and the unit in brackets if all of its values are numbers with that unit.
    pub fn title(&self) -> String {
        match self.unit() {
            Some(unit) => format!("{} [{unit}]", self.path),
            None => self.path.clone(),
        }
    }

    /// What a table has of a value: the number where the title has its unit, else the value as it is set.
    fn cell<'v>(&self, value: &'v str) -> &'v str {
        match (self.unit(), quantity(value)) {
            (Some(_), Some((number, _))) => number,
            (Some(_) | None, Some(_) | None) => value,
        }
    }

    /// The unit that all values have.
    fn unit(&self) -> Option<&str> {
        let mut units = self.values.iter().map(|value| quantity(value).map(|parts| parts.1));
        let first = units.next().flatten()?;
        units.all(|unit| unit == Some(first)).then_some(first)
    }

    fn setting(&self, place: usize) -> String {
        format!("{}={}", self.path, self.values[place])
    }
}

impl Sweep {
    /// Combines axes.
    ///
    /// # Errors
    /// One value that is swept twice, and more than [`MAX_SWEEP_RUNS`] combinations.
    pub fn new(axes: Vec<Axis>) -> Result<Self, String> {
        let mut runs = 1_usize;
        for (place, axis) in axes.iter().enumerate() {
            if axes[..place].iter().any(|other| other.steps == axis.steps) {
                return Err(format!("{} is swept twice; give all of its values at once", axis.path));
            }
            runs = runs.saturating_mul(axis.values.len());
        }
        if runs > MAX_SWEEP_RUNS {
            let found = if runs == usize::MAX { "more".to_owned() } else { runs.to_string() };
            return Err(format!(
                "expected at most {MAX_SWEEP_RUNS} runs, which all combinations are, got {found}"
            ));
        }
        Ok(Self { axes, runs })
    }

    /// How many combinations there are.
    pub const fn runs(&self) -> usize {
        self.runs
    }

    /// The axes, in the order in which they were given.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// What a run sets, as `path=value`, an axis after the other.
    pub fn settings(&self, run: usize) -> Vec<String> {
        self.places(run).into_iter().zip(&self.axes).map(|(place, axis)| axis.setting(place)).collect()
    }

    /// What a table has of the values of a run.
    pub fn cells(&self, run: usize) -> Vec<String> {
        let cell = |(place, axis): (usize, &Axis)| axis.cell(&axis.values[place]).to_owned();
        self.places(run).into_iter().zip(&self.axes).map(cell).collect()
    }

    /// Runs that have every value of every axis between them: whether a value can be read is found by these.
    pub fn samples(&self) -> Vec<usize> {
        let mut stride = self.runs;
        let mut samples = vec![0];
        for axis in &self.axes {
            stride /= axis.values.len();
            samples.extend((1..axis.values.len()).map(|place| place * stride));
        }
        samples
    }

    /// By axis: the place of its value in a run.
    fn places(&self, run: usize) -> Vec<usize> {
        assert!(run < self.runs, "a sweep has {} runs, there is no run {run}", self.runs);
        let mut stride = self.runs;
        let mut place = |axis: &Axis| {
            stride /= axis.values.len();
            run / stride % axis.values.len()
        };
        self.axes.iter().map(&mut place).collect()
    }
}

/// A number and its unit: `1000kWh`, `50 %`.
fn quantity(value: &str) -> Option<(&str, &str)> {
    let letter = value.find(|letter: char| letter.is_ascii_alphabetic() || letter == '%')?;
    let (number, unit) = value.split_at(letter);
    let number = number.trim_end();
    number.parse::<f64>().is_ok().then_some((number, unit))
}

/// Splits a text at its commas, but for those within quotes and brackets.
fn split(listed: &str) -> Result<Vec<&str>, String> {
    let (mut values, mut begin, mut depth, mut is_quoted, mut is_escaped) =
        (Vec::new(), 0, 0_usize, false, false);
    for (at, letter) in listed.char_indices() {
        let was_escaped = std::mem::take(&mut is_escaped);
        match letter {
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            '"' if !was_escaped => is_quoted = !is_quoted,
            '(' | '[' | '{' if !is_quoted => depth += 1,
            ')' | ']' | '}' if !is_quoted => depth = depth.saturating_sub(1),
            ',' if !is_quoted && depth == 0 => {
                values.push(&listed[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if is_quoted || depth > 0 {
        return Err(format!(
            "expected values in which quotes and brackets are closed, got {}",
            shown(listed)
        ));
    }
    values.push(&listed[begin..]);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(text: &str) -> Axis {
        text.parse().expect(text)
    }

    #[test]
    fn the_unit_behind_the_last_value_is_that_of_all_numbers_without_one() {
        let capacity = axis("plant.commerce.bess.capacity=250, 500,1000kWh");
        assert_eq!(capacity.values, ["250kWh", "500kWh", "1000kWh"]);
        assert_eq!(capacity.title(), "plant.commerce.bess.capacity [kWh]");
        assert_eq!(axis("a.b=1 MWh,2.5 kWh").values, ["1 MWh", "2.5 kWh"]);
        assert_eq!(axis("a.b=10,20 %").values, ["10%", "20 %"]);
        // A unit that does not stand behind the last one is that of its own number.
        assert_eq!(axis("a.b=1kWh,2").values, ["1kWh", "2"]);
    }

    #[test]
    fn values_that_are_no_quantities_stay_as_they_are() {
        assert_eq!(axis("seed=1,2,3").values, ["1", "2", "3"]);
        assert_eq!(axis("a.mode=Off,Running").values, ["Off", "Running"]);
        let windows = axis("a.window=Mean(\"15 min\"),Instant,(\"x,y\", [1, 2])");
        assert_eq!(windows.values, ["Mean(\"15 min\")", "Instant", "(\"x,y\", [1, 2])"]);
        assert_eq!(windows.title(), "a.window");
        assert_eq!(axis("a.name=\"x, \\\"y\",z").values, ["\"x, \\\"y\"", "z"]);
    }

    #[test]
    fn what_is_no_list_of_values_is_refused_with_its_path_and_what_was_found() {
        let refused = |text: &str| text.parse::<Axis>().expect_err(text);
        assert_eq!(
            refused("a.b=1,,2"),
            "a.b: expected values with commas between, such as 250,500,1000kWh, got 1,,2"
        );
        assert!(refused("a.b=").contains("a.b: expected values"));
        assert_eq!(refused("a.b=1,2,1"), "a.b: each value is given once, got 1 twice");
        // The unit makes two of them the same.
        assert!(refused("a.b=5,5kW").contains("got 5kW twice"));
        assert!(refused("a.b=(1,2").contains("closed"));
        assert!(refused("1,2").contains("expected path=value"));
    }

    #[test]
    fn axes_make_every_combination_and_the_first_changes_slowest() {
        let sweep = Sweep::new(vec![axis("a=1,2kW"), axis("b=x,y,z")]).expect("two axes");
        assert_eq!(sweep.runs(), 6);
        let cells: Vec<String> = (0..6).map(|run| sweep.cells(run).join(" ")).collect();
        assert_eq!(cells, ["1 x", "1 y", "1 z", "2 x", "2 y", "2 z"]);
        assert_eq!(sweep.settings(4), ["a=2kW", "b=y"]);
        // Each value once, beside the first of the others.
        assert_eq!(sweep.samples(), [0, 3, 1, 2]);
    }

    #[test]
    fn a_sweep_has_at_most_so_many_runs() {
        let numbers = |name: &str, count: usize| {
            let values: Vec<String> = (0..count).map(|value| value.to_string()).collect();
            axis(&format!("{name}={}", values.join(",")))
        };
        let inside = Sweep::new(vec![numbers("a", 100), numbers("b", MAX_SWEEP_RUNS / 100)]);
        assert_eq!(inside.map(|sweep| sweep.runs()), Ok(MAX_SWEEP_RUNS));
        let outside = Sweep::new(vec![numbers("a", 100), numbers("b", MAX_SWEEP_RUNS / 100 + 1)]);
        assert_eq!(
            outside,
            Err("expected at most 10000 runs, which all combinations are, got 10100".to_owned())
        );
        let twice = Sweep::new(vec![axis("a.b=1"), axis("a.\"b\"=2")]);
        assert_eq!(twice, Err("a.\"b\" is swept twice; give all of its values at once".to_owned()));
    }
}
