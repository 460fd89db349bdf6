//! How a life begins with what is left of the one before.

use r_ems_engine::persistence::Life;
use r_ems_engine::persistence::recovery::{Expected, Making};
use r_ems_engine::wall::WallTime;
use r_ems_engine::{LocalTime, Time};

use super::{Persistence, Stage};

impl Persistence {
    /// Looks what is left of the life before, unless that has been done.
    pub(super) fn find(&mut self, at: Time, post: u16) {
        let keeping = &mut self.posts[usize::from(post)];
        if keeping.found().is_some() {
            return;
        }
        let disk = &self.disks[usize::from(keeping.host)];
        let auto_replay = self.spec.auto_replay;
        let making = Making::NOTHING;
        let expected = Expected { header: &keeping.header, fresh: &keeping.fresh, auto_replay, making, at };
        let found = (self.rebuild)(&mut disk.folder(post), &expected);
        if keeping.lives > 0 {
            let lies = disk.lies().count(post);
            let is_excused = lies > keeping.lies || disk.is_spoiled(post);
            // What a disk that answers nothing hides may show later.
            if found.promises.is_known {
                keeping.lies = lies;
            }
            keeping.survival.found(at, &found, auto_replay, is_excused);
        }
        keeping.found = Some(found);
    }

    /// Begins a life with what is left, and to make its number durable.
    pub(super) fn number(&mut self, at: Time, post: u16) {
        let keeping = &mut self.posts[usize::from(post)];
        let found = keeping.found.take().expect("it was just found");
        keeping.life = Some(Life::begin(at, found));
        keeping.lives += 1;
        keeping.stage = Stage::Numbering;
    }

    pub(super) fn begin_journal(&mut self, at: Time, post: u16) {
        let keeping = &mut self.posts[usize::from(post)];
        if let Some(life) = &mut keeping.life {
            keeping.survival.begins(life.chains());
            life.begin_journal(at, &keeping.header, self.spec.journal, &keeping.fresh);
        }
    }

    /// What the clock of a host must show at least: the last instant that one of its controllers knows, and the time since by
    /// its wall clock, which shows `wall`.
    pub(super) fn resumed(&mut self, at: Time, host: u16, wall: Option<WallTime>) -> Option<LocalTime> {
        let mut resumed: Option<LocalTime> = None;
        for post in 0..self.posts.len() as u16 {
            if self.posts[usize::from(post)].host != host {
                continue;
            }
            self.find(at, post);
            let found = self.posts[usize::from(post)].found();
            if let Some(last) = found.and_then(|found| found.last) {
                resumed = resumed.max(Some(last.resumes_at(wall)));
            }
        }
        resumed
    }
}
