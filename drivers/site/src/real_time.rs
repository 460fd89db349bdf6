//! What punctuality needs from the operating system: a priority above everything that may wait, and memory that stays.
//!
//! Both need a permission that a laptop seldom gives. Without them the loop runs all the same, and later at times. Whoever asks
//! for it has processors that do not rest, too: that costs power, and is worth it where idle ones wake slowly.

use std::fs::File;
use std::io::{self, Write};

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

/// Where Linux is told how long a processor may take to leave its rest; it holds while the file is open.
const WAKES_WITHIN: &str = "/dev/cpu_dma_latency";

/// Keeps all processors from resting, for as long as what it gives is held.
///
/// An idle processor takes longer to wake the deeper it rests, and that of a virtual machine may have been given to another one.
///
/// # Errors
/// Says what was refused, and what helps.
pub fn keep_awake() -> Result<File, String> {
    let open = || {
        let mut file = File::options().write(true).open(WAKES_WITHIN)?;
        // In us.
        file.write_all(&0_i32.to_ne_bytes())?;
        Ok(file)
    };
    open().map_err(|error: io::Error| {
        format!(
            "the processors rest as they like ({WAKES_WITHIN}: {error}): scans may be late on an idle machine; run it as root, \
             or let its user write that file by a rule of udev"
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
