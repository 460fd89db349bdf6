//! `r-emsctl completions` and `r-emsctl man`: made from the same description that reads the arguments.

use std::fs;
use std::path::Path;

use clap::CommandFactory;

use super::args::Arguments;
use crate::exit::{Exit, Failure, WRITTEN};
use crate::output::{Output, say};

/// Writes the completions for a shell.
pub(super) fn completions(shell: clap_complete::Shell, output: &mut Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "r-emsctl", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Ok)
}

/// Writes the main manual page, or all pages into a directory.
pub(super) fn manual(directory: Option<&Path>, output: &mut Output) -> Result<Exit, Failure> {
    let command = Arguments::command();
    let Some(directory) = directory else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command).render(&mut page);
        rendered.expect("memory takes every byte");
        output.bytes(&page)?;
        return Ok(Exit::Ok);
    };
    let failed = |error: std::io::Error| Failure::file(directory, WRITTEN, &error);
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(command, directory).map_err(failed)?;
    say(&format!(
        "the manual pages are in {}; read one with: man -l {}/r-emsctl.1",
        directory.display(),
        directory.display()
    ));
    Ok(Exit::Ok)
}
