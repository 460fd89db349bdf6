//! The explanation of a moment as an engineer reads it: the answer, then what it was made of.

use r_ems_engine::Span;
use r_ems_engine::redundancy::Epoch;

use super::style::{BAD, BOLD, DIM, GOOD, paint};
use super::table::{Align, Table};
use super::text::{duration, percent, power, quantity};
use crate::explanation::{
    Explanation, Fallback, GroundsSeen, GroupDecision, InputSeen, LOOK_AFTER, LostSeen, MemberShare,
    ReactiveDecision, SlotState, Step, WishSeen,
};
use crate::summary::DOWN;

/// Ends that are this close are one power to whoever reads them, W.
const SAME_W: f64 = 0.5;

/// When what is explained was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Long enough ago: what devices did of it is in the log.
    Past,
    /// Just now: what they will do of it nobody knows.
    Now,
}

/// One controller's explanation.
pub fn page(explanation: &Explanation, moment: Moment) -> String {
    let mut page = format!(
        "{} {}\n",
        paint(BOLD, &explanation.controller),
        paint(DIM, &format!("{}, epoch {}", explanation.role, Epoch::of_number(explanation.epoch)))
    );
    if explanation.groups.is_empty() {
        page += "  it controls nothing here\n";
    }
    for group in &explanation.groups {
        page += &answer(explanation, group);
    }
    page += &inputs(&explanation.inputs);
    for group in &explanation.groups {
        page += &steps(group);
        page += &group.reactive.as_ref().map_or_else(String::new, reactive);
        page += &members(group, moment);
    }
    page
}

fn answer(explanation: &Explanation, group: &GroupDecision) -> String {
    let devices = group.devices.join(", ");
    let Some(decided_w) = group.decided_w else {
        return format!("  {devices}: nothing is decided yet; it waits for its measurements\n\n");
    };
    let away: Vec<String> = group.members.iter().filter_map(away).collect();
    if away.len() == group.members.len() && !away.is_empty() {
        return format!("  {devices}: nothing is told: {}\n\n", paint(BAD, &away.join(", ")));
    }
    let why = match &group.bound_by {
        Some(who) => format!("bound by {}", paint(GOOD, who)),
        None => "at rest: nobody wants anything else".to_owned(),
    };
    let (would, reserve) = if explanation.writes {
        ("", "")
    } else if explanation.role == DOWN {
        ("was to be ", "; it is down and writes nothing")
    } else {
        ("would be ", "; it computes and does not write")
    };
    let without = if away.is_empty() { String::new() } else { format!("; without {}", away.join(", ")) };
    format!("  {devices}: {would}{}, {why}{reserve}{without}\n\n", paint(BOLD, &power(decided_w)))
}

/// A device that shares in nothing, and why.
fn away(member: &MemberShare) -> Option<String> {
    member.away.as_ref().map(|why| format!("{} ({why})", member.device))
}

/// The set-point of a device that is told one.
fn set_point(member: &MemberShare) -> String {
    if member.away.is_some() { "–".to_owned() } else { power(member.set_point_w) }
}

fn inputs(inputs: &[InputSeen]) -> String {
    let mut table = Table::new(2, &[Align::Left, Align::Right, Align::Left, Align::Right]);
    table.row(["saw", "value", "quality", "age"]);
    for input in inputs {
        let age = input.age_s.map_or_else(|| "–".to_owned(), seconds);
        table.row([input.point.clone(), quantity(input.value, &input.unit), input.quality.clone(), age]);
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
            said(step),
            step.before_w.map_or_else(|| "–".to_owned(), interval),
            step.after_w.map_or_else(|| "–".to_owned(), interval),
            short,
        ]);
    }
    table.headed() + "\n"
}

/// How the reactive power of a group came about.
fn reactive(decision: &ReactiveDecision) -> String {
    let Some(decided_var) = decision.decided_var else { return String::new() };
    let shown = |value: f64| quantity(value, "var");
    let interval = |ends: [f64; 2]| format!("{} … {}", shown(ends[0]), shown(ends[1]));
    let why = decision.bound_by.as_ref().map_or_else(String::new, |who| format!(", bound by {who}"));
    let mut table = Table::new(2, &[Align::Left, Align::Left, Align::Right, Align::Right]);
    table.row(["who", "wished", "left after", "short by"]);
    for step in &decision.steps {
        let wish = step.wish_var.map_or_else(
            || "–".to_owned(),
            |[low, high]| {
                let is_one = high - low < SAME_W;
                if is_one { format!("exactly {}", shown(low)) } else { interval([low, high]) }
            },
        );
        let short = if step.shortfall_var > 0.0 { shown(step.shortfall_var) } else { "–".to_owned() };
        table.row([step.who.clone(), wish, interval(step.after_var), short]);
    }
    format!("  reactive power: {}{why}\n\n{}\n", paint(BOLD, &shown(decided_var)), table.headed())
}

/// What a part of the composition says: its wish, or why it has none.
fn said(step: &Step) -> String {
    match (step.state, &step.lost) {
        (SlotState::Lost, Some(lost)) => lost_words(lost),
        (SlotState::TakingOver, _) => "waits for its first measurements".to_owned(),
        (SlotState::NoWish, _) => "no wish".to_owned(),
        (SlotState::NoSay, _) => "has no say now".to_owned(),
        (SlotState::Given | SlotState::Deciding | SlotState::Lost, _) => wish(step) + &grounds(step),
    }
}

/// On what it decided: "since 170.0 kW are needed, and there are 57.0 kW".
fn grounds(step: &Step) -> String {
    let words = |grounds: GroundsSeen| {
        let (needed, available) = (power(grounds.needed_w), power(grounds.available_w));
        format!(": {needed} needed, {available} available")
    };
    step.grounds.map_or_else(String::new, words)
}

fn lost_words(lost: &LostSeen) -> String {
    let fallback = match lost.fallback {
        Fallback::Holds => "holds its power",
        Fallback::RampsToRest => "ramps to rest",
        Fallback::Rests => "rests",
        Fallback::FailSafe => "is limited to what is safe",
        Fallback::Fades => "lets fade what it delivers",
        Fallback::Stays => "leaves its wish as it was",
        Fallback::LeftAlone => "leaves it alone",
    };
    let since = seconds(lost.for_s);
    let what = match lost.good_for_s {
        Some(good) => format!("lost its measurements {since} ago, good again for {}", seconds(good)),
        None => format!("lost {} for {since}", lost.points.join(", ")),
    };
    paint(BAD, &format!("{what}: {fallback}"))
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
        &Some(WishSeen::Hold { power_w }) => format!("exactly {}, for a while", power(power_w)),
        &Some(WishSeen::Reserve { up_w, down_w, offset_w }) => {
            format!("keep {} up and {} down, deliver {}", power(up_w), power(down_w), power(offset_w))
        }
        &Some(WishSeen::Missing { power_w }) => format!("{} could not be delivered", power(power_w)),
        Some(WishSeen::DeviceLimit { device, low_w, high_w, floor }) => {
            let floor = floor * 100.0;
            format!("{device} within {} … {}, kept above {floor:.0} %", power(*low_w), power(*high_w))
        }
    }
}

fn members(group: &GroupDecision, moment: Moment) -> String {
    let columns = [Align::Left, Align::Right, Align::Left, Align::Right, Align::Right, Align::Right];
    let columns = if moment == Moment::Now { &columns[..columns.len() - 1] } else { &columns };
    let mut table = Table::new(2, columns);
    let after = format!("{} later", duration(LOOK_AFTER));
    let mut row = |cells: [String; 6]| table.row(cells.into_iter().take(columns.len()));
    row(["shared", "set-point", "written", "read back", "measured", &after].map(str::to_owned));
    for member in &group.members {
        row([
            member.device.clone(),
            set_point(member),
            written(member),
            read_back(member),
            known(member.measured_w),
            known(member.measured_after_w),
        ]);
    }
    sharing(group) + &table.headed() + "\n"
}

/// How a power was shared among several members; a group of one takes all.
fn sharing(group: &GroupDecision) -> String {
    if group.members.len() < 2 {
        return String::new();
    }
    let columns = [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right];
    let mut table = Table::new(2, &columns);
    table.row(["sharing", "can charge", "can discharge", "state of charge", "gets"]);
    for member in &group.members {
        let soc = member.soc.map_or_else(|| "unknown".to_owned(), percent);
        table.row([
            member.device.clone(),
            known(member.can_charge_w),
            known(member.can_discharge_w),
            soc,
            set_point(member),
        ]);
    }
    table.headed() + "\n"
}

fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), power)
}

fn read_back(member: &MemberShare) -> String {
    let held = known(member.read_back_w);
    if member.not_in_force { format!("{held}, not in force") } else { held }
}

fn written(member: &MemberShare) -> String {
    let Some(written) = &member.written else { return paint(BAD, "never") };
    let (what, ago) = (power(written.power_w), seconds(written.ago_s));
    let became = match written.acknowledged_after_s {
        Some(after) => format!("acknowledged after {}", seconds(after)),
        None => written.state.clone(),
    };
    if written.authority_over {
        return format!("{what} under epoch {} {ago} ago, {became}, authority over since", written.epoch);
    }
    format!("{what} {ago} ago, {became}")
}

fn seconds(secs: f64) -> String {
    duration(Span::from_secs_f64(secs))
}
