//! A run's summary as a page: first whether the expectations hold, then what the plant and the controllers did.
//!
//! About forty lines for a site with one grid. What did not happen is not shown: no unserved energy, no line for it.

use r_ems_engine::Span;

use super::authority;
use super::persistence;
use super::spark::{COLUMNS, highest, spark};
use super::style::{BAD, BOLD, DIM, GOOD, WARN, paint};
use super::table::{Align, Table};
use super::text::{count, duration, energy, money, percent, power, quantity};
use super::verdict;
use crate::summary::{Amounts, ControllerSummary, Ending, ExpectationSummary, GridSummary, Peak, Summary};

/// The whole page.
pub fn page(summary: &Summary) -> String {
    let mut page = headline(summary);
    page += &expectations(summary);
    page += &authority::part(summary.take_overs.as_ref());
    for grid in &summary.grids {
        page += &grid_part(grid);
    }
    for controller in &summary.controllers {
        page += &controller_part(controller, summary.take_overs.is_some());
    }
    page += &persistence::part(summary.persistence.as_ref());
    page += &events(summary);
    page += &foot(summary);
    page
}

fn seconds(secs: f64) -> String {
    duration(Span::from_secs_f64(secs))
}

/// A local time to the second.
fn instant(local: &str) -> String {
    local.split('.').next().unwrap_or(local).to_owned()
}

fn headline(summary: &Summary) -> String {
    let length = seconds(summary.simulated_s);
    let ending = match summary.ending {
        Ending::Complete => String::new(),
        Ending::Interrupted => paint(WARN, "  interrupted: what follows is the run so far"),
    };
    format!(
        "\n{}\n{}{ending}\n\n",
        paint(BOLD, &summary.scenario),
        paint(DIM, &format!("{length} from {}, seed {}", summary.start, summary.seed)),
    )
}

fn expectations(summary: &Summary) -> String {
    let all = &summary.expectations;
    if all.is_empty() {
        return format!("{}\n\n", paint(DIM, "The scenario expects nothing."));
    }
    let count = |wanted: Option<bool>| all.iter().filter(|known| known.held == wanted).count();
    let (violated, unjudged) = (count(Some(false)), count(None));
    let judged = all.len() - unjudged;
    let verdict = match (judged, violated) {
        (0, _) => paint(WARN, "No expectation was judged"),
        (_, 0) if unjudged == 0 => paint(GOOD, &format!("All {judged} expectations held")),
        (_, 0) => paint(GOOD, &format!("All {judged} expectations that were judged held")),
        (_, _) => paint(BAD, &format!("{violated} of {judged} expectations VIOLATED")),
    };
    let left_out = if unjudged > 0 { format!("; {unjudged} not judged") } else { String::new() };
    let mut table = Table::new(2, &[Align::Left, Align::Left, Align::Right, Align::Left]);
    for expectation in all {
        let (sign, style) = match expectation.held {
            Some(true) => ("✓", GOOD),
            Some(false) => ("✗", BAD),
            None => ("–", WARN),
        };
        let margin = verdict::margin(expectation).unwrap_or_else(|| "not judged".to_owned());
        table.row([paint(style, sign), expectation.name.clone(), margin, worst(expectation)]);
    }
    format!("{verdict}{left_out}\n{table}\n")
}

/// When and where it was closest to failing, or why nobody can say.
fn worst(expectation: &ExpectationSummary) -> String {
    let why = expectation.not_judged.unwrap_or_default();
    // When a rule was broken is where its log is looked into.
    let is_exact = expectation.rule.is_some();
    let shown = |at: &str| if is_exact { at.to_owned() } else { instant(at) };
    let at = expectation.at.as_deref().map_or_else(|| why.to_owned(), shown);
    let value = verdict::value(expectation).map(|value| format!(" {value}")).unwrap_or_default();
    format!("{at}{value}{}{}", verdict::excursions(expectation), verdict::remark(expectation))
}

fn grid_part(grid: &GridSummary) -> String {
    let mut part = format!("{}\n", paint(BOLD, &grid.name));
    for found in grid.imbalance.iter().chain(&grid.beyond_limits) {
        part += &format!("  {}\n", paint(BAD, found));
    }
    part += &curves(grid);
    part += &energies(grid);
    part + "\n"
}

/// The import over the run, with batteries above without, on one scale.
fn curves(grid: &GridSummary) -> String {
    let (with, without) = (&grid.peak, &grid.peak_without_batteries);
    let mut table = Table::new(2, &[Align::Left, Align::Right, Align::Left, Align::Left]);
    let (curve_with, curve_without) = &grid.curve;
    let top = curve_with
        .iter()
        .chain(curve_without)
        .copied()
        .fold(0.0, |top, value| if value > top { value } else { top });
    let draw = |curve: &[f64]| spark(&highest(curve, COLUMNS), top);
    let row = |name: &str, peak: &Option<Peak>, curve: &[f64]| {
        let (mean, at) = match peak {
            Some(peak) if peak.mean_w > 0.0 => (power(peak.mean_w), instant(&peak.at)),
            Some(peak) => ("none".to_owned(), instant(&peak.at)),
            None => ("–".to_owned(), String::new()),
        };
        [name.to_owned(), mean, draw(curve), at]
    };
    if grid.batteries.is_empty() {
        table.row(row("15-min peak", with, curve_with));
        return table.to_string();
    }
    table.row(row("peak without battery", without, curve_without));
    table.row(row("peak with battery", with, curve_with));
    table.to_string()
}

fn energies(grid: &GridSummary) -> String {
    let kinds = &grid.energy_wh;
    let mut table = Table::new(2, &[Align::Left, Align::Left]);
    let mut row = |name: &str, parts: Vec<String>| table.row([name.to_owned(), parts.join(", ")]);
    if let (Some(limit), Some(shaved), Some(excess)) = (grid.limit_w, grid.shaved_wh, grid.excess_wh) {
        let left = if excess < 1.0 {
            "nothing left above it".into()
        } else {
            format!("{} left above it", energy(excess))
        };
        row("shaved", vec![format!("{} above {}", energy(shaved), power(limit)), left]);
    }
    let mut exchanged = vec![
        format!("import {}", energy(kinds.import)),
        format!("export {}", energy(kinds.export)),
        format!("load {}", energy(kinds.load)),
    ];
    if kinds.unserved > 0.0 {
        exchanged.push(paint(BAD, &format!("{} not served", energy(kinds.unserved))));
    }
    row("energy", exchanged);
    if grid.above_rating_s > 0.0 {
        let overload = format!("{} above the connection's rating", energy(grid.above_rating_wh));
        row("overload", vec![paint(BAD, &overload), format!("in {}", seconds(grid.above_rating_s))]);
    }
    if kinds.pv_made > 0.0 || kinds.pv_curtailed > 0.0 {
        let used = if kinds.pv_made > 0.0 { kinds.pv_used / kinds.pv_made } else { 0.0 };
        row(
            "pv",
            vec![
                format!("made {}", energy(kinds.pv_made)),
                format!("used {} ({})", energy(kinds.pv_used), percent(used)),
                format!("curtailed {}", energy(kinds.pv_curtailed)),
            ],
        );
    }
    if let Some(cost) = &grid.cost {
        row("cost", amounts(&cost.paid, &cost.currency));
        let mut without = amounts(&cost.without_batteries, &cost.currency);
        without.push(match cost.saved {
            saved if saved < 0.0 => format!("{} less than with it", money(-saved, &cost.currency)),
            saved => format!("{} more than with it", money(saved, &cost.currency)),
        });
        row("without battery", without);
    }
    for battery in &grid.batteries {
        row(
            &battery.name,
            vec![
                format!("{:.2} cycles", battery.cycles),
                format!("lowest {} {}", percent(battery.soc_min), instant(&battery.soc_min_at)),
                format!("highest {} {}", percent(battery.soc_max), instant(&battery.soc_max_at)),
            ],
        );
    }
    if !grid.batteries.is_empty() {
        row(
            "stored",
            vec![
                format!("charge {}", energy(kinds.charge)),
                format!("discharge {}", energy(kinds.discharge)),
                format!("lost {} converting", energy(kinds.conversion_loss)),
                format!("{} standing by", energy(kinds.standby_loss)),
            ],
        );
    }
    supply(grid).into_iter().for_each(|(name, parts)| row(&name, parts));
    table.to_string()
}

/// What gensets gave, and what held the grid and how well, where that was not always the same.
fn supply(grid: &GridSummary) -> Vec<(String, Vec<String>)> {
    let mut rows = Vec::new();
    for genset in &grid.gensets {
        let starts =
            if genset.starts == 1 { "1 start".to_owned() } else { format!("{} starts", genset.starts) };
        let fuel = format!("{:.1} l", genset.fuel_l);
        let parts = vec![energy(genset.generated_wh), format!("{:.2} h", genset.hours), starts, fuel];
        rows.push((genset.name.clone(), parts));
    }
    for (name, extremes, unit) in
        [("frequency", &grid.frequency_hz, "Hz"), ("voltage", &grid.voltage_pu, "pu")]
    {
        let Some(extremes) = extremes.as_ref().filter(|extremes| extremes.low < extremes.high) else {
            continue;
        };
        let lowest = format!("lowest {} {}", quantity(extremes.low, unit), instant(&extremes.low_at));
        let highest = format!("highest {} {}", quantity(extremes.high, unit), instant(&extremes.high_at));
        rows.push((name.to_owned(), vec![lowest, highest]));
    }
    let mut parts = Vec::new();
    if grid.island_s > 0.0 {
        parts.push(format!("an island for {}", seconds(grid.island_s)));
    }
    if grid.dead_s > 0.0 {
        parts.push(paint(BAD, &format!("dead for {}", seconds(grid.dead_s))));
    }
    if !parts.is_empty() {
        rows.push(("without grid".to_owned(), parts));
    }
    rows
}

/// The total of a bill and what it is made of.
fn amounts(amounts: &Amounts, currency: &str) -> Vec<String> {
    let mut parts =
        vec![money(amounts.total, currency), format!("energy {}", money(amounts.energy, currency))];
    if amounts.demand > 0.0 {
        parts.push(format!("demand {}", money(amounts.demand, currency)));
    }
    parts.push(format!("export earns {}", money(amounts.export_revenue, currency)));
    parts
}

fn controller_part(controller: &ControllerSummary, is_shared: bool) -> String {
    let lateness = if controller.lateness_worst_s > 0.0 {
        format!(
            "99 % at most {} late, worst {}",
            seconds(controller.lateness_p99_s),
            seconds(controller.lateness_worst_s)
        )
    } else {
        "none late".to_owned()
    };
    // A witness only votes.
    if controller.devices.is_empty() {
        let role = format!("{}, epoch {}", controller.role, controller.epoch);
        return format!("{}  {}\n\n", paint(BOLD, &controller.name), paint(DIM, &role));
    }
    let role =
        if is_shared { format!("{}, epoch {}; ", controller.role, controller.epoch) } else { String::new() };
    let mut part = format!(
        "{}  {role}{}\n",
        paint(BOLD, &controller.name),
        paint(
            DIM,
            &format!("{} scans, {} missed, {lateness}", count(controller.scans), count(controller.missed))
        ),
    );
    part += &functions(controller);
    const COLUMNS: [Align; 6] =
        [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Left];
    let mut table = Table::new(2, &COLUMNS);
    table.row(["device", "writes", "timed out", "answers", "timed out", "not usable"]);
    for device in &controller.devices {
        let own = |name: &str| name.strip_prefix(&device.name).is_some_and(|rest| rest.starts_with('.'));
        let unusable: Vec<String> = controller
            .unusable
            .iter()
            .filter(|point| own(&point.name))
            .map(|point| format!("{} {}", point.name.rsplit('.').next().unwrap_or(""), seconds(point.for_s)))
            .collect();
        let unusable = if unusable.is_empty() { "never".to_owned() } else { unusable.join(", ") };
        let numbers = [device.writes, device.write_timeouts, device.answers, device.poll_timeouts].map(count);
        table.row([device.name.clone()].into_iter().chain(numbers).chain([unusable]));
    }
    part + &table.headed() + "\n"
}

fn functions(controller: &ControllerSummary) -> String {
    const COLUMNS: [Align; 6] =
        [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right];
    let mut table = Table::new(2, &COLUMNS);
    table.row(["function", "bound for", "charge + discharge", "short for", "missing", "worst"]);
    for function in &controller.functions {
        let dash = |amount: f64, text: String| if amount > 0.0 { text } else { "–".to_owned() };
        table.row([
            function.name.to_owned(),
            dash(function.bound_s, seconds(function.bound_s)),
            dash(function.bound_wh, energy(function.bound_wh)),
            dash(function.short_s, seconds(function.short_s)),
            dash(function.short_wh, energy(function.short_wh)),
            dash(function.short_worst_w, power(function.short_worst_w)),
        ]);
    }
    table.headed()
}

fn events(summary: &Summary) -> String {
    if summary.events.is_empty() {
        return String::new();
    }
    let kinds = summary.events.iter().map(|event| format!("{} {}", event.kind, count(event.count)));
    let mut part = format!("events  {}\n", kinds.collect::<Vec<_>>().join(", "));
    for alarm in &summary.alarms {
        part += &format!(
            "  {} {} {}: {}\n",
            paint(WARN, "alarm"),
            instant(&alarm.at),
            alarm.controller,
            alarm.message
        );
    }
    let raised: u64 =
        summary.events.iter().filter(|event| event.severity == "alarm").map(|event| event.count).sum();
    let shown = summary.alarms.len() as u64;
    if raised > shown {
        part += &format!("  and {} more alarms\n", count(raised - shown));
    }
    part
}

fn foot(summary: &Summary) -> String {
    paint(
        DIM,
        &format!(
            "digest  {}\nran     {} in {}, {} times real time\n",
            summary.digest,
            seconds(summary.simulated_s),
            seconds(summary.wall_s),
            count(summary.speed as u64),
        ),
    )
}
