//! The clock: the only place in R-EMS where a run's time comes from a real one, and where something waits for it.
//!
//! It is CLOCK_BOOTTIME: it never steps, and goes on while the machine is suspended, as batteries and leases do. A wait names an
//! instant and not a length, so that what happens between deciding and waiting makes nothing late; and it ends early when
//! somebody wakes it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use r_ems_engine::time::NANOS_PER_SECOND;
use r_ems_engine::wall::WallTime;
use r_ems_engine::{Span, Time};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::{Errno, read, write};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// A source of time that can be waited for.
pub trait Clock {
    /// The time since the run began.
    fn now(&self) -> Time;

    /// Waits until an instant, or until woken; an instant that is over is not waited for.
    fn wait(&mut self, until: Time) -> Waited;
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The instant has come.
    Reached,
    /// Somebody has something to say.
    Woken,
}

/// Ends a wait of another thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Ends the wait under way, or else the next one.
    pub fn wake(&self) {
        // The counter can only be full, and then it wakes as well.
        let _written = write(&*self.0, &1_u64.to_ne_bytes());
    }
}

/// A run's clock to look at, on any thread.
#[derive(Clone, Copy, Debug)]
pub struct Face {
    /// What CLOCK_BOOTTIME showed when the clock began to run.
    began: u64,
    /// What it shows itself until then.
    shows: Time,
}

impl Face {
    /// The time since the run began.
    pub fn now(&self) -> Time {
        self.shows + Span::from_nanos(boot_time().saturating_sub(self.began))
    }
}

/// CLOCK_BOOTTIME since the run began.
#[derive(Debug)]
pub struct BootClock {
    face: Face,
    timer: OwnedFd,
    woken: Arc<OwnedFd>,
}

impl BootClock {
    /// A clock that shows zero until `lead` is over, and then begins to run: what has to be made for a run makes nothing late.
    ///
    /// # Errors
    /// The operating system has no such timers, or no more file descriptors.
    pub fn begin_in(lead: Span) -> io::Result<Self> {
        Self::resume_in(lead, Time::ZERO)
    }

    /// A clock that shows `shows` until `lead` is over, and then begins to run from there: of a run that goes on.
    ///
    /// # Errors
    /// As for [`BootClock::begin_in`].
    pub fn resume_in(lead: Span, shows: Time) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let woken = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let began = boot_time().saturating_add(lead.as_nanos());
        Ok(Self { face: Face { began, shows }, timer, woken: Arc::new(woken) })
    }

    /// What wakes whoever waits for this clock.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.woken))
    }

    /// The same clock for those who only look.
    pub const fn face(&self) -> Face {
        self.face
    }

    /// What ends a wait for it, for those who wait for other things too.
    pub(crate) fn descriptors(&self) -> [&OwnedFd; 2] {
        [&self.timer, &self.woken]
    }

    /// Sets the timer to an instant.
    pub(crate) fn set(&self, until: Time) -> io::Result<()> {
        let nanos = self.face.began.saturating_add(until.since(self.face.shows).as_nanos());
        let seconds = i64::try_from(nanos / NANOS_PER_SECOND).unwrap_or(i64::MAX);
        // Below a second's worth, which is below a billion.
        let at = Timespec { tv_sec: seconds, tv_nsec: (nanos % NANOS_PER_SECOND) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
        Ok(())
    }

    /// Whether somebody has woken it since this was asked last; a timer that has run out is ready no more.
    pub(crate) fn take_woken(&self) -> Waited {
        let _expirations = read(&self.timer, &mut [0; 8]);
        // It is woken once, however often that was asked for.
        match read(&*self.woken, &mut [0; 8]) {
            Ok(_) => Waited::Woken,
            Err(_) => Waited::Reached,
        }
    }

    /// Waits for the timer as it is set, or to be woken.
    fn sleep(&self) -> io::Result<Waited> {
        let mut watched = [PollFd::new(&self.timer, PollFlags::IN), PollFd::new(&*self.woken, PollFlags::IN)];
        loop {
            match poll(&mut watched, None) {
                Ok(_) => return Ok(self.take_woken()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Clock for BootClock {
    fn now(&self) -> Time {
        self.face.now()
    }

    fn wait(&mut self, until: Time) -> Waited {
        if until <= self.now() {
            return Waited::Reached;
        }
        self.set(until).expect("the timer is ours and the instant is one");
        self.sleep().expect("both descriptors are ours and open")
    }
}

/// What the wall clock shows; `None`: it has not been set since the host has power, as a host without a battery for its clock
/// begins in 1970, or where its last shutdown left it.
///
/// **Decision: a clock past [`SET_SINCE`] is vouched for.** Whether it is disciplined just now only the kernel knows, which no
/// safe library asks. What rests on it is what people date, and how long a host was off; authority never does.
pub fn wall_clock() -> Option<WallTime> {
    let shown = clock_gettime(ClockId::Realtime);
    let (seconds, nanos) = (u64::try_from(shown.tv_sec).ok()?, u64::try_from(shown.tv_nsec).ok()?);
    let nanos = seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)?;
    (seconds >= SET_SINCE).then(|| WallTime::from_unix_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)))
}

/// 2026-01-01 UTC in Unix seconds: no clock that was ever set shows less.
pub const SET_SINCE: u64 = 1_767_225_600;

/// CLOCK_BOOTTIME in ns.
fn boot_time() -> u64 {
    let shown = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(shown.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(shown.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_that_is_over_is_not_waited_for() {
        let mut clock = BootClock::begin_in(Span::ZERO).expect("a clock");
        assert_eq!(clock.wait(Time::ZERO), Waited::Reached);
    }

    #[test]
    fn a_wait_lasts_until_its_instant() {
        let mut clock = BootClock::begin_in(Span::ZERO).expect("a clock");
        let until = clock.now() + Span::from_micros(300);
        assert_eq!(clock.wait(until), Waited::Reached);
        assert!(clock.now() >= until);
    }

    #[test]
    fn a_clock_shows_zero_until_it_begins() {
        let far = BootClock::begin_in(Span::from_secs(3_600)).expect("a clock");
        assert_eq!(far.now(), Time::ZERO);
        let mut clock = BootClock::begin_in(Span::from_millis(2)).expect("a clock");
        assert_eq!(clock.wait(Time::ZERO + Span::from_nanos(1)), Waited::Reached);
        assert!(clock.now() > Time::ZERO);
    }

    #[test]
    fn a_run_that_goes_on_has_its_time() {
        let before = Time::ZERO + Span::from_hours(24 * 366 * 100);
        let far = BootClock::resume_in(Span::from_secs(3_600), before).expect("a clock");
        assert_eq!(far.now(), before);
        let mut clock = BootClock::resume_in(Span::ZERO, before).expect("a clock");
        let until = before + Span::from_micros(300);
        assert_eq!(clock.wait(until), Waited::Reached);
        assert!(clock.now() >= until && clock.now() < until + Span::from_secs(3_600));
    }

    #[test]
    fn who_is_woken_waits_no_longer_and_once_only() {
        let mut clock = BootClock::begin_in(Span::ZERO).expect("a clock");
        let waker = clock.waker();
        waker.wake();
        waker.wake();
        assert_eq!(clock.wait(Time::MAX), Waited::Woken);
        let until = clock.now() + Span::from_micros(300);
        assert_eq!(clock.wait(until), Waited::Reached, "it was woken once");
    }
}
