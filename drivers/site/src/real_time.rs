//! What punctuality needs from the operating system: a priority above everything that may wait, and memory that stays.
//!
//! Both need a permission that a laptop seldom gives. Without them the loop runs all the same, and later at times.

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, geteuid, getrlimit};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// The loop's priority of 1 to 99: above all ordinary work, below the kernel's own threads of interrupts.
pub const PRIORITY: u8 = 40;

/// Asks for real-time priority for this thread.
///
/// # Errors
/// Says what was refused, and what helps.
pub fn ask_for_priority() -> Result<(), String> {
    let value = ThreadPriorityValue::try_from(PRIORITY).expect("it is below 100");
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let thread = thread_native_id();
    set_thread_priority_and_policy(thread, ThreadPriority::Crossplatform(value), policy).map_err(|error| {
        format!(
            "no real-time priority ({error}): scans may be late under load; allow it with LimitRTPRIO={PRIORITY} in the unit, \
             or `ulimit -r {PRIORITY}`"
        )
    })
}

/// Asks for memory that stays, for the whole process.
///
/// # Errors
/// Says what was refused, and what helps.
pub fn ask_for_memory() -> Result<(), String> {
    lock_memory().map_err(|error| {
        format!(
            "no locked memory ({error}): a page that was swapped out makes a scan late; allow it with LimitMEMLOCK=infinity in \
             the unit, or `ulimit -l unlimited`"
        )
    })
}

/// Locks what the process has and will have. Under a limit it locks nothing: memory beyond it could not be had at all, and the
/// process would die of that later.
fn lock_memory() -> Result<(), Errno> {
    if !geteuid().is_root() && getrlimit(Resource::Memlock).current.is_some() {
        return Err(Errno::PERM);
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)
}
