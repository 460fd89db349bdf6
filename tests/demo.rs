//! The walk that the README promises: a redundant site by one command, whose active controller is killed.
//!
//! The commands are the README's own, in a folder of their own. Nothing is about time: what must come is waited for.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;

/// So often is looked until what must come has come: two minutes.
const LOOKS: u32 = 1_200;
/// How the README calls the program.
const CALLED: &str = "target/release/r-emsctl";

/// The commands in the fence under a mark of the README, as `.ci/run` reads them.
fn readme(mark: &str) -> Vec<String> {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("it is there");
    let (_, after) = readme.split_once(&format!("<!-- {mark} -->\n```sh\n")).expect("a fence under the mark");
    let (fence, _) = after.split_once("\n```").expect("it ends");
    fence.lines().map(str::to_owned).collect()
}

/// A demo that runs, in a folder of its own.
struct Demo {
    child: Child,
    folder: PathBuf,
    /// What it has said so far.
    said: String,
}

impl Demo {
    fn start(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _old = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder of its own");
        let child = Command::new(cargo_bin!("r-emsctl"))
            .current_dir(&folder)
            .arg("demo")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        Self { child, folder, said: String::new() }
    }

    /// Reads what it says until that has `words` in it.
    fn says(&mut self, words: &str) {
        let mut lines = BufReader::with_capacity(1, self.child.stdout.as_mut().expect("it is piped"));
        while !self.said.contains(words) {
            let count = lines.read_line(&mut self.said).expect("it is text");
            assert!(count > 0, "it ended before it said {words}: {}", self.said);
        }
    }

    /// Runs a command of the README.
    fn runs(&self, command: &str) -> Output {
        let command = command.replace(CALLED, &cargo_bin!("r-emsctl").to_string_lossy());
        Command::new("sh")
            .args(["-c", &command])
            .current_dir(&self.folder)
            .output()
            .expect("there is a shell")
    }

    /// Runs it until it says `words`.
    #[expect(clippy::disallowed_methods, reason = "what processes do is waited for, for a while")]
    fn runs_until(&self, command: &str, words: &str) {
        let mut last = String::new();
        for _ in 0..LOOKS {
            last = text(&self.runs(command).stdout);
            if last.contains(words) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{command} did not say {words}: {last}");
    }

    fn pid(&self, part: &str) -> String {
        let pid = fs::read_to_string(self.folder.join("demo").join(format!("{part}.pid")));
        pid.expect("each has one").trim().to_owned()
    }

    /// Whether a process is still there.
    fn lives(&self, part: &str) -> bool {
        self.runs(&format!("kill -0 {}", self.pid(part))).status.success()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already; what it started ends with it.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_active_is_killed_another_takes_over_and_what_was_logged_replays_and_explains_it() {
    assert_eq!(readme("demo"), ["cargo run --release -- demo"]);
    let walk = readme("walk");
    let [watch, kill, look @ ..] = walk.as_slice() else { panic!("it watches, kills and looks: {walk:?}") };
    let mut demo = Demo::start("demo_walk");
    demo.says("Ctrl-C ends all of them");
    let once = watch.strip_suffix(" --watch").map_or_else(|| watch.replace(" --watch", ""), str::to_owned);
    demo.runs_until(&once, "commerce  a active");
    assert!(demo.said.contains(&demo.pid("a")), "it names its processes: {}", demo.said);
    assert!(demo.runs(kill).status.success());
    demo.says("a was ended by signal 9");
    demo.runs_until(&once, "commerce  b active, epoch ");
    // What is in a log a moment later is not there yet for who is as quick as this test.
    let shown = format!("{CALLED} show demo/state/b/commerce/b/0000000001.rlog --kind took_over");
    demo.runs_until(&shown, "took_over");
    demo.says("as r-emsd");
    for command in look {
        let output = demo.runs(command);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{command}: {said}{}", text(&output.stderr));
        let expected: &[&str] = match command.split(' ').nth(1) {
            Some("collect") => &["commerce/"],
            Some("replay") => &["replayed bit for bit: ", "commerce/b  took_over: epoch "],
            Some("explain") => &["commerce/b active, epoch ", "bess: ", "bound by", "PeakShaving"],
            Some(_) | None => panic!("what does {command} say?"),
        };
        for words in expected {
            assert!(said.contains(words), "{command} does not say {words}: {said}");
        }
    }
    // The demo says the same commands, with the names by which it was called.
    let named = cargo_bin!("r-emsctl").to_string_lossy().into_owned();
    for command in &walk {
        let command = command.replace(CALLED, &named);
        assert!(demo.said.contains(&command), "{command} is not in: {}", demo.said);
    }
    assert!(!demo.lives("a"), "nobody is started again by itself");
    assert!(demo.runs(&format!("kill -INT {}", demo.child.id())).status.success());
    let mut rest = String::new();
    demo.child.stdout.as_mut().expect("it is piped").read_to_string(&mut rest).expect("it is text");
    assert_eq!(demo.child.wait().expect("it ends").code(), Some(0), "{rest}");
    assert!(["b", "w", "plant"].iter().all(|part| !demo.lives(part)), "nothing outlives it: {rest}");
    let ended = demo.runs("grep -h 'stopped in order' demo/b.log demo/w.log");
    assert_eq!(text(&ended.stdout).lines().count(), 2, "{rest}");
}

#[test]
fn what_a_demo_has_left_is_not_written_over() {
    let mut demo = Demo::start("demo_again");
    fs::create_dir(demo.folder.join("mine")).expect("a folder");
    fs::write(demo.folder.join("mine").join("file"), "mine").expect("a file");
    let refused = demo.runs(&format!("{CALLED} demo --dir mine"));
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("there is something in this folder"), "{refused:?}");
    // Killed, it leaves nobody behind.
    demo.says("Ctrl-C ends all of them");
    demo.child.kill().expect("it runs");
    demo.child.wait().expect("it ends");
    demo.runs_until("cat demo/*.log | grep -c 'stopped in order'", "3");
}
