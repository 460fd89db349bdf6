//! Confines a panic to the delivery that caused it.
//!
//! A machine that fails an assertion must not take the others with it, nor the log: the log says so, others go on, and at the end
//! a message names the controller and the time. What the first panic itself said is kept for that message.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use r_ems_engine::fleet::Poisoned;
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Handled, Outcome};
use r_ems_engine::persistence::Containment;

/// A driver whose deliveries may panic.
#[derive(Clone)]
pub struct Contained<D> {
    /// The driver.
    pub inner: D,
    /// What the first failure said that the run went on after.
    pub words: Option<String>,
}

impl<D> Contained<D> {
    /// Contains the panics of a driver's deliveries.
    pub const fn new(inner: D) -> Self {
        Self { inner, words: None }
    }
}

/// What is told of a panic of which nothing else is known.
const NO_WORDS: &str = "an assertion failed";

thread_local! {
    /// What the last contained panic said, and where.
    static LAST_WORDS: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether a panic on this thread is contained now.
    static CONTAINS: Cell<bool> = const { Cell::new(false) };
}

/// Keeps contained panics from writing to standard error on their own; others are still told as usual.
///
/// A library must not do this behind its user's back: the programs call it once.
pub fn quiet_contained_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if CONTAINS.get() {
            let words = panic.payload_as_str().unwrap_or("no words");
            let place = panic.location().map(|place| format!(" ({place})")).unwrap_or_default();
            LAST_WORDS.with_borrow_mut(|last| *last = Some(format!("{words}{place}")));
        } else {
            usual(panic);
        }
    }));
}

/// What the last contained panic of this thread said.
pub fn last_words() -> String {
    let words = LAST_WORDS.with_borrow_mut(Option::take);
    words.unwrap_or_else(|| NO_WORDS.to_owned())
}

impl<D: Driver> Driver for Contained<D> {
    fn next(&mut self) -> Option<Delivery<'_>> {
        self.inner.next()
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.inner.perform(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        let afterwards = self.inner.failed(failure);
        if afterwards == Afterwards::OthersGoOn && self.words.is_none() {
            self.words = Some(last_words());
        }
        afterwards
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        contain(run)
    }
}

/// Confines a panic in a recovery, where what was recorded is handled once more.
#[derive(Clone, Copy, Debug)]
pub struct Recovering;

impl Containment for Recovering {
    fn contain(run: &mut dyn FnMut()) -> Handled {
        contain(run)
    }
}

fn contain(run: &mut dyn FnMut()) -> Handled {
    // After a panic the fleet uses neither the machine nor its effects: nothing half-made is seen.
    match caught(run) {
        Ok(()) => Handled::Done,
        Err(_panic) => Handled::Poisoned,
    }
}

/// Runs something that may panic as a whole, a simulated world with its machines for example: what it returns, or what the
/// panic said, and where. Nothing of what panicked may be used afterwards.
///
/// # Errors    the last words of a panic
pub fn contained<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    caught(run).map_err(|panic| {
        let of_payload = || {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            text.or_else(|| panic.downcast_ref::<String>().cloned())
        };
        // Without the hook nobody has written down what was said, and the panic does not know where it came from.
        LAST_WORDS.with_borrow_mut(Option::take).or_else(of_payload).unwrap_or_else(|| NO_WORDS.to_owned())
    })
}

/// One containment may stand within another: the outer one goes on after the inner one has ended.
fn caught<T>(run: impl FnOnce() -> T) -> std::thread::Result<T> {
    let outer = CONTAINS.replace(true);
    let ended = catch_unwind(AssertUnwindSafe(run));
    CONTAINS.set(outer);
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Driver for Nothing {
        fn next(&mut self) -> Option<Delivery<'_>> {
            None
        }

        fn perform(&mut self, _outcome: &Outcome<'_>) {}
    }

    #[test]
    fn a_panic_poisons_the_delivery_and_nothing_else() {
        quiet_contained_panics();
        let handled = Contained::<Nothing>::contain(&mut || panic!("the interval is empty"));
        assert_eq!(handled, Handled::Poisoned);
        assert!(last_words().starts_with("the interval is empty"));
        assert_eq!(Contained::<Nothing>::contain(&mut || {}), Handled::Done);
    }

    #[test]
    fn a_panic_after_a_contained_one_within_keeps_its_words_and_its_place() {
        quiet_contained_panics();
        let words = contained(|| {
            assert_eq!(contain(&mut || panic!("of a machine")), Handled::Poisoned);
            assert!(CONTAINS.get(), "the outer containment goes on");
            panic!("of the world");
        });
        let words: String = words.expect_err("it panics");
        assert!(words.starts_with("of the world (") && words.contains("contained.rs:"), "{words}");
        assert!(!CONTAINS.get());
        assert_eq!(contained(|| 5), Ok(5));
    }
}
