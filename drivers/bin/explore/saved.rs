//! A failure as a file: a scenario that fails again by itself, and the log of its run.
//!
//! The scenario uses the one that was explored and adds the faults; comments say what it breaks, how it was found, and how to
//! look at it. Such a file is a regression as it stands.
//!
//! **Invariant:** no file is replaced but by what the same command line found over the same scenario. Its name tells a failure
//! from others of that search alone; where it is taken by something else, the next one that is free is used.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Component, Path, PathBuf};

use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::EffectsKept;
use r_ems_scenarios::Overrides;

use super::case::Case;
use super::fault;
use super::property::Property;
use super::site::Site;
use super::trial::Broken;
use crate::exit::{Failure, WRITTEN};
use crate::study::contained::contained;
use crate::study::{self, Options, load};

/// Where a failure was saved.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The scenario.
    pub scenario: PathBuf,
    /// The log of its run; none if an assertion of the world failed.
    pub log: Option<PathBuf>,
    /// Why there is no log, though there should be one.
    pub unlogged: Option<Failure>,
}

/// Saves a failure in a folder, which is made if it is not there: the scenario, and the log of its run. A log that cannot be
/// written whole is not there.
///
/// # Errors
/// The scenario cannot be written.
pub fn save<F: FunctionSet>(
    site: &Site<F>,
    folder: &Path,
    case: &Case,
    broken: &Broken,
    found_by: &str,
) -> Result<Saved, Failure> {
    let Written { scenario, typed, .. } = write(site, folder, (case, Size::Shrunk), broken, found_by)?;
    let (log, unlogged) = match record::<F>(site, (&scenario, typed), broken) {
        Ok(log) => (log, None),
        Err(failure) => (None, Some(failure)),
    };
    Ok(Saved { scenario, log, unlogged })
}

/// Saves a failure as it was found, before it is shrunk: the scenario alone, which fails by itself and from which its log can be
/// made. When this returns, the scenario outlives the program and a loss of power. The same failure, found before by the same
/// command line, stays as it is.
///
/// # Errors
/// The file cannot be written.
pub fn keep<F: FunctionSet>(
    site: &Site<F>,
    folder: &Path,
    case: &Case,
    broken: &Broken,
    found_by: &str,
) -> Result<(PathBuf, Writer), Failure> {
    let written = write(site, folder, (case, Size::AsFound), broken, found_by)?;
    Ok((written.scenario, written.writer))
}

/// Who wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// This search.
    This,
    /// One before it, of the same command line over the same scenario.
    Before,
}

/// A scenario that is there.
struct Written {
    scenario: PathBuf,
    typed: Typed,
    writer: Writer,
}

/// Whether a case has been made as small as it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    AsFound,
    Shrunk,
}

/// So many failures may have the same name but for a number.
const NAMESAKES_MAX: u32 = 1_000;

fn write<F: FunctionSet>(
    site: &Site<F>,
    folder: &Path,
    (case, size): (&Case, Size),
    broken: &Broken,
    found_by: &str,
) -> Result<Written, Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::file(folder, "be made", &error))?;
    let stem = site.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("scenario");
    let name = format!("{stem}_{}_{:08x}", broken.property.file_name(), case.network_seed);
    let used = way(folder, &site.file)?;
    for number in 1..=NAMESAKES_MAX {
        let number = if number > 1 { format!("_{number}") } else { String::new() };
        let scenario = folder.join(format!("{name}{number}.ron"));
        let told = Told { site, case, size, broken, used: &used, found_by, file: &scenario };
        let (text, typed) = told.whole();
        let place = Place::of(&scenario, &text);
        let writer = match (place, size) {
            (Place::Taken, _) => continue,
            // What is there is the same failure, perhaps smaller.
            (Place::Own, Size::AsFound) => Writer::Before,
            (Place::Free | Place::Own, _) => match durably(folder, &scenario, &text, place) {
                // Another search was quicker.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                written => {
                    written.map_err(|error| Failure::file(&scenario, WRITTEN, &error))?;
                    Writer::This
                }
            },
        };
        return Ok(Written { scenario, typed, writer });
    }
    let folder = folder.display();
    Err(Failure::error(format!("{folder}: {NAMESAKES_MAX} files are there as {name}; name another folder")))
}

/// What is where a scenario is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing.
    Free,
    /// What the same command line found over the same scenario.
    Own,
    /// Something else.
    Taken,
}

impl Place {
    fn of(scenario: &Path, text: &str) -> Self {
        let is_free = |path: &Path| fs::symlink_metadata(path).is_err();
        match fs::read_to_string(scenario) {
            Ok(there) if origin(&there).eq(origin(text)) => Self::Own,
            // A log without its scenario is somebody's.
            Err(_) if is_free(scenario) && is_free(&scenario.with_extension("rlog")) => Self::Free,
            Ok(_) | Err(_) => Self::Taken,
        }
    }
}

/// A line of a saved scenario that says which search found it begins with this.
const FOUND_BY: &str = "// Found by: ";
/// The line with the scenario that it uses begins with this.
const USED: &str = "    use: [";

/// The lines of a saved scenario that say which search of what it comes from.
fn origin(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with(FOUND_BY) || line.starts_with(USED))
}

/// Writes a file that is there whole or not at all, whenever the program or the machine ends.
///
/// # Errors
/// It cannot be written; or the place is no longer free, and nothing has changed.
fn durably(folder: &Path, path: &Path, text: &str, place: Place) -> io::Result<()> {
    // Another search may save the same at the same time.
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let written = File::create(&fresh).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let placed = written.and_then(|()| match place {
        Place::Free => rename_to_nothing(&fresh, path),
        Place::Own | Place::Taken => fs::rename(&fresh, path),
    });
    if let Err(error) = placed {
        // A part of a file is of no use; that it cannot be removed changes nothing.
        let _is_left = fs::remove_file(&fresh);
        return Err(error);
    }
    // The name is in the folder; not every system lets a folder be opened, and such a one keeps it by itself.
    File::open(folder).and_then(|folder| folder.sync_all()).or(Ok(()))
}

/// Gives a file another name, which nothing must have.
fn rename_to_nothing(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Not every file system has links.
        Err(_) => fs::rename(from, to),
    }
}

/// Makes sure that scenarios can be saved in a folder, before hours are spent on finding them.
///
/// # Errors
/// The folder cannot be made or written to.
pub fn prepare(folder: &Path) -> Result<(), Failure> {
    let probe = folder.join(format!(".r-emsctl-{}", std::process::id()));
    let written = fs::create_dir_all(folder).and_then(|()| File::create_new(&probe).map(drop));
    written.and_then(|()| fs::remove_file(&probe)).map_err(|error| {
        Failure::error(format!(
            "--save {}: scenarios cannot be saved there: {error}; name a folder that you may write to",
            folder.display()
        ))
    })
}

/// A word of a command as a shell takes it whole.
pub fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,:=".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A comment ends with its line.
fn on_a_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// What is saved of a failure, as a text.
struct Told<'a, F: FunctionSet> {
    site: &'a Site<F>,
    case: &'a Case,
    size: Size,
    broken: &'a Broken,
    /// The way to the scenario that is used.
    used: &'a str,
    found_by: &'a str,
    file: &'a Path,
}

/// Who says what the command line of a search set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typed {
    /// The field `set` of the file.
    Stated,
    /// The command line, again.
    Again,
}

impl<F: FunctionSet> Told<'_, F> {
    /// The scenario's text.
    fn text(&self, typed: Typed) -> String {
        let Self { site, case, broken, file, .. } = self;
        let mut text = on_a_line(&format!("// Broken: {broken}"));
        text += &format!("\n{FOUND_BY}{}\n", on_a_line(self.found_by));
        if self.size == Size::AsFound {
            text +=
                "// As it was found: the program ended before it had looked for what of this is needed.\n";
        }
        let again = if typed == Typed::Again { site.settings() } else { &[] };
        let settings: String = again.iter().map(|setting| format!(" --set {}", quoted(setting))).collect();
        let file = quoted(&file.to_string_lossy());
        let record = "--record found.rlog --record-effects && r-emsctl show found.rlog";
        text += &on_a_line(&format!("// See it: r-emsctl run {file}{settings} {record}"));
        text.push('\n');
        if !settings.is_empty() {
            text += "// It was found with these settings, and needs them.\n";
        }
        let mut set: Vec<String> = case.settings.iter().map(ToString::to_string).collect();
        let stated = if typed == Typed::Stated { site.stated() } else { Vec::new() };
        text += match (set.is_empty(), stated.is_empty()) {
            (true, true) => "",
            (false, true) => "// The search drew what stands in `set`, as it drew the faults.\n",
            (true, false) => "// What stands in `set` was set on the command line of the search.\n",
            (false, false) => {
                "// The search drew what stands in `set`, as it drew the faults, but for what its command line set, which \
                 stands last.\n"
            }
        };
        set.extend(stated);
        text += &format!(
            "Scenario(\n    version: 1,\n    name: {:?},\n",
            format!("{}: {}", site.name, broken.property.name())
        );
        text += &site.fields(self.used, case.calmed, &set, case.length);
        text += &format!("    network_seed: {},\n", case.network_seed);
        text + &format!("    faults: {},\n)\n", fault::list(&case.faults, "    "))
    }

    /// The text with all that was set, if the language reads it: what is set twice has to be set on a command line.
    fn whole(&self) -> (String, Typed) {
        let text = self.text(Typed::Stated);
        if self.site.settings().is_empty() || self.site.reads(self.file, &text) {
            return (text, Typed::Stated);
        }
        (self.text(Typed::Again), Typed::Again)
    }
}

/// Records the run of what was saved.
fn record<F: FunctionSet>(
    site: &Site<F>,
    (scenario, typed): (&Path, Typed),
    broken: &Broken,
) -> Result<Option<PathBuf>, Failure> {
    let log = scenario.with_extension("rlog");
    // It is of what this scenario was before; what cannot be removed cannot be written over either, and that is told below.
    let _removed = fs::remove_file(&log);
    let settings = if typed == Typed::Again { site.settings().to_vec() } else { Vec::new() };
    let overrides = Overrides { settings, ..Overrides::default() };
    let study = load::load::<F>(scenario, &overrides)?.study;
    let options = Options { record: Some((log.clone(), EffectsKept::Whole)), ..Options::default() };
    // An assertion of the world ends this run as it ended the one that was found; the log then holds what came before.
    match contained(|| study::run(study, &options)) {
        Ok(Ok(_)) => Ok(Some(log)),
        Ok(Err(_)) if broken.property == Property::NothingPanics && is_closed(&log) => Ok(Some(log)),
        Ok(Err(failure)) => {
            // A part of a log is of no use; that it cannot be removed changes nothing.
            let _is_left = fs::remove_file(&log);
            Err(failure)
        }
        Err(_words) => Ok(log.exists().then_some(log)),
    }
}

/// Whether a log is there to its end.
fn is_closed(log: &Path) -> bool {
    let statistics =
        File::open(log).ok().and_then(|file| r_ems_replay::statistics(BufReader::new(file)).ok());
    statistics.is_some_and(|statistics| statistics.closed)
}

/// The way from a folder to a file.
fn way(folder: &Path, file: &Path) -> Result<String, Failure> {
    let whole = |path: &Path| path.canonicalize().map_err(|error| Failure::file(path, "be found", &error));
    let (folder, file) = (whole(folder)?, whole(file)?);
    let common = folder.components().zip(file.components()).take_while(|(one, other)| one == other).count();
    let up = folder.components().skip(common).map(|_component| Component::ParentDir);
    let way: PathBuf = up.chain(file.components().skip(common)).collect();
    let text = way
        .to_str()
        .ok_or_else(|| Failure::usage(format!("{}: the path must be UTF-8 text", way.display())))?;
    Ok(text.replace('\\', "/"))
}
