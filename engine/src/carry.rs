//! What a controller carries over to another host, or to a life of another version: the memory behind its decisions, as bytes
//! without a clock.
//!
//! Each owner of memory passes it, field by field and in a fixed order, to one [`Carry`]; the same code saves, checks and
//! restores, so that the three cannot disagree. Instants travel as ages: they are saved as how long ago they were and restored
//! on the receiver's own clock.
//!
//! **Whole or not at all.** What is to be restored is checked by a pass of its own before, with the same visitor; a restore of
//! bytes that passed cannot fail. Hysteresis and timers of memory that is too old are read and not taken. **Invariants:** the
//! checking pass changes nothing; bytes from outside cannot make it panic or allocate.

use alloc::vec::Vec;

use crate::log::varint::{Cursor, put_signed};
use crate::points::device::believed;
use crate::time::LocalTime;
use crate::units::{Vars, Watts};

/// Most bytes of one controller's memory: a unit of it travels in one datagram.
pub const MAX_CARRIED_BYTES: usize = 60_000;
/// Most entries of one list.
pub const MAX_CARRIED_LIST: usize = 4_096;

/// Visits memory in order to save it, to check bytes, or to restore it from them.
#[derive(Debug)]
pub struct Carry<'a> {
    pass: Pass<'a>,
    /// The clock of the host on which this pass runs.
    now: LocalTime,
    version: u16,
    is_sound: bool,
    /// What is restored is too old for hysteresis and timers.
    is_old: bool,
    /// Hysteresis or timers are visited.
    visits_timers: bool,
}

#[derive(Debug)]
enum Pass<'a> {
    Save(&'a mut Vec<u8>),
    Check(Cursor<'a>),
    Restore(Cursor<'a>),
}

impl<'a> Carry<'a> {
    /// Appends what it visits to `bytes`.
    pub const fn saving(now: LocalTime, bytes: &'a mut Vec<u8>) -> Self {
        Self::of(now, Pass::Save(bytes))
    }

    /// Checks whether `bytes` could be restored; changes nothing that it visits.
    pub const fn checking(now: LocalTime, bytes: &'a [u8]) -> Self {
        Self::of(now, Pass::Check(Cursor::new(bytes, 0)))
    }

    /// Restores what it visits from `bytes` that a checking pass found sound.
    pub const fn restoring(now: LocalTime, bytes: &'a [u8]) -> Self {
        Self::of(now, Pass::Restore(Cursor::new(bytes, 0)))
    }

    /// Restores the same but hysteresis and timers, which are as they were.
    #[must_use]
    pub const fn without_timers(self) -> Self {
        Self { is_old: true, ..self }
    }

    const fn of(now: LocalTime, pass: Pass<'a>) -> Self {
        Self { pass, now, version: 0, is_sound: true, is_old: false, visits_timers: false }
    }

    /// Begins a part whose form has a version of its own. The part then reads older forms by [`Carry::version`]; a newer
    /// one than `version` is not understood.
    pub fn part(&mut self, version: u16) {
        let found = self.pass_number(i64::from(version));
        match u16::try_from(found) {
            Ok(found) if found <= version => self.version = found,
            Ok(_) | Err(_) => self.is_sound = false,
        }
    }

    /// The version of the form in which the part that began last is written.
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Visits hysteresis and timers: what says nothing any more when it is a minute old, because what was measured since says
    /// more. What is to be kept longer, such as the energy of a window that is billed, is visited outside.
    pub fn timers(&mut self, visit: impl FnOnce(&mut Self)) {
        let visits_timers = core::mem::replace(&mut self.visits_timers, true);
        visit(self);
        self.visits_timers = visits_timers;
    }

    /// The clock of the host on which this pass runs.
    pub const fn now(&self) -> LocalTime {
        self.now
    }

    /// Visits a yes or no.
    pub fn flag(&mut self, value: &mut bool) {
        let found = self.pass_flag(*value);
        if self.restores() {
            *value = found;
        }
    }

    /// Visits a whole number.
    pub fn number(&mut self, value: &mut i64) {
        let found = self.pass_number(*value);
        if self.restores() {
            *value = found;
        }
    }

    /// Visits a finite number.
    pub fn real(&mut self, value: &mut f64) {
        let found = self.pass_real(*value);
        if self.restores() {
            *value = found;
        }
    }

    /// Visits a number of the size of a measurement; a larger one is brought within what is believed, so that sums stay
    /// finite.
    pub fn bounded(&mut self, value: &mut f64) {
        self.real(value);
        *value = believed(*value);
    }

    /// Visits one of a few states, as its place among `all`; a place that is none of them restores the first.
    pub fn choice<T: Copy + PartialEq>(&mut self, value: &mut T, all: &[T]) {
        let place = all.iter().position(|one| one == value).unwrap_or(0);
        let found = self.pass_number(place as i64);
        if self.restores() {
            let place = usize::try_from(found).unwrap_or(0);
            *value = all.get(place).or_else(|| all.first()).copied().unwrap_or(*value);
        }
    }

    /// Visits a power.
    pub fn watts(&mut self, value: &mut Watts) {
        let found = self.pass_real(value.watts());
        if self.restores() {
            *value = Watts::of(believed(found));
        }
    }

    /// Visits a reactive power.
    pub fn vars(&mut self, value: &mut Vars) {
        let found = self.pass_real(value.vars());
        if self.restores() {
            *value = Vars::of(believed(found));
        }
    }

    /// Visits an instant of the own clock; it travels as its age, which is negative for what is still to come.
    pub fn instant(&mut self, value: &mut LocalTime) {
        let now = self.now.as_nanos();
        let age = self.pass_number(now.wrapping_sub(value.as_nanos()) as i64);
        if self.restores() {
            let distance = age.unsigned_abs();
            let then = if age < 0 { now.saturating_add(distance) } else { now.saturating_sub(distance) };
            *value = LocalTime::from_nanos(then);
        }
    }

    /// Visits what may be absent.
    pub fn option<T: Default>(&mut self, value: &mut Option<T>, visit: impl FnOnce(&mut Self, &mut T)) {
        let is_there = self.pass_flag(value.is_some());
        if self.restores() {
            *value = if is_there { Some(value.take().unwrap_or_default()) } else { None };
        }
        if is_there && self.is_sound {
            match value {
                Some(value) => visit(self, value),
                None => visit(self, &mut T::default()),
            }
        }
    }

    /// Visits the entries of a list; restored, it has as many as the saved one.
    ///
    /// # Panics
    /// If a list with more than [`MAX_CARRIED_LIST`] entries is to be saved.
    pub fn list<T: Default + Clone>(&mut self, list: &mut Vec<T>, mut visit: impl FnMut(&mut Self, &mut T)) {
        assert!(list.len() <= MAX_CARRIED_LIST, "a carried list is bounded");
        let found = usize::try_from(self.pass_number(list.len() as i64));
        let Some(length) = found.ok().filter(|length| *length <= MAX_CARRIED_LIST) else {
            self.is_sound = false;
            return;
        };
        if self.restores() {
            list.resize(length, T::default());
        }
        for place in 0..length {
            if !self.is_sound {
                return;
            }
            match list.get_mut(place) {
                Some(entry) => visit(self, entry),
                None => visit(self, &mut T::default()),
            }
        }
    }

    /// Ends a pass.
    ///
    /// # Errors
    /// [`Unsound`] if the bytes are no memory of what was visited, or more than that.
    ///
    /// # Panics
    /// If what was saved is larger than [`MAX_CARRIED_BYTES`]: a law's memory is bounded.
    pub fn finish(self) -> Result<(), Unsound> {
        let rest = match &self.pass {
            Pass::Save(bytes) => {
                assert!(bytes.len() <= MAX_CARRIED_BYTES, "a controller's memory is bounded");
                0
            }
            Pass::Check(cursor) | Pass::Restore(cursor) => cursor.rest(),
        };
        if self.is_sound && rest == 0 { Ok(()) } else { Err(Unsound) }
    }

    /// Saves a number, or reads the one that was saved.
    fn pass_number(&mut self, number: i64) -> i64 {
        let found = match &mut self.pass {
            Pass::Save(bytes) => {
                put_signed(bytes, number);
                return number;
            }
            Pass::Check(cursor) | Pass::Restore(cursor) => cursor.signed(),
        };
        self.sound(found.ok())
    }

    fn pass_flag(&mut self, flag: bool) -> bool {
        let found = self.pass_number(i64::from(flag));
        self.is_sound &= found == 0 || found == 1;
        found == 1
    }

    fn pass_real(&mut self, number: f64) -> f64 {
        let found = match &mut self.pass {
            Pass::Save(bytes) => {
                bytes.extend_from_slice(&number.to_bits().to_le_bytes());
                return number;
            }
            Pass::Check(cursor) | Pass::Restore(cursor) => cursor.f64(),
        };
        self.sound(found.ok().filter(|found| found.is_finite()))
    }

    fn sound<T: Default>(&mut self, found: Option<T>) -> T {
        self.is_sound &= found.is_some();
        found.unwrap_or_default()
    }

    /// Whether what is visited takes what the bytes say.
    pub const fn restores(&self) -> bool {
        self.is_sound && matches!(self.pass, Pass::Restore(_)) && !(self.is_old && self.visits_timers)
    }
}

/// Says that bytes are no memory of the controller that was to take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsound;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that can be visited.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Kept {
        is_on: bool,
        count: i64,
        sum: f64,
        power: Watts,
        since: Option<LocalTime>,
        each: Vec<Option<LocalTime>>,
        timers: Vec<Option<LocalTime>>,
    }

    impl Kept {
        fn carry(&mut self, carry: &mut Carry<'_>) {
            carry.part(1);
            carry.flag(&mut self.is_on);
            carry.number(&mut self.count);
            carry.real(&mut self.sum);
            carry.watts(&mut self.power);
            carry.option(&mut self.since, Carry::instant);
            carry.timers(|carry| {
                carry.list(&mut self.timers, |carry, entry| carry.option(entry, Carry::instant));
            });
            carry.list(&mut self.each, |carry, entry| carry.option(entry, Carry::instant));
        }
    }

    fn at(nanos: u64) -> LocalTime {
        LocalTime::from_nanos(nanos)
    }

    fn kept() -> impl Strategy<Value = Kept> {
        let instant = || proptest::option::of((0..1_u64 << 40).prop_map(at));
        let list = || proptest::collection::vec(instant(), 0..5);
        (any::<bool>(), any::<i64>(), -1e9..1e9_f64, -1e9..1e9_f64, instant(), list(), list()).prop_map(
            |(is_on, count, sum, power, since, each, timers)| Kept {
                is_on,
                count,
                sum,
                power: Watts::of(power),
                since,
                each,
                timers,
            },
        )
    }

    fn saved(kept: &Kept, now: LocalTime) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut carry = Carry::saving(now, &mut bytes);
        kept.clone().carry(&mut carry);
        carry.finish().expect("saving cannot fail");
        bytes
    }

    fn restored(into: &Kept, now: LocalTime, bytes: &[u8]) -> Result<Kept, Unsound> {
        let mut kept = into.clone();
        let mut carry = Carry::checking(now, bytes);
        kept.carry(&mut carry);
        assert_eq!(kept, *into, "a check changes nothing");
        carry.finish()?;
        let mut carry = Carry::restoring(now, bytes);
        kept.carry(&mut carry);
        carry.finish().expect("what was checked can be restored");
        Ok(kept)
    }

    proptest! {
        #[test]
        fn what_was_saved_is_restored_with_its_ages_on_another_clock(from in kept(), into in kept()) {
            let (here, there) = (at(1 << 41), at(1 << 43));
            let kept = restored(&into, there, &saved(&from, here)).expect("it is sound");
            let moved = |instant: LocalTime| there - here.since(instant);
            let expected = Kept {
                since: from.since.map(moved),
                each: from.each.iter().map(|entry| entry.map(moved)).collect(),
                timers: from.timers.iter().map(|entry| entry.map(moved)).collect(),
                ..from
            };
            prop_assert_eq!(kept, expected);
        }

        #[test]
        fn of_old_memory_everything_is_restored_but_timers(from in kept(), into in kept()) {
            let now = at(1 << 41);
            let bytes = saved(&from, now);
            let mut kept = into.clone();
            let mut carry = Carry::restoring(now, &bytes).without_timers();
            kept.carry(&mut carry);
            prop_assert_eq!(carry.finish(), Ok(()));
            prop_assert_eq!(kept, Kept { timers: into.timers, ..from });
        }

        #[test]
        fn no_bytes_panic_and_what_is_refused_changes_nothing(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            from in kept(),
            cut in any::<proptest::sample::Index>(),
        ) {
            let now = at(1 << 41);
            let _ = restored(&from, now, &bytes);
            let whole = saved(&from, now);
            prop_assert_eq!(restored(&from, now, &whole[..cut.index(whole.len())]), Err(Unsound));
        }
    }

    #[test]
    fn a_newer_form_is_not_understood_and_an_older_one_is_named() {
        let mut bytes = Vec::new();
        Carry::saving(at(0), &mut bytes).part(2);
        let mut older = Carry::checking(at(0), &bytes);
        older.part(1);
        assert_eq!(older.finish(), Err(Unsound));
        let mut newer = Carry::checking(at(0), &bytes);
        newer.part(3);
        assert_eq!((newer.version(), newer.finish()), (2, Ok(())));
    }
}
