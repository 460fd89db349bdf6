//! The kinds of faults that are drawn: one entry a kind.
//!
//! Sizes are drawn evenly by their logarithm, from what is too short to be noticed to what is longer than every interval of the
//! site: races need the one and recoveries the other.

use r_ems_engine::Span;
use r_ems_engine::persistence::promises::PATIENCE;
use r_ems_scenarios::limits::{DELAY_MAX, LATE_MAX, RATE_PPB_MAX};

use super::case::part;
use super::fault::{Scope, Value, What};
use super::swarm::Draw;

/// A kind of faults.
pub struct Kind {
    /// What it is called in reports.
    pub name: &'static str,
    /// Whether it leaves what the site declares: such runs may break what the declaration protects.
    pub is_beyond: bool,
    /// Draws one; nothing if the site has nothing of the sort.
    pub draw: fn(&mut Draw<'_>) -> Option<Drawn>,
}

/// What was drawn.
pub struct Drawn {
    /// What happens.
    pub what: What,
    /// What it touches.
    pub scope: Scope,
    /// How long.
    pub lasts: Lasts,
}

/// How long a fault lasts.
pub enum Lasts {
    /// It happens at an instant.
    Instant,
    /// It ends after this.
    For(Span),
    /// It happens at an instant, and something undoes it after this.
    Until(Span, What),
}

/// The place of the one that shows what a disk did wrong.
pub const HOST_CRASH: usize = 0;
/// The places of those from which take-overs are counted.
pub const CRASHES: [usize; 2] = [HOST_CRASH, 1];
/// The place of the one that keeps a controller alive and unheard.
pub const PARTITION: usize = 4;
/// Everything that can be drawn.
pub const KINDS: [Kind; 36] = [
    Kind { name: "host crash", is_beyond: false, draw: host_crash },
    Kind { name: "process kill", is_beyond: false, draw: process_kill },
    Kind { name: "orderly stop of a host", is_beyond: false, draw: host_stop },
    Kind { name: "orderly stop of a process", is_beyond: false, draw: process_stop },
    Kind { name: "two-way partition", is_beyond: false, draw: partition },
    Kind { name: "one-way cut", is_beyond: false, draw: cut },
    Kind { name: "loss", is_beyond: false, draw: loss },
    Kind { name: "duplication", is_beyond: false, draw: duplication },
    Kind { name: "delay and reordering", is_beyond: false, draw: delay },
    Kind { name: "clock rate within its bound", is_beyond: false, draw: clock_within },
    Kind { name: "clock rate beyond its bound", is_beyond: true, draw: clock_beyond },
    Kind { name: "wall clock that is set", is_beyond: false, draw: wall_clock },
    Kind { name: "stall with a running clock", is_beyond: false, draw: stall },
    Kind { name: "stall with a stopped clock", is_beyond: true, draw: pause },
    Kind { name: "silent device", is_beyond: false, draw: silent },
    Kind { name: "device silent to one controller", is_beyond: false, draw: silent_to_one },
    Kind { name: "late device", is_beyond: false, draw: late },
    Kind { name: "frozen device", is_beyond: false, draw: frozen },
    Kind { name: "wrong device", is_beyond: false, draw: wrong },
    Kind { name: "device without valid values", is_beyond: false, draw: invalid },
    Kind { name: "short answers", is_beyond: false, draw: short },
    Kind { name: "device that refuses writes", is_beyond: false, draw: refuses },
    Kind { name: "disconnected device", is_beyond: false, draw: disconnected },
    Kind { name: "device restart", is_beyond: false, draw: device_restart },
    Kind { name: "switch-over", is_beyond: false, draw: switch_over },
    Kind { name: "maintenance", is_beyond: false, draw: maintenance },
    Kind { name: "declared sole", is_beyond: true, draw: sole },
    Kind { name: "full disk", is_beyond: false, draw: disk_full },
    Kind { name: "slow disk", is_beyond: false, draw: disk_slow },
    Kind { name: "failing disk", is_beyond: false, draw: disk_failing },
    Kind { name: "read-only disk", is_beyond: false, draw: disk_read_only },
    Kind { name: "torn writes", is_beyond: false, draw: torn_writes },
    Kind { name: "bit rot", is_beyond: false, draw: bit_rot },
    Kind { name: "misdirected writes", is_beyond: true, draw: misdirected_writes },
    Kind { name: "lying sync", is_beyond: true, draw: lying_sync },
    Kind { name: "upgrade of a host", is_beyond: false, draw: upgrade },
];

/// Shortest window: what ends as it begins, but is one.
const SHORTEST: Span = Span::from_micros(1);
/// A restart may take no time: in one of so many cases it does.
const AT_ONCE_OF: u64 = 6;

fn host_crash(draw: &mut Draw<'_>) -> Option<Drawn> {
    let host = draw.host()?;
    let what = What::new("Crash").with("host", draw.host_name(host));
    Some(Drawn { what, scope: Scope::Host(host), lasts: Lasts::For(outage(draw)) })
}

fn process_kill(draw: &mut Draw<'_>) -> Option<Drawn> {
    let member = draw.member()?;
    let what = What::new("Kill").with("controller", draw.member_name(member));
    Some(Drawn { what, scope: Scope::Member(member), lasts: Lasts::For(outage(draw)) })
}

fn host_stop(draw: &mut Draw<'_>) -> Option<Drawn> {
    let drawn = host_crash(draw)?;
    Some(Drawn { what: What { word: "Stop", ..drawn.what }, ..drawn })
}

fn process_stop(draw: &mut Draw<'_>) -> Option<Drawn> {
    let drawn = process_kill(draw)?;
    Some(Drawn { what: What { word: "Stop", ..drawn.what }, ..drawn })
}

/// How long something is down: from no time at all to half the run.
fn outage(draw: &mut Draw<'_>) -> Span {
    if draw.below(AT_ONCE_OF) == 0 {
        SHORTEST
    } else {
        draw.span(Span::from_millis(1), part(draw.length(), 2))
    }
}

/// How long paths and devices are bad.
fn spell(draw: &mut Draw<'_>) -> Span {
    draw.span(part(draw.lease(), 4), draw.length())
}

fn partition(draw: &mut Draw<'_>) -> Option<Drawn> {
    let (one, other) = draw.two_sides()?;
    let names = |draw: &Draw<'_>, hosts: &[u16]| {
        Value::Names(hosts.iter().map(|host| draw.site().hosts[usize::from(*host)].clone()).collect())
    };
    let what = What::new("Partition").with("a", names(draw, &one)).with("b", names(draw, &other));
    let paths = one.iter().flat_map(|a| other.iter().flat_map(move |b| [(*a, *b), (*b, *a)])).collect();
    Some(Drawn { what, scope: Scope::Paths(paths), lasts: Lasts::For(spell(draw)) })
}

/// A word about one path, one way.
fn path(draw: &mut Draw<'_>, word: &'static str) -> Option<Drawn> {
    let (from, to) = draw.path()?;
    let what = What::new(word).with("from", draw.host_name(from)).with("to", draw.host_name(to));
    Some(Drawn { what, scope: Scope::Paths(vec![(from, to)]), lasts: Lasts::For(spell(draw)) })
}

fn with(drawn: Drawn, field: &'static str, value: Value) -> Drawn {
    Drawn { what: drawn.what.with(field, value), ..drawn }
}

fn cut(draw: &mut Draw<'_>) -> Option<Drawn> {
    path(draw, "Cut")
}

fn loss(draw: &mut Draw<'_>) -> Option<Drawn> {
    let drawn = path(draw, "Loss")?;
    let numerator = 1 + draw.below(19) as u32;
    Some(with(drawn, "ratio", Value::Ratio(numerator, 20)))
}

fn duplication(draw: &mut Draw<'_>) -> Option<Drawn> {
    let drawn = path(draw, "Duplication")?;
    let numerator = 1 + draw.below(10) as u32;
    Some(with(drawn, "ratio", Value::Ratio(numerator, 10)))
}

fn delay(draw: &mut Draw<'_>) -> Option<Drawn> {
    let drawn = path(draw, "Delay")?;
    let lease = draw.lease();
    let most = draw.span(part(lease, 20), (lease * 5).min(DELAY_MAX));
    // Half of them are alike for all messages; the others let later ones overtake earlier ones.
    let (least, mean) = if draw.below(2) == 0 { (most, Span::ZERO) } else { (part(most, 20), part(most, 4)) };
    let drawn = with(drawn, "at_least", Value::Span(least));
    let drawn = with(drawn, "mean", Value::Span(mean));
    Some(with(drawn, "at_most", Value::Span(most)))
}

fn clock(draw: &mut Draw<'_>, host: u16, magnitude: i32) -> Drawn {
    let ppm = if draw.below(2) == 0 { magnitude } else { -magnitude };
    let what = What::new("ClockRate").with("host", draw.host_name(host)).with("rate", Value::Ppm(ppm));
    Drawn { what, scope: Scope::Host(host), lasts: Lasts::For(spell(draw)) }
}

fn clock_within(draw: &mut Draw<'_>) -> Option<Drawn> {
    let host = draw.host()?;
    let bound = draw.clock_rate_max_ppm();
    // The bound itself is the most interesting value within it.
    let magnitude = if draw.below(2) == 0 { bound } else { draw.below(u64::from(bound) + 1) as u32 };
    Some(clock(draw, host, magnitude as i32))
}

/// Largest clock-rate error that the language allows, in parts per million.
const PPM_MAX: u64 = RATE_PPB_MAX as u64 / 1_000;

fn clock_beyond(draw: &mut Draw<'_>) -> Option<Drawn> {
    let host = draw.host()?;
    let bound = u64::from(draw.clock_rate_max_ppm());
    // No clock can leave a bound that is the largest error of all.
    if bound >= PPM_MAX {
        return None;
    }
    let magnitude = draw.between(bound + 1, PPM_MAX);
    Some(clock(draw, host, magnitude as i32))
}

/// What wall clocks show, from what is only corrected to a computer that believes that it is another century.
const WALLS: [&str; 8] =
    ["\"90 ms\"", "\"-900 ms\"", "\"1 s\"", "\"-1 h\"", "\"1 h\"", "\"-20000 d\"", "\"30000 d\"", "Unknown"];

fn wall_clock(draw: &mut Draw<'_>) -> Option<Drawn> {
    let host = draw.host()?;
    let ahead = Value::Word(WALLS[draw.below(WALLS.len() as u64) as usize]);
    let what = What::new("WallClock").with("host", draw.host_name(host)).with("ahead", ahead);
    Some(Drawn { what, scope: Scope::Host(host), lasts: Lasts::For(spell(draw)) })
}

/// How long somebody stands still: from what a lease outlives to what everybody notices.
fn standstill(draw: &mut Draw<'_>) -> Lasts {
    Lasts::For(draw.span(part(draw.lease(), 20), part(draw.length(), 4)))
}

fn stall(draw: &mut Draw<'_>) -> Option<Drawn> {
    if draw.below(2) == 0 {
        let member = draw.member()?;
        let what = What::new("Stall").with("controller", draw.member_name(member));
        return Some(Drawn { what, scope: Scope::Member(member), lasts: standstill(draw) });
    }
    let host = draw.host()?;
    let what = What::new("Stall").with("host", draw.host_name(host));
    Some(Drawn { what, scope: Scope::Host(host), lasts: standstill(draw) })
}

fn pause(draw: &mut Draw<'_>) -> Option<Drawn> {
    let host = draw.host()?;
    let what = What::new("Stall").with("host", draw.host_name(host)).with("clock", Value::Word("Stopped"));
    Some(Drawn { what, scope: Scope::Host(host), lasts: standstill(draw) })
}

fn silent(draw: &mut Draw<'_>) -> Option<Drawn> {
    let (grid, device) = draw.device()?;
    let what = What::new("Silent").of(Value::Name(device));
    let controllers = draw.site().controllers_of(grid);
    Some(Drawn { what, scope: Scope::Devices(controllers), lasts: Lasts::For(spell(draw)) })
}

/// A device as all controllers of its grid meet it, or as one does: its name, and whose devices that touches.
fn device_of_some(draw: &mut Draw<'_>) -> Option<(String, Scope)> {
    let (grid, device) = draw.device()?;
    let controllers = draw.site().controllers_of(grid);
    if draw.below(2) == 0 {
        return Some((device, Scope::Devices(controllers)));
    }
    let controller = draw.one_of(&controllers)?;
    let id = &draw.site().members[usize::from(controller)].id;
    Some((format!("{id}:{device}"), Scope::Devices(vec![controller])))
}

fn silent_to_one(draw: &mut Draw<'_>) -> Option<Drawn> {
    let (grid, device) = draw.device()?;
    let controllers = draw.site().controllers_of(grid);
    let controller = draw.one_of(&controllers)?;
    let id = &draw.site().members[usize::from(controller)].id;
    let what = What::new("Silent").of(Value::Name(format!("{id}:{device}")));
    Some(Drawn { what, scope: Scope::Devices(vec![controller]), lasts: Lasts::For(spell(draw)) })
}

fn late(draw: &mut Draw<'_>) -> Option<Drawn> {
    let (device, scope) = device_of_some(draw)?;
    let by = draw.span(part(draw.lease(), 20), part(draw.length(), 4).min(LATE_MAX));
    let what = What::new("Late").with("device", Value::Name(device)).with("by", Value::Span(by));
    Some(Drawn { what, scope, lasts: Lasts::For(spell(draw)) })
}

/// A word about a device, for a while.
fn of_device(draw: &mut Draw<'_>, word: &'static str) -> Option<Drawn> {
    let (device, scope) = device_of_some(draw)?;
    let what = What::new(word).of(Value::Name(device));
    Some(Drawn { what, scope, lasts: Lasts::For(spell(draw)) })
}

/// What a device says that is wrong: what is no number, what none can be, and what could well be.
const READINGS: [&str; 7] = ["NaN", "inf", "-inf", "0.0", "-1e9", "1e9", "50.0"];

fn wrong(draw: &mut Draw<'_>) -> Option<Drawn> {
    let (grid, point) = draw.point()?;
    let mut controllers = draw.site().controllers_of(grid);
    let mut name = point;
    if draw.below(2) == 0 {
        let controller = draw.one_of(&controllers)?;
        name = format!("{}:{name}", draw.site().members[usize::from(controller)].id);
        controllers = vec![controller];
    }
    let reads = draw.one_of(&READINGS)?;
    let what = What::new("Wrong").with("point", Value::Name(name)).with("reads", Value::Word(reads));
    Some(Drawn { what, scope: Scope::Devices(controllers), lasts: Lasts::For(spell(draw)) })
}

fn frozen(draw: &mut Draw<'_>) -> Option<Drawn> {
    of_device(draw, "Frozen")
}

fn invalid(draw: &mut Draw<'_>) -> Option<Drawn> {
    of_device(draw, "Invalid")
}

fn short(draw: &mut Draw<'_>) -> Option<Drawn> {
    of_device(draw, "Short")
}

fn disconnected(draw: &mut Draw<'_>) -> Option<Drawn> {
    of_device(draw, "Disconnected")
}

fn refuses(draw: &mut Draw<'_>) -> Option<Drawn> {
    let (grid, device) = draw.controlled_device()?;
    let what = What::new("Refuses").of(Value::Name(device));
    let controllers = draw.site().controllers_of(grid);
    Some(Drawn { what, scope: Scope::Devices(controllers), lasts: Lasts::For(spell(draw)) })
}

fn device_restart(draw: &mut Draw<'_>) -> Option<Drawn> {
    let (grid, device) = draw.device()?;
    let what = What::new("RestartDevice").of(Value::Name(device));
    let controllers = draw.site().controllers_of(grid);
    Some(Drawn { what, scope: Scope::Devices(controllers), lasts: Lasts::Instant })
}

fn switch_over(draw: &mut Draw<'_>) -> Option<Drawn> {
    let grid = draw.shared_grid()?;
    let member = draw.controller_of(grid)?;
    let target = if draw.below(2) == 0 {
        Value::Name(draw.site().grids[grid].name.clone())
    } else {
        draw.member_name(member)
    };
    let what = What::new("SwitchOver").of(target);
    Some(Drawn { what, scope: Scope::Member(member), lasts: Lasts::Instant })
}

fn maintenance(draw: &mut Draw<'_>) -> Option<Drawn> {
    let grid = draw.shared_grid()?;
    let member = draw.controller_of(grid)?;
    let begin = if draw.below(3) == 0 { "Forced" } else { "On" };
    let what = |word| What::new("Maintenance").of(draw.site().member_value(member)).of(Value::Word(word));
    let (on, off) = (what(begin), what("Off"));
    let span = spell(draw);
    Some(Drawn { what: on, scope: Scope::Member(member), lasts: Lasts::Until(span, off) })
}

fn sole(draw: &mut Draw<'_>) -> Option<Drawn> {
    let grid = draw.shared_grid()?;
    let member = draw.controller_of(grid)?;
    let what = |word| What::new("Sole").of(draw.site().member_value(member)).of(Value::Word(word));
    let (on, off) = (what("On"), what("Off"));
    let span = spell(draw);
    Some(Drawn { what: on, scope: Scope::Member(member), lasts: Lasts::Until(span, off) })
}

/// A word about a disk, for a while.
fn of_disk(draw: &mut Draw<'_>, word: &'static str) -> Option<Drawn> {
    let host = draw.disk()?;
    let what = What::new(word).with("host", draw.host_name(host));
    Some(Drawn { what, scope: Scope::Disk(host), lasts: Lasts::For(spell(draw)) })
}

fn disk_full(draw: &mut Draw<'_>) -> Option<Drawn> {
    of_disk(draw, "DiskFull")
}

fn disk_slow(draw: &mut Draw<'_>) -> Option<Drawn> {
    let drawn = of_disk(draw, "DiskSlow")?;
    // From what nobody notices to what a promise does not wait for.
    let sync = draw.span(Span::from_millis(1), PATIENCE * 2);
    Some(with(drawn, "sync", Value::Span(sync)))
}

fn disk_failing(draw: &mut Draw<'_>) -> Option<Drawn> {
    of_disk(draw, "DiskFailing")
}

fn disk_read_only(draw: &mut Draw<'_>) -> Option<Drawn> {
    of_disk(draw, "DiskReadOnly")
}

fn torn_writes(draw: &mut Draw<'_>) -> Option<Drawn> {
    of_disk(draw, "TornWrites")
}

fn misdirected_writes(draw: &mut Draw<'_>) -> Option<Drawn> {
    of_disk(draw, "MisdirectedWrites")
}

fn lying_sync(draw: &mut Draw<'_>) -> Option<Drawn> {
    of_disk(draw, "LyingSync")
}

fn bit_rot(draw: &mut Draw<'_>) -> Option<Drawn> {
    Some(Drawn { lasts: Lasts::Instant, ..of_disk(draw, "BitRot")? })
}

/// Another version, which counts from the next start of the host's controllers on; what they begin with is on its disk.
fn upgrade(draw: &mut Draw<'_>) -> Option<Drawn> {
    Some(Drawn { lasts: Lasts::Instant, ..of_disk(draw, "Upgrade")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_kinds_are_theirs() {
        let names = |places: &[usize]| places.iter().map(|place| KINDS[*place].name).collect::<Vec<_>>();
        assert_eq!(names(&CRASHES), ["host crash", "process kill"]);
        assert_eq!(names(&[HOST_CRASH, PARTITION]), ["host crash", "two-way partition"]);
    }
}
