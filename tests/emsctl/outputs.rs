//! The files that a run writes, and those that the program reads: nothing is destroyed, and nothing waits for ever.

use std::fs;

use crate::{SCENARIO, code, emsctl, errors, file, text};

/// Runs an hour of the scenario.
fn hour(more: &[&str]) -> std::process::Output {
    emsctl(&[&["run", SCENARIO, "--until", "1 h"][..], more].concat())
}

#[test]
fn a_log_is_not_overwritten_by_the_table_of_its_own_run() {
    let (log, other) = (file("one_file"), file("./sub/../one_file"));
    fs::create_dir_all(file("sub")).expect("a test may make its own directories");
    let _absent = fs::remove_file(&log);
    let (log, other) = (log.to_string_lossy(), other.to_string_lossy());
    let output = hour(&["--record", &log, "--csv", &other]);
    assert_eq!(code(&output), 2, "{}", errors(&output));
    assert!(errors(&output).contains("names the same file"), "{}", errors(&output));
    assert!(!fs::exists(&*log).expect("its directory can be read"), "what was refused leaves nothing behind");
    assert_eq!(code(&hour(&["--record", &log])), 0);
    let before = fs::read(&*log).expect("it was just written");
    assert_eq!(code(&hour(&["--record", &log, "--csv", &other])), 2);
    assert!(before == fs::read(&*log).expect("it is still there"));
}

#[test]
fn standard_output_takes_no_table() {
    let output = hour(&["--csv", "-"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("--csv needs a file"), "{}", errors(&output));
    assert!(!fs::exists("-").expect("this directory can be read"));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::symlink;
    use std::process::{Command, Stdio};

    use super::*;
    use assert_cmd::cargo::cargo_bin;

    #[test]
    fn an_input_is_not_overwritten_under_another_of_its_names() {
        let (scenario, hard) = (file("linked.ron"), file("hard.ron"));
        let shipped = format!("{}/{SCENARIO}", env!("CARGO_MANIFEST_DIR"));
        let folder = format!("\"{}/scenarios/", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(shipped).expect("it is shipped");
        let text = text.replace("\"profiles/", &format!("{folder}profiles/"));
        fs::write(&scenario, text.replace("\"sites/", &format!("{folder}sites/")))
            .expect("a file of its own");
        let _absent = fs::remove_file(&hard);
        fs::hard_link(&scenario, &hard).expect("one file system");
        let before = fs::read(&scenario).expect("it was just written");
        for option in ["--record", "--csv", "--metrics"] {
            let run =
                ["run", &*scenario.to_string_lossy(), "--until", "1 h", option, &hard.to_string_lossy()];
            let output = emsctl(&run);
            assert_eq!(code(&output), 2, "{}", errors(&output));
            assert!(errors(&output).contains("which the run reads"), "{}", errors(&output));
        }
        assert!(before == fs::read(&scenario).expect("it is still there"));
    }

    #[test]
    fn a_pipe_is_refused_before_anybody_waits_for_its_other_end() {
        let pipe = file("pipe");
        let _absent = fs::remove_file(&pipe);
        let made = Command::new("mkfifo").arg(&pipe).status().expect("every Unix has it");
        assert!(made.success());
        let pipe = pipe.to_string_lossy();
        for arguments in [
            &["replay", &pipe][..],
            &["show", &pipe],
            &["diff", &pipe, &pipe],
            &["explain", &pipe, "--at", "+1 s"],
        ] {
            let output = emsctl(arguments);
            assert_eq!(code(&output), 1, "{arguments:?}");
            assert!(errors(&output).contains("no regular file"), "{}", errors(&output));
        }
        for option in ["--record", "--csv", "--metrics"] {
            let output = hour(&[option, &pipe]);
            assert_eq!(code(&output), 2, "{option}");
            assert!(errors(&output).contains("no regular file"), "{}", errors(&output));
        }
    }

    #[test]
    fn what_nobody_wants_may_go_where_everything_is_forgotten() {
        let output = hour(&["--record", "/dev/null", "--csv", "/dev/null", "--metrics", "/dev/null"]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        assert!(text(&output).contains("digest"));
    }

    #[test]
    fn a_table_does_not_go_where_the_summary_goes() {
        let link = file("streams_output.csv");
        let _absent = fs::remove_file(&link);
        let target = file("streams_target.csv");
        symlink(&target, &link).expect("a link of its own");
        let summary = fs::File::create(&target).expect("a test may write its own files");
        let mut run = Command::new(cargo_bin!("r-emsctl"));
        run.current_dir(env!("CARGO_MANIFEST_DIR"));
        run.args(["run", SCENARIO, "--until", "1 h", "--csv", &link.to_string_lossy()]);
        let output = run.stdout(Stdio::from(summary)).output().expect("the program runs");
        assert_eq!(code(&output), 2);
        assert!(errors(&output).contains("output goes there already"), "{}", errors(&output));
    }

    #[test]
    fn a_limit_of_file_sizes_is_an_error_of_the_file_that_passes_it() {
        for option in ["--record", "--csv"] {
            let path = file("limited");
            let _absent = fs::remove_file(&path);
            let limited = "ulimit -f 8 && exec \"$0\" \"$@\"";
            let mut run = Command::new("sh");
            run.current_dir(env!("CARGO_MANIFEST_DIR")).args(["-c", limited]).arg(cargo_bin!("r-emsctl"));
            run.args(["run", SCENARIO, "--until", "2 days", option]).arg(&path);
            let output = run.output().expect("every Unix has a shell");
            assert_eq!(output.status.code(), Some(1), "{option}: {:?}: {}", output.status, errors(&output));
            let told = errors(&output);
            assert!(told.contains("limited: cannot be written: File too large"), "{option}: {told}");
        }
    }
}
