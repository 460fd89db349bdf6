//! What was found at a site, as a page.

use r_ems_engine::Span;

use super::style::{BAD, BOLD, DIM, GOOD, WARN, paint};
use super::table::{Align, Table};
use super::text::{duration, power, quantity};
use crate::probe::report::{
    Device, Finding, Identity, ModelSeen, Numbers, Probed, RoundTrips, Signs, Step, SunSpec, Written,
};

/// So many models are named.
const MODELS_SHOWN: usize = 16;

/// All of it.
pub fn page(probed: &Probed) -> String {
    let mut page = String::new();
    for device in &probed.devices {
        page += &one(device, &probed.findings);
    }
    for signs in &probed.signs {
        page += &signs_of(signs);
    }
    for finding in &probed.findings {
        let mark = if finding.is_error() { paint(BAD, "✗") } else { paint(WARN, "!") };
        page += &format!("{mark} {}: {}\n\n", finding.device, finding.mistake);
    }
    page + &verdict(probed)
}

/// The last line, which says it all.
fn verdict(probed: &Probed) -> String {
    let errors = probed.findings.iter().filter(|finding| finding.is_error()).count();
    let warnings = probed.findings.len() - errors;
    let counted = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let devices = counted(probed.devices.len(), "device", "devices");
    let worth = match warnings {
        0 => String::new(),
        warnings => format!(", {} worth a look", counted(warnings, "thing is", "things are")),
    };
    let told = match errors {
        0 if probed.is_whole() => paint(GOOD, "all agrees"),
        0 => paint(WARN, "nothing disagrees so far"),
        errors => paint(BAD, &counted(errors, "thing disagrees", "things disagree")),
    };
    let cut = if probed.interrupted { "; it was ended before all was asked" } else { "" };
    let untried = match &probed.untried[..] {
        [] => String::new(),
        untried => format!("; not tried, or not to the end: {}", untried.join(", ")),
    };
    format!("{}: {devices} asked: {told}{worth}{cut}{untried}\n", probed.file)
}

fn one(device: &Device, findings: &[Finding]) -> String {
    let is_of = |finding: &&Finding| finding.device == device.device;
    let is_bad = findings.iter().filter(is_of).any(Finding::is_error);
    let mark = if is_bad { paint(BAD, "✗") } else { paint(GOOD, "✓") };
    let Device { device: name, class, address, unit, .. } = device;
    let mut text = format!("{mark} {}  {class} at {address}, unit {unit}\n", paint(BOLD, name));
    let mut row = |label: &str, words: &str| text += &format!("    {label:<10}{words}\n");
    match (&device.trouble, device.connect_s) {
        (Some(trouble), _) => row("answers", &format!("no: {trouble}")),
        (None, Some(connect)) => row("answers", &format!("yes; the connection took {}", seconds(connect))),
        (None, None) => row("answers", "yes"),
    }
    if let Some(trips) = &device.round_trips {
        row("latency", &round_trips(trips));
    }
    if device.answers {
        row("identity", &identity(&device.identity));
        row("SunSpec", &sunspec(device.sunspec.as_ref()));
        for seen in device.sunspec.iter().flat_map(|found| &found.settings) {
            row(&format!("model {}", seen.model), &settings(seen));
        }
    }
    text += &texts(device);
    text += &bits(device);
    text += &points(device);
    if let Some(written) = &device.written {
        text += &trial(written);
    }
    text + "\n"
}

fn round_trips(trips: &RoundTrips) -> String {
    let RoundTrips { asked, lost, p50_s, p99_s, max_s, declared_s } = trips;
    let lost = if *lost > 0 { format!(", {lost} without an answer") } else { String::new() };
    format!(
        "half {}, 99 of 100 {}, the longest {} of {asked}{lost}; the file says {}",
        seconds(*p50_s),
        seconds(*p99_s),
        seconds(*max_s),
        seconds(*declared_s)
    )
}

fn identity(identity: &Identity) -> String {
    let Identity { refused, vendor, product, revision } = identity;
    if let Some(refused) = refused {
        return format!("does not say: {refused}");
    }
    let words: Vec<&str> = [vendor, product, revision].into_iter().flatten().map(String::as_str).collect();
    if words.is_empty() { "does not say".to_owned() } else { words.join(", ") }
}

fn sunspec(found: Option<&SunSpec>) -> String {
    let Some(SunSpec { address, models, is_whole, .. }) = found else {
        return "no marker at 40000, 0 or 50000".to_owned();
    };
    let shown: Vec<String> =
        models.iter().take(MODELS_SHOWN).map(|model| format!("{} ({})", model.id, model.length)).collect();
    let more = models.len().saturating_sub(MODELS_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let end = if *is_whole { "" } else { "; no end was found" };
    format!("at {address}, models (registers): {}{more}{end}", shown.join(", "))
}

/// What a model says, as far as it is implemented.
fn settings(seen: &ModelSeen) -> String {
    let ModelSeen { of, is_on, numbers, refused, .. } = seen;
    if let Some(refused) = refused {
        return format!("cannot be read: {refused}");
    }
    let is_on = match is_on {
        Some(true) => ", on",
        Some(false) => ", off",
        None => "",
    };
    let is_said = |numbers: &&Numbers| numbers.values.iter().any(Option::is_some);
    let said: Vec<String> = numbers.iter().filter(is_said).map(numbers_of).collect();
    let said = if said.is_empty() { "no number is implemented".to_owned() } else { said.join("; ") };
    format!("{of}{is_on}: {said}")
}

fn numbers_of(numbers: &Numbers) -> String {
    let Numbers { name, unit, values, bits } = numbers;
    if !bits.is_empty() {
        return format!("{name} {}", bits.join(", "));
    }
    let figures = |value: &Option<f64>| match value {
        Some(value) => {
            let text = format!("{value:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        None => "–".to_owned(),
    };
    let values: Vec<String> = values.iter().map(figures).collect();
    let space = if unit.is_empty() { "" } else { " " };
    format!("{name} {}{space}{unit}", values.join(" "))
}

fn texts(device: &Device) -> String {
    if device.texts.is_empty() {
        return String::new();
    }
    let mut table = Table::new(4, &[Align::Left, Align::Left, Align::Left, Align::Left]);
    table.row(["text", "registers", "reads", "must be"]);
    for text in &device.texts {
        let reads = text.reads.clone().or_else(|| text.refused.clone()).unwrap_or_default();
        let place = format!("{} {}", text.table, text.address);
        table.row([text.text.to_owned(), place, reads, text.is.clone()]);
    }
    table.headed()
}

fn bits(device: &Device) -> String {
    if device.bits.is_empty() {
        return String::new();
    }
    let mut table = Table::new(4, &[Align::Left, Align::Left, Align::Left, Align::Left]);
    table.row(["point", "depends on", "reads", "must be"]);
    for bit in &device.bits {
        let reads = bit.reads.map(|reads| reads.to_string());
        let reads = reads.or_else(|| bit.refused.clone()).unwrap_or_default();
        table.row([
            bit.point.to_owned(),
            format!("{} {}", bit.table, bit.address),
            reads,
            bit.is.to_string(),
        ]);
    }
    table.headed()
}

fn points(device: &Device) -> String {
    if device.points.is_empty() {
        return String::new();
    }
    let mut table = Table::new(4, &[Align::Left, Align::Left, Align::Left, Align::Right, Align::Left]);
    table.row(["point", "registers", "hold", "that is", "quality"]);
    for point in &device.points {
        let value = point.value.map_or_else(|| "–".to_owned(), |value| quantity(value, point.unit));
        let place = format!("{} {}", point.table, point.address);
        let quality = point.refused.as_deref().unwrap_or(point.quality).to_owned();
        table.row([point.point.to_owned(), place, point.words.join(" "), value, quality]);
    }
    table.headed()
}

fn trial(written: &Written) -> String {
    let mut text = String::new();
    if let Some(why) = &written.withheld {
        let label = if written.steps.is_empty() { "not tried" } else { "cut short" };
        text += &format!("    {label:<10}{why}\n");
    }
    if !written.steps.is_empty() {
        let right = [Align::Right; 6];
        let mut table = Table::new(4, &right);
        table.row(["set-point", "read back", "measured", "acknowledged", "nine tenths", "meter moved"]);
        for Step { set_point_w, acknowledged_s, read_back_w, measured_w, response_s, meter_moved_w } in
            &written.steps
        {
            let watts = |value: &Option<f64>| value.map_or_else(|| "–".to_owned(), power);
            let time = |value: &Option<f64>| value.map_or_else(|| "–".to_owned(), seconds);
            table.row([
                power(*set_point_w),
                watts(read_back_w),
                watts(measured_w),
                time(acknowledged_s),
                time(response_s),
                watts(meter_moved_w),
            ]);
        }
        text += &table.headed();
    }
    let declared = seconds(written.reversion_s);
    match (written.reverted_after_s, written.waited_s) {
        (Some(after), _) => {
            text += &format!(
                "    {:<10}after {} without a write; the file says {declared}\n",
                "reverts",
                seconds(after)
            );
        }
        (None, Some(waited)) => {
            text +=
                &format!("    {:<10}not within {}; the file says {declared}\n", "reverts", seconds(waited));
        }
        (None, None) => {}
    }
    if !written.steps.is_empty() {
        let rests = if written.rests { "yes" } else { "no: look after it" };
        text += &format!("    {:<10}{rests}\n", "at rest");
    }
    text
}

fn signs_of(signs: &Signs) -> String {
    let mut text = format!("{}\n", paint(DIM, &format!("signs of {}", signs.grid)));
    for known in &signs.known {
        text += &format!("    {known}\n");
    }
    for unknown in &signs.unknown {
        text += &format!("    not known: {unknown}\n");
    }
    text + "\n"
}

/// A length of time, with a decimal where it is a few milliseconds.
fn seconds(seconds: f64) -> String {
    if (0.001..0.1).contains(&seconds) {
        return format!("{:.1} ms", seconds * 1e3);
    }
    duration(Span::from_secs_f64(seconds))
}
