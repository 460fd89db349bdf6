//! What archives and several logs came to, as a page.

use r_ems_engine::Time;
use r_ems_engine::log::End;
use r_ems_engine::time::NANOS_PER_SECOND;
use r_ems_engine::wall::{TimeZone, WallTime};
use r_ems_replay::Compatibility;
use r_ems_replay::common_time::Ahead;

use super::lineage::{Follows, Link};
use super::segment::{Replayed, Role, Segment, printable, printable_line};
use super::source::Source;
use super::timeline::{Timeline, Told};
use super::together::ClockAbout;
use super::{Verdict, Whole};
use crate::exit::Failure;
use crate::output::{Output, State, say};
use crate::present::style::{BAD, BOLD, DIM, GOOD, WARN, paint};
use crate::present::table::{Align, Table};
use crate::present::text::{count, duration, with_fraction};

/// Prints the page.
pub(super) fn print(
    whole: &Whole<'_>,
    timeline: Option<&Timeline<'_>>,
    (from, to): (WallTime, WallTime),
    output: &mut Output,
) -> Result<(), Failure> {
    let zone = whole.reading.zone.unwrap_or(TimeZone::UTC);
    let mut page: String = whole.sources.iter().map(archive).collect();
    for line in &whole.lines.lines {
        page += &format!("\n{}\n{}", paint(BOLD, &line.controller), segments(whole, &line.links, zone));
    }
    page += &others(whole, zone);
    page += &divergences(whole);
    page += &clocks(&whole.together.clocks, zone);
    page += &letters(whole);
    for note in &whole.together.notes {
        page += &format!("{} {note}\n", paint(WARN, "note:"));
    }
    page += &headline(whole);
    output.text(&page)?;
    let Some(timeline) = timeline else { return Ok(()) };
    output.text("\n")?;
    let mut shown = 0_u64;
    for told in timeline.between(from, to) {
        shown += 1;
        if output.text(&line(&told, zone))? == State::Closed {
            return Ok(());
        }
    }
    if shown == 0 {
        say("nothing happened then");
    }
    if whole.reading.happened_more > 0 {
        say(&format!("{} more events are left out", count(whole.reading.happened_more)));
    }
    Ok(())
}

/// What an archive says about itself, and whether that is true.
fn archive(source: &Source) -> String {
    let Some(archive) = &source.archive else { return String::new() };
    let mut page = paint(BOLD, &source.path);
    let mistakes = archive.mistakes();
    if let Some(manifest) = &archive.manifest {
        page += &printable_line(&format!(
            "  of host {}, collected {} UTC by r-emsctl {}",
            manifest.host,
            manifest.collected.local(TimeZone::UTC),
            manifest.version
        ));
        if mistakes.is_empty() && archive.refusal.is_none() {
            page += &format!(", {} files as they were collected", count(archive.files.len() as u64));
        }
    }
    page.push('\n');
    if let Some(refusal) = &archive.refusal {
        page += &format!("  {} {refusal}\n", paint(BAD, "error:"));
    }
    // What is cut off has no manifest, and why is known.
    for mistake in mistakes.iter().filter(|_| archive.refusal.is_none()) {
        page += &format!("  {} {mistake}\n", paint(BAD, "error:"));
    }
    let manifest = archive.manifest.iter();
    for file in manifest.clone().flat_map(|manifest| &manifest.files) {
        if let Some(problem) = &file.problem {
            page += &format!("  {} {}: {}\n", paint(WARN, "note:"), file.path, printable_line(problem));
        }
    }
    for left in manifest.flat_map(|manifest| &manifest.left_out) {
        let left = printable_line(&format!("{} was left out: {}", left.path, left.why));
        page += &format!("  {} {left}\n", paint(WARN, "note:"));
    }
    page
}

fn table() -> Table {
    let mut table = Table::new(2, &[Align::Left, Align::Left, Align::Left, Align::Right, Align::Left]);
    table.row(["segment", "from", "to", "deliveries", "replayed"]);
    table
}

/// The segments of one controller.
fn segments(whole: &Whole<'_>, links: &[Link], zone: TimeZone) -> String {
    let mut table = table();
    let mut before: Option<&Replayed> = None;
    for link in links {
        let segment = &whole.reading.segments[link.segment];
        let replayed = segment.result.as_ref().ok();
        if let Some(between) = between(link, before, replayed) {
            table.row(["", "", "", "", &between]);
        }
        table.row(row(whole, link.segment, zone));
        if link.follows != Follows::Again {
            before = replayed;
        }
    }
    table.headed()
}

/// What is to be said between two segments.
fn between(link: &Link, before: Option<&Replayed>, next: Option<&Replayed>) -> Option<String> {
    let pause = || {
        let last = before.and_then(|before| before.span.map(|span| before.shown(span.1)));
        let first = next.and_then(|next| next.span.map(|span| next.shown(span.0)));
        last.zip(first).map(|(last, first)| first.since(last))
    };
    let later = || pause().map_or_else(String::new, |pause| format!(", {} later", duration(pause)));
    let missing = || match link.missing {
        0 => String::new(),
        1 => ", and one segment is missing".to_owned(),
        several => format!(", and {} segments are missing", count(several)),
    };
    match link.follows {
        Follows::Unknown if link.missing > 0 => Some(paint(WARN, &format!("a gap{}", missing()))),
        Follows::First | Follows::GoesOn | Follows::Again | Follows::Unknown => None,
        Follows::Life => Some(format!("a new life goes on from there{}", later())),
        Follows::OtherLife => {
            Some(paint(WARN, &format!("a new life begins with something else{}{}", missing(), later())))
        }
        Follows::Gap => {
            Some(paint(WARN, &format!("a gap: what was delivered between them is missing{}", later())))
        }
        Follows::Missing if link.missing == 1 => Some(paint(WARN, "a gap: one segment is missing")),
        Follows::Missing => {
            Some(paint(WARN, &format!("a gap: {} segments are missing", count(link.missing))))
        }
    }
}

fn row(whole: &Whole<'_>, place: usize, zone: TimeZone) -> [String; 5] {
    let segment = &whole.reading.segments[place];
    let name = match segment.role {
        Role::Segment(number) | Role::Quarantined(number) => number.to_string(),
        Role::Alone => segment.path.clone(),
    };
    let Ok(replayed) = &segment.result else {
        return [name, String::new(), String::new(), String::new(), said(whole, place)];
    };
    let shown = |at: Time| replayed.shown(at).local(zone).to_string();
    let (from, to) = replayed.span.map_or_else(Default::default, |(first, last)| (shown(first), shown(last)));
    let again = if segment.again.is_some() { ", the same once more" } else { "" };
    [name, from, to, count(replayed.deliveries), said(whole, place) + again]
}

/// What a replay came to, in a few words.
fn said(whole: &Whole<'_>, place: usize) -> String {
    let replayed = match &whole.reading.segments[place].result {
        Ok(replayed) => replayed,
        Err(why) => return format!("{}: {}", paint(BAD, "not replayed"), why.replace('\n', " ")),
    };
    let torn = |replayed: &Replayed| match replayed.end {
        Some(End::Torn { lost, .. }) if lost > 0 => format!("torn, {} bytes are lost", count(lost)),
        Some(End::Torn { .. } | End::Closed(_)) | None => "torn".to_owned(),
    };
    let mut said = match whole.verdict(place) {
        Verdict::Same => paint(GOOD, "bit for bit"),
        Verdict::Torn => format!("{}, {}", paint(GOOD, "bit for bit"), torn(replayed)),
        Verdict::Cut => {
            format!("bit for bit, {}, where no crash explains it", paint(BAD, &torn(replayed)))
        }
        Verdict::Diverged => paint(BAD, "DIVERGED"),
        Verdict::Unreadable => paint(BAD, "not replayed"),
    };
    if replayed.poisoned.is_some() {
        said += ", until it failed an assertion";
    }
    if replayed.compatibility != Compatibility::Same {
        said += &format!(", {}", printable_line(&replayed.compatibility.to_string()));
    }
    if replayed.event_difference {
        said += ", with other events";
    }
    said
}

/// Logs that are in no line: those by themselves, and those that a recovery put aside.
fn others(whole: &Whole<'_>, zone: TimeZone) -> String {
    let list = |title: &str, is_it: &dyn Fn(&Segment) -> bool| {
        let places: Vec<usize> = whole
            .places()
            .into_iter()
            .filter(|place| whole.lines.link(*place).is_none() && is_it(&whole.reading.segments[*place]))
            .collect();
        if places.is_empty() {
            return String::new();
        }
        let mut table = table();
        places.into_iter().for_each(|place| {
            let mut row = row(whole, place, zone);
            row[0].clone_from(&whole.reading.segments[place].path);
            table.row(row);
        });
        format!("\n{}\n{}", paint(BOLD, title), table.headed())
    };
    let alone = list("logs by themselves", &|segment| segment.role == Role::Alone);
    alone + &list("put aside by a recovery, and no error here", &|segment| segment.role.is_set_aside())
}

fn divergences(whole: &Whole<'_>) -> String {
    let diverged = whole.reading.segments.iter().filter_map(|segment| {
        let divergence = segment.result.as_ref().ok()?.divergence.as_ref()?;
        Some(format!(
            "\n{}: {}\n{}",
            paint(BAD, "DIVERGED"),
            segment.path,
            printable(&divergence.to_string())
        ))
    });
    diverged.collect()
}

/// How far clocks are ahead of each other.
fn clocks(clocks: &[ClockAbout], zone: TimeZone) -> String {
    if clocks.len() < 2 {
        return String::new();
    }
    let mut table = Table::new(2, &[Align::Left, Align::Left, Align::Right, Align::Left, Align::Left]);
    table.row(["clock of", "since", "ahead by", "", ""]);
    for clock in clocks {
        let since = clock.first.map_or_else(String::new, |first| first.local(zone).to_string());
        let name = clock.name.clone();
        match &clock.ahead {
            Some(ahead) => table.row([
                name,
                since,
                signed(ahead.by),
                format!("± {}", signed(ahead.within)),
                told(ahead, zone),
            ]),
            None if clock.is_reference => {
                let text = "the times below are its own".to_owned();
                table.row([name, since, String::new(), String::new(), text]);
            }
            None => {
                let text = if clock.tells {
                    "by its wall clock, and by it those below: no letter links them with the others"
                } else {
                    "by its wall clock: no letters there and back"
                };
                table.row([name, since, String::new(), String::new(), paint(WARN, text)]);
            }
        }
    }
    format!("\n{}", table.headed())
}

fn told(ahead: &Ahead, zone: TimeZone) -> String {
    let rate = ahead.rate.map_or_else(String::new, |rate| {
        let word = if rate < 0 { "slower" } else { "faster" };
        format!(", {:.1} ppm {word}", rate.unsigned_abs() as f64 / 1e6)
    });
    let others = match ahead.others {
        0 => String::new(),
        others => format!(", not by {} that went one way only", count(others)),
    };
    // Beyond it the error grows.
    let until = ahead.told.1.local(zone);
    format!("by {} letters until {until}{rate}{others}", count(ahead.letters))
}

/// Nanoseconds as milliseconds, or as seconds where they are many.
fn signed(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let span = nanos.unsigned_abs();
    if span < 10 * NANOS_PER_SECOND {
        format!("{sign}{:.3} ms", span as f64 / 1e6)
    } else {
        let (seconds, rest) = (span / NANOS_PER_SECOND, span % NANOS_PER_SECOND);
        format!("{sign}{}.{:06} s", count(seconds), rest / 1_000)
    }
}

/// What became of letters.
fn letters(whole: &Whole<'_>) -> String {
    let passed =
        || whole.together.letters.iter().filter(|passed| passed.counts.sent + passed.counts.unsent > 0);
    if passed().next().is_none() {
        return String::new();
    }
    let columns =
        [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right];
    let mut table = Table::new(2, &columns);
    table.row(["letters", "sent", "arrived", "lost", "unknown", "again", "never sent"]);
    for passed in passed() {
        let counts = passed.counts;
        let numbers =
            [counts.sent, counts.arrived, counts.lost, counts.unknown, counts.repeated, counts.unsent]
                .map(count);
        table.row([format!("{} to {}", passed.from, passed.to)].into_iter().chain(numbers));
    }
    format!("\n{}", table.headed())
}

/// What it all came to.
fn headline(whole: &Whole<'_>) -> String {
    let is_counted = |place: &usize| !whole.reading.segments[*place].role.is_set_aside();
    let places: Vec<usize> = (0..whole.reading.segments.len()).filter(is_counted).collect();
    let with = |verdict: Verdict| places.iter().filter(|place| whole.verdict(**place) == verdict).count();
    let replayed = || places.iter().filter_map(|place| whole.reading.segments[*place].result.as_ref().ok());
    let deliveries: u64 = replayed().map(|replayed| replayed.deliveries).sum();
    let mut parts = Vec::new();
    let damaged = whole.sources.iter().filter(|source| !source.is_whole()).count();
    if damaged > 0 {
        parts.push(format!("{damaged} of {} sources not as collected", whole.sources.len()));
    }
    for (verdict, words) in [
        (Verdict::Diverged, "diverged"),
        (Verdict::Unreadable, "cannot be replayed"),
        (Verdict::Cut, "torn where no crash explains it"),
    ] {
        let count = with(verdict);
        if count > 0 {
            parts.push(format!("{count} {words}"));
        }
    }
    let (gaps, apart) = whole.gaps();
    if gaps > 0 {
        parts.push(format!("logs missing in {gaps} {}", if gaps == 1 { "place" } else { "places" }));
    }
    let logs = count(places.len() as u64);
    let deliveries = count(deliveries);
    if parts.is_empty() {
        let torn = with(Verdict::Torn);
        let torn =
            if torn > 0 { format!(", {torn} of them torn as a crash leaves them") } else { String::new() };
        let apart =
            if apart > 0 { ", logs missing between what was collected at different times" } else { "" };
        return format!(
            "\n{}: {logs} logs, {deliveries} deliveries{torn}{apart}\n",
            paint(GOOD, "replayed bit for bit")
        );
    }
    format!("\n{}: of {logs} logs, {deliveries} deliveries\n", paint(BAD, &parts.join(", ")))
}

fn line(told: &Told, zone: TimeZone) -> String {
    let style = match told.severity.as_str() {
        "alarm" => BAD,
        "warning" => WARN,
        _ => DIM,
    };
    let at = paint(DIM, &exact(told.at, zone));
    let text = if told.severity == "info" { told.text.clone() } else { paint(style, &told.text) };
    format!("{at}  {}  {text}\n", told.controller)
}

/// An instant to the microsecond: what happens on two hosts follows within less than a millisecond.
pub(super) fn exact(at: WallTime, zone: TimeZone) -> String {
    let nanos = at.as_unix_nanos().rem_euclid(NANOS_PER_SECOND as i64);
    let second = WallTime::from_unix_nanos(at.as_unix_nanos().saturating_sub(nanos)).local(zone);
    with_fraction(&second.to_string(), &format!(".{:06}", nanos / 1_000))
}
