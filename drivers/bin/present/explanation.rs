//! The explanation of a moment as an engineer reads it: the answer, then what it was made of.

use r_ems_engine::Span;

use super::style::{BAD, BOLD, DIM, GOOD, paint};
use super::table::{Align, Table};
use super::text::{duration, power, quantity};
use crate::explanation::{Explanation, GroupDecision, InputSeen, LOOK_AFTER, MemberShare, Step, WishSeen};

/// Ends that are this close are one power to whoever reads them, W.
const SAME_W: f64 = 0.5;

/// One controller's explanation.
pub fn page(explanation: &Explanation) -> String {
    let mut page = format!(
        "{} {}\n",
        paint(BOLD, &explanation.controller),
        paint(DIM, &format!("epoch {}", explanation.epoch))
    );
    if explanation.groups.is_empty() {
        page += "  it controls nothing here\n";
    }
    for group in &explanation.groups {
        page += &answer(group);
    }
    page += &inputs(&explanation.inputs);
    for group in &explanation.groups {
        page += &steps(group);
        page += &members(group);
    }
    page
}

fn answer(group: &GroupDecision) -> String {
    let devices = group.devices.join(", ");
    let Some(decided_w) = group.decided_w else {
        return format!("  {devices}: nothing is decided yet; it waits for its measurements\n\n");
    };
    let why = match &group.bound_by {
        Some(who) => format!("bound by {}", paint(GOOD, who)),
        None => "at rest: nobody wants anything else".to_owned(),
    };
    format!("  {devices}: {}, {why}\n\n", paint(BOLD, &power(decided_w)))
}

fn inputs(inputs: &[InputSeen]) -> String {
    let mut table = Table::new(2, &[Align::Left, Align::Right, Align::Left, Align::Right]);
    table.row(["saw", "value", "quality", "age"]);
    for input in inputs {
        let age = input.age_s.map_or_else(|| "–".to_owned(), seconds);
        table.row([input.point.clone(), quantity(input.value, input.unit), input.quality.to_owned(), age]);
    }
    table.headed() + "\n"
}

fn steps(group: &GroupDecision) -> String {
    let columns = [Align::Left, Align::Left, Align::Right, Align::Right, Align::Right];
    let mut table = Table::new(2, &columns);
    table.row(["who", "wished", "left before", "left after", "short by"]);
    for step in &group.steps {
        let interval = |ends: [f64; 2]| format!("{} … {}", power(ends[0]), power(ends[1]));
        let short = if step.shortfall_w > 0.0 { power(step.shortfall_w) } else { "–".to_owned() };
        table.row([
            step.who.clone(),
            wish(step),
            step.before_w.map_or_else(|| "–".to_owned(), interval),
            interval(step.after_w),
            short,
        ]);
    }
    table.headed() + "\n"
}

fn wish(step: &Step) -> String {
    match &step.wish {
        None => "–".to_owned(),
        &Some(WishSeen::Limit { low_w, high_w }) if high_w - low_w < SAME_W => {
            format!("exactly {}", power(low_w))
        }
        &Some(WishSeen::Limit { low_w, high_w }) => {
            // An end that does not bind says nothing.
            let binds_low = step.before_w.is_none_or(|before| low_w > before[0]);
            let binds_high = step.before_w.is_none_or(|before| high_w < before[1]);
            match (binds_low, binds_high) {
                (true, true) => format!("stay within {} … {}", power(low_w), power(high_w)),
                (true, false) => format!("at least {}", power(low_w)),
                (false, true) => format!("at most {}", power(high_w)),
                (false, false) => "nothing tighter".to_owned(),
            }
        }
        &Some(WishSeen::Target { power_w }) => format!("exactly {}", power(power_w)),
        &Some(WishSeen::Reserve { up_w, down_w, offset_w }) => {
            format!("keep {} up and {} down, deliver {}", power(up_w), power(down_w), power(offset_w))
        }
        Some(WishSeen::DeviceLimit { device, low_w, high_w, floor }) => {
            let floor = floor * 100.0;
            format!("{device} within {} … {}, kept above {floor:.0} %", power(*low_w), power(*high_w))
        }
    }
}

fn members(group: &GroupDecision) -> String {
    let columns = [Align::Left, Align::Right, Align::Left, Align::Right, Align::Right, Align::Right];
    let mut table = Table::new(2, &columns);
    let after = format!("{} later", duration(LOOK_AFTER));
    table.row(["shared", "set-point", "written", "read back", "measured", &after]);
    for member in &group.members {
        let known = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), power);
        table.row([
            member.device.clone(),
            power(member.set_point_w),
            written(member),
            known(member.read_back_w),
            known(member.measured_w),
            known(member.measured_after_w),
        ]);
    }
    table.headed() + "\n"
}

fn written(member: &MemberShare) -> String {
    let Some(written) = member.written else { return paint(BAD, "never") };
    let ago = seconds(written.ago_s);
    match written.acknowledged_after_s {
        Some(after) => format!("{} {ago} ago, acknowledged after {}", power(written.power_w), seconds(after)),
        None => format!("{} {ago} ago, {}", power(written.power_w), written.state),
    }
}

fn seconds(secs: f64) -> String {
    duration(Span::from_secs_f64(secs))
}
