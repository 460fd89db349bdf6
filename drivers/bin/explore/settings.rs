//! How what outlives controllers is kept in a run: settings that are drawn beside faults, because what a crash finds depends on
//! both. They stand in a case, shrink away, and are saved as the scenario's field `set`.

use std::fmt;

use r_ems_engine::Span;

/// A value that a run sets in its scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// Of what.
    pub path: &'static str,
    /// The value as the language writes it.
    pub value: &'static str,
    /// The time between two of what it makes a disk do, if it says one: crashes near that are drawn more often.
    pub beat: Option<Span>,
}

/// Has disks simulated where the scenario's site keeps nothing: what else is set needs them.
pub const KEPT: Setting = of("persistence", "()");

/// What is drawn: of each line one value, or none.
pub const DRAWN: [&[Setting]; 5] = [
    &[
        of("persistence.sync", "Strict"),
        at("persistence.sync", "\"5 ms\"", Span::from_millis(5)),
        at("persistence.sync", "\"1 s\"", Span::from_secs(1)),
    ],
    &[at("persistence.snapshots", "(every: \"100 ms\")", Span::from_millis(100))],
    &[of("persistence.keep", "1")],
    &[of("persistence.rotate", "\"64 kB\"")],
    &[of("persistence.auto_replay", "false")],
];

const fn of(path: &'static str, value: &'static str) -> Setting {
    Setting { path, value, beat: None }
}

const fn at(path: &'static str, value: &'static str, beat: Span) -> Setting {
    Setting { path, value, beat: Some(beat) }
}

/// Settings as they stand in a scenario.
pub fn map(settings: &[Setting]) -> String {
    let entries: Vec<String> = settings.iter().map(ToString::to_string).collect();
    format!("{{ {} }}", entries.join(", "))
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.path, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_the_language_reads_them() {
        let text = map(&[KEPT, DRAWN[0][1]]);
        assert_eq!(text, "{ \"persistence\": (), \"persistence.sync\": \"5 ms\" }");
    }
}
