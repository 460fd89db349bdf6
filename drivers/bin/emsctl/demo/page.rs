//! What the demo says: who is which process, and what to type next.

use std::path::Path;

use super::HOSTS;
use super::part::Part;
use crate::present::style::{BOLD, DIM, paint};
use crate::present::table::{Align, Table};

/// What can be typed in another terminal.
pub(super) struct Commands<'a> {
    /// How this program is called.
    pub(super) called: &'a str,
    /// The demo's folder.
    pub(super) folder: &'a Path,
}

impl Commands<'_> {
    /// Says who is which process, and what to do.
    pub(super) fn begin(&self, parts: &[Part], active: &str, other: &str) -> String {
        let mut page = format!("{}\n\n", paint(BOLD, "a shop with a battery, run by real processes"));
        let mut table = Table::new(0, &[Align::Left, Align::Right, Align::Left]);
        table.row(["process", "pid", "is"]);
        for part in parts {
            let is = match part.name {
                name if name == active => "the active controller",
                "a" | "b" => "the controller that stands by",
                "w" => "the witness, which breaks the tie",
                _ => "the plant: a meter and a battery that speak Modbus",
            };
            table.row([part.name.to_owned(), part.pid().to_string(), is.to_owned()]);
        }
        page += &table.headed();
        page += "\nIn another terminal, watch it:\n\n";
        page += &self.line(&format!("status --watch --socket {}", self.at(&format!("{other}.sock"))));
        page += "\nIn a third one, kill the active:\n\n";
        page += &format!("  kill -9 $(cat {})\n", self.at(&format!("{active}.pid")));
        page += &paint(DIM, "\nwhat they say is in *.log there; Ctrl-C ends all of them\n");
        page
    }

    /// Says what can be done once somebody has taken over.
    pub(super) fn taken_over(&self, by: &str) -> String {
        let mut page = format!("{by} has taken over. Collect what they have logged, and run it again:\n\n");
        let archive = |host: &str| self.at(&format!("{host}.tar.gz"));
        for host in HOSTS {
            let (state, socket) = (self.at(&format!("state/{host}")), self.at(&format!("{host}.sock")));
            page +=
                &self.line(&format!("collect --state {state} --socket {socket} --output {}", archive(host)));
        }
        page += &self.line(&format!("replay {} --timeline", HOSTS.map(archive).join(" ")));
        page += &format!("\nWhy did {by} write what it wrote when it took over?\n\n");
        let log = self.at(&format!("state/{by}/commerce/{by}/0000000001.rlog"));
        page += &self.line(&format!("explain {log} --event took_over --point commerce/bess"));
        page
    }

    /// Says how one that has ended is started again.
    pub(super) fn again(&self, host: &str) -> String {
        let at = |name: &str| self.at(name);
        let socket = at(&format!("{host}.sock"));
        let words = format!(
            "as r-emsd --mode production {} --host {host} --key {} --state {} --socket {socket}",
            at("site.ron"),
            at("key"),
            at(&format!("state/{host}")),
        );
        format!("\nTo start {host} again, so that it stands by:\n\n{}", self.line(&words))
    }

    fn line(&self, words: &str) -> String {
        format!("  {} {words}\n", self.called)
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}
