//! Three hosts of a simulated site, whose controllers journal on the real disk as those of a real one do.
//!
//! The run is recorded as a whole; each controller then handles what reached it once more, and what it is told is kept by the
//! engine's own journal in a folder, by its host's own clock. What truly happened when is known from the recording.

use std::fs;
use std::path::{Path, PathBuf};

use r_ems::engine::controller::Controller;
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::ids::ControllerIndex;
use r_ems::engine::log::{ChainPair, Content, Header, Reader, Status, codec, filtered};
use r_ems::engine::machine::{Delivery, Effects, Machine, Outcome, Step};
use r_ems::engine::persistence::journal::Beginning;
use r_ems::engine::persistence::{Journal, JournalSettings, Operation, Retention, SyncRule};
use r_ems::engine::wall::WallTime;
use r_ems::engine::{Span, Time};
use r_ems::replay::Bytes;
use r_ems::site::disk::Folder;

use crate::{emsctl, errors, place};

/// What the wall clocks of the hosts show more than is right, in ns.
pub(crate) const WRONG: [i64; 3] = [0, 123_456_789, -7_000_000_000];
/// What their own clocks show at the beginning, and how much faster they run, in ppm.
pub(crate) const CLOCKS: [(i64, i64); 3] = [(0, 300), (3_600_000_000_000, -450), (0, 0)];
/// 2026-11-29 UTC, in Unix seconds: when it begins.
const BEGINS: i64 = 1_795_910_400_000_000_000;
pub(crate) const HOSTS: [&str; 3] = ["a", "b", "w"];
const SCENARIO: &str = "scenarios/disk_full.ron";

/// A site whose hosts have kept what happened.
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    /// The recording of the whole run.
    pub(crate) recording: String,
}

impl Site {
    /// Runs so long, with these faults.
    pub(crate) fn run(name: &str, until: &str, faults: &str) -> Self {
        let folder = place(name);
        fs::create_dir_all(&folder).expect("a folder of its own");
        let recording = folder.join("run.rlog").to_string_lossy().into_owned();
        let faults = format!("faults=[{faults}]");
        let clocks = "clocks={\"a\": (rate: \"300 ppm\"), \"b\": (rate: \"-450 ppm\", at_start: \"1 h\")}";
        let ran = emsctl(&[
            "run",
            SCENARIO,
            "--until",
            until,
            "--record",
            &recording,
            "--set",
            &faults,
            "--set",
            clocks,
            "--set",
            "expect=[]",
        ]);
        assert_eq!(ran.status.code(), Some(0), "{}", errors(&ran));
        let site = Self { folder, recording };
        (0..HOSTS.len()).for_each(|host| site.keep(host, None));
        site
    }

    /// The state folder of a host.
    pub(crate) fn state(&self, host: usize) -> String {
        self.folder.join(HOSTS[host]).to_string_lossy().into_owned()
    }

    /// The folder of its controller.
    pub(crate) fn journal(&self, host: usize) -> PathBuf {
        Path::new(&self.state(host)).join("commerce").join(HOSTS[host])
    }

    /// Collects what a host has kept, and gives the archive's path.
    pub(crate) fn collect(&self, host: usize) -> String {
        self.collect_from(&self.state(host), HOSTS[host])
    }

    /// Collects a state folder into an archive of this name.
    pub(crate) fn collect_from(&self, state: &str, name: &str) -> String {
        let archive = self.folder.join(format!("{name}.tar.gz")).to_string_lossy().into_owned();
        let _old = fs::remove_file(&archive);
        let nobody = self.folder.join("nobody.sock").to_string_lossy().into_owned();
        let collected = emsctl(&["collect", "--state", state, "--output", &archive, "--socket", &nobody]);
        assert_eq!(collected.status.code(), Some(0), "{}", errors(&collected));
        archive
    }

    /// What the wall clock of a host shows at an instant of the run, as its logs tell it, in Unix ns.
    pub(crate) fn shows(host: usize, at_ns: i64) -> i64 {
        let (begins, ppm) = CLOCKS[host];
        // What is cut off here is less than a nanosecond.
        BEGINS
            + WRONG[host]
            + begins
            + at_ns
            + i64::try_from(i128::from(at_ns) * i128::from(ppm) / 1_000_000).expect("a run is short")
    }

    /// Lets a host keep something else: after so many deliveries its journal says what never was.
    pub(crate) fn keep_falsely(&self, host: usize, after: u64) {
        fs::remove_dir_all(self.journal(host)).expect("it was just made");
        self.keep(host, Some(after));
    }

    /// Lets a controller journal what reached it.
    fn keep(&self, host: usize, lies_after: Option<u64>) {
        let whole = fs::File::open(&self.recording).expect("it was just written");
        let mut whole = Reader::open(Bytes(std::io::BufReader::new(whole))).expect("it is a log");
        let mut own = Vec::new();
        filtered(&mut whole, ControllerIndex::of(host), |bytes| own.extend_from_slice(bytes))
            .expect("it is whole");
        let mut reader = Reader::open(own.as_slice()).expect("it is a log");
        let header = Header {
            start: WallTime::from_unix_nanos(BEGINS + WRONG[host]),
            scenario: String::new(),
            scenario_path: String::new(),
            scenario_text: String::new(),
            ..reader.header().clone()
        };
        let folder = Folder::open(&self.journal(host)).expect("a folder of its own");
        let mut keeper = Keeper {
            folder,
            header,
            number: 0,
            journal: None,
            machine: None,
            effects: Effects::new(),
            lies_after,
        };
        while let Ok(Status::Record) = reader.advance() {
            let record = reader.record();
            match record.content {
                Content::State(state) if keeper.machine.is_none() => keeper.restore(Time::ZERO, state),
                Content::Delivery { step, .. } => {
                    // At a site a run's time is its host's clock.
                    let at = Time::from_nanos(record.now.as_nanos());
                    keeper.deliver(&Delivery { at, now: record.now, to: ControllerIndex(0), step });
                }
                Content::State(_)
                | Content::Event(_)
                | Content::Effects { .. }
                | Content::Carried { .. }
                | Content::Chains(_)
                | Content::Closing(_)
                | Content::Crashed => {}
            }
        }
    }
}

/// A controller that lives once more, and its journal.
struct Keeper {
    folder: Folder,
    header: Header,
    /// The newest segment.
    number: u64,
    journal: Option<Journal>,
    machine: Option<Controller<BuiltIn>>,
    effects: Effects,
    /// So many deliveries are kept as they were before one that is not; for ever if nothing stands here.
    lies_after: Option<u64>,
}

impl Keeper {
    /// Begins a journal with a state; what the one before had not written is lost.
    fn restore(&mut self, at: Time, state: &[u8]) {
        let machine: Controller<BuiltIn> = codec::decode(state).expect("it is a state");
        let chains = self.journal.as_ref().map_or_else(ChainPair::default, Journal::chains);
        let settings = JournalSettings {
            sync: SyncRule::Every(Span::from_millis(100)),
            rotate_bytes: 15_000,
            rotate_after: None,
            retention: Retention { keep: 1_000, keep_for: None },
        };
        self.number += 1;
        let carried = machine.carried();
        let beginning = Beginning {
            header: self.header.clone(),
            settings,
            number: Some(self.number),
            state,
            carried: carried.as_ref(),
            chains,
            closed: Vec::new(),
            chores: Vec::new(),
        };
        self.journal = Some(Journal::begin(at, beginning).expect("a small header"));
        self.machine = Some(machine);
        self.serve(at);
    }

    fn deliver(&mut self, delivery: &Delivery<'_>) {
        let at = delivery.at;
        if let Step::Restore { state } = delivery.step {
            self.restore(at, state);
        }
        self.journal.as_mut().expect("it lives").wake(at);
        self.serve(at);
        let (Some(journal), Some(machine)) = (&mut self.journal, &mut self.machine) else {
            panic!("it lives")
        };
        journal.delivery(delivery);
        self.effects.clear();
        match delivery.step {
            // It is as it was restored above.
            Step::Restore { .. } => {}
            Step::Boot(boot) => machine.boot(delivery.now, boot, &mut self.effects),
            Step::Input(ref input) => machine.handle(delivery.now, input, &mut self.effects),
        }
        // Who is restored wants nothing before it boots.
        let is_true = self.lies_after != Some(0);
        self.lies_after = self.lies_after.and_then(|left| left.checked_sub(1));
        let deadline =
            machine.deadline().filter(|_| is_true && !matches!(delivery.step, Step::Restore { .. }));
        journal.outcome(&Outcome {
            at,
            now: delivery.now,
            from: ControllerIndex(0),
            deadline,
            effects: &self.effects,
            state: machine,
        });
        self.serve(at);
    }

    /// Does at once what the journal asks for.
    fn serve(&mut self, at: Time) {
        let journal = self.journal.as_mut().expect("it lives");
        while let Some(request) = journal.take_request() {
            if let Some(number) = name_of(&request.operation) {
                self.number = self.number.max(number);
            }
            let answer = self.folder.perform(&request.operation);
            journal.reply(at, request.number, answer.reply());
        }
        while journal.take_completion().is_some() {}
    }
}

/// The number of the segment that is being made.
fn name_of(operation: &Operation) -> Option<u64> {
    match operation {
        Operation::Write { file, .. } => file.number(),
        Operation::Sync { .. }
        | Operation::Rename { .. }
        | Operation::SyncDirectory
        | Operation::Remove { .. }
        | Operation::Read { .. }
        | Operation::List => None,
    }
}
