//! What the redundancy of a grid comes to, as `check` prints it.

use r_ems_scenarios::Assurance;
use r_ems_scenarios::assurance::{DeviceAssurance, RestsOn};

/// A few lines for each shared grid.
pub fn text(all: &[Assurance]) -> String {
    all.iter().map(grid).collect()
}

fn grid(assurance: &Assurance) -> String {
    let Assurance {
        grid,
        voters,
        majority,
        grantor_wait_s,
        devices,
        delay_s,
        delay_is_assumed,
        waits_for_word,
        take_over_max_s,
        sync_wait_s,
        stall_max_s,
        clock_stop_max_s,
    } = assurance;
    let source =
        if *delay_is_assumed { "assumed, since a site file does not say it" } else { "by the scenario" };
    let mut text = format!(
        "  {grid}: {majority} of the votes {} are a majority; a voter waits W = {} before it grants to another\n",
        voters.join(", "),
        millis(*grantor_wait_s)
    );
    text += &format!(
        "  {grid}: a take-over{} lasts at most {} with messages of at most {} ({source}), none lost, \
         and a standby that is ready\n",
        if *waits_for_word { ", once an operator has said `sole`," } else { "" },
        millis(*take_over_max_s),
        millis(*delay_s)
    );
    if *waits_for_word {
        text += &format!(
            "  {grid}: until then nobody writes: without the active the others are no majority, and wait (on_silence: Hold)\n"
        );
    }
    if *sync_wait_s > 0.0 {
        text += &format!(
            "  {grid}: of that a write waits up to {} for what led to it to be durable (sync: Strict)\n",
            millis(*sync_wait_s)
        );
    }
    text += &if *stall_max_s > 0.0 {
        format!(
            "  {grid}: the active keeps authority while its host stands still for at most {}; \
             a site whose hosts do so for longer needs real-time priority\n",
            millis(*stall_max_s)
        )
    } else {
        format!(
            "  {grid}: with such messages a lease ends before it is renewed: authority ends and begins again\n"
        )
    };
    text += &format!(
        "  {grid}: a clock that stands still with its host, as in a paused virtual machine, is within its bound for {:.3} ms\n",
        clock_stop_max_s * 1e3
    );
    text + &devices.iter().map(|known| device(grid, known)).collect::<String>()
}

fn device(grid: &str, assurance: &DeviceAssurance) -> String {
    let DeviceAssurance { name, longest_write_s, rests_on, connecting_s, take_over_max_s } = assurance;
    let mut text = match rests_on {
        RestsOn::Epochs => format!(
            "  {grid}/{name}: one writer rests on epochs, which the device checks; D = 0; taken over within {}\n",
            millis(*take_over_max_s)
        ),
        RestsOn::DeclaredLongestWrite => format!(
            "  {grid}/{name}: one writer rests on the declared D = {}; taken over within {}\n",
            millis(*longest_write_s),
            millis(*take_over_max_s)
        ),
    };
    if let Some(connecting) = connecting_s {
        text += &format!(
            "  {grid}/{name}: takes one connection; that of a host that is gone is given to another after at most {}\n",
            millis(*connecting)
        );
    }
    text
}

/// Milliseconds to a hundredth: intervals of redundancy are compared there.
fn millis(secs: f64) -> String {
    format!("{:.2} ms", secs * 1e3)
}
