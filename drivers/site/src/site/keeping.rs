//! How lives are kept: their requests reach the disk, its answers reach them, and what became of them reaches the controllers.
//!
//! A life that failed an assertion is made again from its files, on the disk's own thread; the others go on meanwhile.

use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::machine::Input;
use r_ems_engine::persistence::journal::Completion;
use r_ems_engine::persistence::recovery::Finding;
use r_ems_engine::persistence::{DiskError, Lane, Life, News, Recovered, Storage};
use r_ems_engine::redundancy::Command;
use r_ems_engine::{Span, Time};

use super::effects::Part;
use super::gauges::Asked;
use super::post::{Afterwards, Stage, Waiting};
use super::{Said, SiteDriver};
use crate::disk::{Answer, Told};

/// A recovery that takes longer is given up: the life begins without what its disk may still hold, and abstains.
const RECOVERY_PATIENCE: Span = Span::from_mins(1);

impl SiteDriver {
    /// Hands a life's requests to the disk and its news to the controller, and does what waited for that.
    pub(super) fn tend(&mut self, at: Time, of: ControllerIndex) {
        loop {
            let post = &mut self.posts[of.position()];
            let Some(life) = &mut post.life else { return };
            for lane in Lane::ALL {
                if let Some(request) = life.take_request(lane) {
                    post.asked[lane as usize] = Some(Asked::new(at, lane, &request.operation));
                    self.disk.ask(of, lane, request);
                }
            }
            // A life that ends has done before what waited for its disk.
            if let Some(effects) = life.take_released() {
                self.do_effects(of, self.local_now(), &effects, Part::Others);
            } else if let Some(news) = life.take_news() {
                self.hear(at, of, news);
            } else {
                return;
            }
        }
    }

    fn hear(&mut self, at: Time, of: ControllerIndex, news: News) {
        let post = &mut self.posts[of.position()];
        let told = match news {
            // A life whose number could not be kept begins nevertheless.
            News::Numbered(_) => {
                if let Some(life) = &mut post.life {
                    let begins = &post.spec.life;
                    life.begin_journal(at, &begins.header, begins.journal, &begins.fresh);
                }
                post.stage = Stage::Booting;
                let stops = post.stops;
                if post.is_to_be_restored() {
                    self.at_once.push_back((of, Waiting::Restore));
                }
                self.at_once.push_back((of, Waiting::Boot));
                if stops {
                    self.tell_to_stop(of);
                }
                return;
            }
            News::Promised(succeeded) => Waiting::Told(Input::Promised { succeeded }),
            News::Journal(Completion::Snapshotted(succeeded)) => {
                Waiting::Told(Input::Snapshotted { succeeded })
            }
            News::Journal(Completion::Status(status)) => Waiting::Told(Input::Journal(status)),
            News::Journal(Completion::Ended(is_kept)) => {
                // Of a life that begins anew nothing was to be kept.
                self.unkept += usize::from(!is_kept && post.leaves == Some(Afterwards::Rests));
                return self.ended(at, of);
            }
            News::BeginsAnew if post.leaves.is_some() => return,
            News::BeginsAnew => {
                post.leaves = Some(Afterwards::Returns);
                Waiting::Told(Input::Command(Command::Return))
            }
        };
        self.at_once.push_back((of, told));
    }

    /// The disk has done something.
    pub(super) fn hear_disk(&mut self, at: Time, told: Told<Recovered>) {
        let of = match told {
            Told::Answered { of, lane, number, answer } => {
                let post = &mut self.posts[of.position()];
                if let Some(asked) = post.asked[lane as usize].take() {
                    let is_done = !matches!(answer, Answer::Failed(_));
                    self.gauges.answered(at, of, lane, asked, is_done);
                }
                if let Some(life) = &mut post.life {
                    life.reply(at, lane, number, answer.reply());
                }
                of
            }
            Told::Recovered { of, found: Some(mut found) } => {
                found.closed.iter_mut().for_each(|closed| closed.ended = at);
                found.findings.iter().for_each(|finding| (self.tell)(Said::Finding(of, *finding)));
                self.begin(at, of, found);
                of
            }
            Told::Recovered { of, found: None } => {
                let next = self.orchestrator.failed(at, of);
                return self.drop_life(of, Stage::Failed(next));
            }
        };
        self.tend(at, of);
    }

    fn begin(&mut self, at: Time, of: ControllerIndex, found: Recovered) {
        let post = &mut self.posts[of.position()];
        (post.life, post.stage) = (Some(Life::begin(at, found)), Stage::Numbering);
    }

    /// What was due is looked after.
    pub(super) fn look_after(&mut self, at: Time, of: ControllerIndex) {
        match self.posts[of.position()].stage {
            Stage::Failed(_) => return self.recover(at, of),
            // A disk that stands still keeps nobody from controlling.
            Stage::Recovering(_) => {
                self.disk.forget(of);
                (self.tell)(Said::Finding(of, Finding::Unlisted(DiskError::Failed)));
                self.begin(at, of, Recovered::unknown());
            }
            Stage::Numbering | Stage::Booting | Stage::Living | Stage::Ending | Stage::Gone => {}
        }
        if let Some(life) = &mut self.posts[of.position()].life {
            life.wake(at);
        }
        self.tend(at, of);
    }

    /// Makes a life again from its files.
    fn recover(&mut self, at: Time, of: ControllerIndex) {
        // Who fails in it has not been healthy for long.
        self.orchestrator.began(at, of);
        let post = &mut self.posts[of.position()];
        post.stage = Stage::Recovering(at + RECOVERY_PATIENCE);
        if let Some(next) = post.next.take() {
            post.spec.life = next;
        }
        let spec = post.spec.life.clone();
        let rebuild = self.rebuild;
        let job = move |storage: &mut dyn Storage| rebuild(storage, &spec.expected());
        self.disk.recover(of, Box::new(job));
    }

    /// A life has ended in order, and what it left is kept as far as it can be.
    fn ended(&mut self, at: Time, of: ControllerIndex) {
        let returns = self.posts[of.position()].leaves == Some(Afterwards::Returns);
        self.drop_life(of, Stage::Gone);
        if returns {
            // What it left as it was for its next life is left so by nobody then.
            self.posts[of.position()].stops = self.given_up.is_some();
            self.recover(at, of);
        }
    }

    /// Nothing of a life reaches anybody any more.
    pub(super) fn drop_life(&mut self, of: ControllerIndex, stage: Stage) {
        let post = &mut self.posts[of.position()];
        post.end(stage);
        post.is_new = false;
        self.at_once.retain(|(to, _)| *to != of);
        self.waiting.retain(|(to, _)| *to != of);
        self.wakes.set(u32::from(of.0), None);
        self.disk.forget(of);
    }

    /// Asks a controller to end its life in order. One that cannot hear yet ends at once, unless its devices are to be left
    /// otherwise than they are: then its next life begins, and ends.
    pub(super) fn stop(&mut self, of: ControllerIndex) {
        let post = &mut self.posts[of.position()];
        let is_needed = post.spec.life.has_at_stop;
        match post.stage {
            Stage::Living => self.tell_to_stop(of),
            Stage::Ending if is_needed && post.leaves == Some(Afterwards::Returns) => {}
            Stage::Ending => post.leaves = Some(Afterwards::Rests),
            Stage::Gone => {}
            Stage::Recovering(_) | Stage::Numbering if is_needed => post.stops = true,
            Stage::Booting if is_needed => self.tell_to_stop(of),
            Stage::Recovering(_) | Stage::Numbering | Stage::Booting | Stage::Failed(_) => {
                self.drop_life(of, Stage::Gone);
            }
        }
    }

    /// Tells a controller that lives by then to end; one that was to begin anew and has not heard it hears this in its place.
    fn tell_to_stop(&mut self, of: ControllerIndex) {
        let was_asked = self.posts[of.position()].leaves.replace(Afterwards::Rests).is_some();
        let returns = |waiting: &Waiting| matches!(waiting, Waiting::Told(Input::Command(Command::Return)));
        let stops = Waiting::Told(Input::Command(Command::Stop));
        let mut waiting = self.at_once.iter_mut().chain(&mut self.waiting);
        if let Some((_, asked)) = waiting.find(|(to, waiting)| *to == of && returns(waiting)) {
            *asked = stops;
        } else if !was_asked {
            // Behind its boot, if that is still to come.
            self.at_once.push_back((of, stops));
        }
    }
}
