//! The real disk of a site's controllers: each has a folder, and two threads that wait for the disk in the loop's place.
//!
//! ```text
//!     loop ─ ask, recover ─> what waits ─┬─> journal's thread ──┬─> one folder of a controller
//!          <─ take ── answers, a wake <──┴─> promises' thread ──┘
//! ```
//!
//! A vote's promise never waits behind a journal's sync, nor one controller behind another.
//!
//! # The rule of lives
//!
//! Numbers of requests begin anew with each life of a controller, so an answer belongs to the life that asked. A life ends with
//! [`Disk::forget`] or with the [`Disk::recover`] of the next one, and then:
//!
//! - what it asked for and no thread has begun is never begun;
//! - what a thread has begun is finished, and nobody is told;
//! - **a recovery begins when both threads have ended what they had begun**, so it reads files that nobody changes;
//! - until its answer has been taken, nothing else can be asked for;
//! - a life that does without a recovery is served by each thread once that has ended what it had begun;
//! - no file that was opened for one life is used for the next.
//!
//! A disk that stands still therefore holds up a recovery for as long: whoever will not wait for it forgets, and begins a life
//! that knows nothing.
//!
//! # Decisions
//!
//! **A panic is an answer.** It is caught where it happens: the request has failed, a recovery has found nothing, and the thread
//! goes on. A thread that died in silence would be a disk that stands still.
//!
//! **Bounds:** a thread does one thing, and one more waits for it; so no queue here has more entries than there are threads.

mod folder;
mod names;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::persistence::Lane;
use r_ems_engine::persistence::disk::{DiskError, Operation, Request, Storage};

pub use self::folder::{Answer, ENTRIES_MAX, Folder, FolderError, Held, OPEN_MAX};
pub use self::names::{file_of, text_of};

use crate::clock::Waker;

/// So long a disk that is let go of may go on with what it has begun; then nobody waits for it any more.
pub const DROP_PATIENCE: Duration = Duration::from_secs(1);

/// Reads what is left of a life, and contains its own failures.
pub type Job<T> = Box<dyn FnOnce(&mut dyn Storage) -> T + Send>;

/// What a disk tells of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told<T> {
    /// A request has been answered.
    Answered {
        /// Whose it was.
        of: ControllerIndex,
        /// For whom it was.
        lane: Lane,
        /// The request's own number.
        number: u32,
        /// The answer.
        answer: Answer,
    },
    /// A recovery has ended.
    Recovered {
        /// Whose it was.
        of: ControllerIndex,
        /// What it found; `None`: it panicked.
        found: Option<T>,
    },
}

/// The folders of all controllers of this host, whose recoveries find a `T`.
pub struct Disk<T> {
    posts: Vec<Post<T>>,
    said: Receiver<Said<T>>,
    /// Nothing ever comes: it is closed when the last thread ends.
    ended: Receiver<()>,
}

/// A controller's place.
struct Post<T> {
    /// Which of its lives is served.
    life: u64,
    /// In the order of [`Lane`].
    threads: [Thread<T>; 2],
    /// Whether that life is still to hear what its recovery found.
    recovers: bool,
    /// Its recovery, until no thread is at work for an earlier life.
    job: Option<Job<T>>,
}

/// A thread as the loop sees it.
struct Thread<T> {
    tasks: Sender<Task<T>>,
    /// The life for which it is at work.
    works_for: Option<u64>,
    /// What it is to do then, for the life that is served.
    waiting: Option<Request>,
}

/// What a thread is to do.
struct Task<T> {
    life: u64,
    work: Work<T>,
}

enum Work<T> {
    Operation(Request),
    Recovery(Job<T>),
}

/// What a thread says.
struct Said<T> {
    place: usize,
    lane: Lane,
    life: u64,
    outcome: Outcome<T>,
}

enum Outcome<T> {
    Answer(u32, Answer),
    Found(Option<T>),
}

/// What a thread works on.
trait Medium: Storage + Send + 'static {
    fn perform(&mut self, operation: &Operation) -> Answer;
    fn close_files(&mut self);
}

impl Medium for Folder {
    fn perform(&mut self, operation: &Operation) -> Answer {
        Self::perform(self, operation)
    }

    fn close_files(&mut self) {
        Self::close_files(self);
    }
}

impl<T: Send + 'static> Disk<T> {
    /// Starts the threads of controllers, whose folders come in the order of their indices; each thing that is to be taken wakes
    /// whoever waits for `waker`'s clock.
    ///
    /// Threads inherit a priority: whoever asks for a real-time one for itself does that later.
    ///
    /// # Errors
    /// The operating system has no more threads or descriptors.
    pub fn start(folders: Vec<Folder>, waker: &Waker) -> io::Result<Self> {
        let pair = |folder: Folder| folder.share().map(|shared| [folder, shared]);
        Self::over(folders.into_iter().map(pair).collect::<io::Result<_>>()?, waker)
    }

    fn over<M: Medium>(media: Vec<[M; 2]>, waker: &Waker) -> io::Result<Self> {
        let (says, said) = channel();
        let (ends, ended) = channel();
        let start = |(place, [journal, promises]): (usize, [M; 2])| {
            let worker = |lane, medium| {
                let (says, waker, ends) = (says.clone(), waker.clone(), ends.clone());
                spawn(Worker { place, lane, medium, life: 0, says, waker, _ends: ends })
            };
            let threads = [worker(Lane::Journal, journal)?, worker(Lane::Promises, promises)?];
            Ok(Post { life: 0, threads, recovers: false, job: None })
        };
        let posts = media.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(Self { posts, said, ended })
    }

    /// Asks for something that one lane of a life needs; it never waits.
    ///
    /// # Panics
    /// If the lane has no answer yet to what it asked for before, if the life's recovery has not been taken yet, or if there is
    /// no such controller: whoever asks keeps to that.
    pub fn ask(&mut self, of: ControllerIndex, lane: Lane, request: Request) {
        let post = &mut self.posts[of.position()];
        assert!(!post.recovers, "a life asks for nothing before it has begun");
        let thread = &mut post.threads[lane as usize];
        let is_asked = thread.waiting.is_some() || thread.works_for == Some(post.life);
        assert!(!is_asked, "a lane asks for one thing at a time");
        thread.waiting = Some(request);
        post.hand_on();
    }

    /// Ends the life of a controller and lets `job` read what is left of it, for the next one.
    ///
    /// # Panics
    /// If there is no such controller.
    pub fn recover(&mut self, of: ControllerIndex, job: Job<T>) {
        self.forget(of);
        let post = &mut self.posts[of.position()];
        (post.recovers, post.job) = (true, Some(job));
        post.hand_on();
    }

    /// Ends the life of a controller: nothing that it asked for is told any more.
    ///
    /// # Panics
    /// If there is no such controller.
    pub fn forget(&mut self, of: ControllerIndex) {
        let post = &mut self.posts[of.position()];
        post.life += 1;
        (post.recovers, post.job) = (false, None);
        for thread in &mut post.threads {
            thread.waiting = None;
        }
    }

    /// What has been done, if anything has; it never waits.
    pub fn take(&mut self) -> Option<Told<T>> {
        while let Ok(Said { place, lane, life, outcome }) = self.said.try_recv() {
            let post = &mut self.posts[place];
            post.threads[lane as usize].works_for = None;
            let is_served = life == post.life;
            post.hand_on();
            if is_served {
                post.recovers = false;
                let of = ControllerIndex::of(place);
                return Some(match outcome {
                    Outcome::Answer(number, answer) => Told::Answered { of, lane, number, answer },
                    Outcome::Found(found) => Told::Recovered { of, found },
                });
            }
        }
        None
    }
}

impl<T> Disk<T> {
    /// Ends the threads and waits for a while until they have finished what they had begun; whether they have. A folder stays
    /// locked until then.
    pub fn end(mut self, patience: Duration) -> bool {
        self.stop(patience)
    }

    fn stop(&mut self, patience: Duration) -> bool {
        // A thread ends when nobody can ask it for anything.
        self.posts.clear();
        self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

impl<T> fmt::Debug for Disk<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("controllers", &self.posts.len()).finish_non_exhaustive()
    }
}

impl<T> Drop for Disk<T> {
    fn drop(&mut self) {
        if !self.posts.is_empty() {
            let _ended = self.stop(DROP_PATIENCE);
        }
    }
}

impl<T> Post<T> {
    /// Hands what waits to threads that have nothing to do.
    fn hand_on(&mut self) {
        let is_idle = self.threads.iter().all(|thread| thread.works_for.is_none());
        if is_idle && let Some(job) = self.job.take() {
            self.threads[Lane::Journal as usize].work(self.life, Work::Recovery(job));
        }
        for thread in &mut self.threads {
            if thread.works_for.is_none()
                && let Some(request) = thread.waiting.take()
            {
                thread.work(self.life, Work::Operation(request));
            }
        }
    }
}

impl<T> Thread<T> {
    fn work(&mut self, life: u64, work: Work<T>) {
        self.works_for = Some(life);
        let sent = self.tasks.send(Task { life, work });
        assert!(sent.is_ok(), "a thread ends after its queue");
    }
}

/// A thread as it sees itself.
struct Worker<M, T> {
    place: usize,
    lane: Lane,
    medium: M,
    /// For which life its files are open.
    life: u64,
    says: Sender<Said<T>>,
    waker: Waker,
    /// Tells that the thread has ended, when it goes; the medium goes before.
    _ends: Sender<()>,
}

#[expect(clippy::disallowed_methods, reason = "it waits for a disk and decides nothing")]
fn spawn<M: Medium, T: Send + 'static>(mut worker: Worker<M, T>) -> io::Result<Thread<T>> {
    let (tasks, to_do) = channel();
    let name = format!("disk {} {}", worker.place, worker.lane.name());
    std::thread::Builder::new().name(name).spawn(move || worker.work(&to_do))?;
    Ok(Thread { tasks, works_for: None, waiting: None })
}

impl<M: Medium, T> Worker<M, T> {
    fn work(&mut self, to_do: &Receiver<Task<T>>) {
        while let Ok(Task { life, work }) = to_do.recv() {
            if life != self.life {
                self.medium.close_files();
                self.life = life;
            }
            let outcome = self.outcome_of(work);
            // Whoever let go of the disk hears nothing more.
            let _said = self.says.send(Said { place: self.place, lane: self.lane, life, outcome });
            self.waker.wake();
        }
    }

    fn outcome_of(&mut self, work: Work<T>) -> Outcome<T> {
        let medium = &mut self.medium;
        let (outcome, is_whole) = match work {
            Work::Operation(Request { number, operation }) => {
                let answer = catch_unwind(AssertUnwindSafe(|| medium.perform(&operation)));
                let is_whole = answer.is_ok();
                (Outcome::Answer(number, answer.unwrap_or(Answer::Failed(DiskError::Failed))), is_whole)
            }
            Work::Recovery(job) => {
                let found = catch_unwind(AssertUnwindSafe(|| job(medium))).ok();
                let is_whole = found.is_some();
                (Outcome::Found(found), is_whole)
            }
        };
        if !is_whole {
            self.medium.close_files();
        }
        outcome
    }
}

#[cfg(test)]
mod tests;
