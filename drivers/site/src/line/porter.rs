//! A thread that opens and closes a port in the loop's place, since both may take long.
//!
//! **Decision: a thread, rather than a port that stays open.** A port is closed because another controller or process is to have
//! it, because the engine gives a line up on which nobody answers, or because it was unplugged: in two of three cases it must
//! really be let go, and this driver cannot tell which one it is. With a port of its own each thread keeps nobody from another
//! port; opening is done here too, as an open waits in the operating system until an earlier close of the same port, also that of
//! another process, has ended. What would change this: an operating system that closes ports without waiting.
//!
//! **Order:** what is asked for is done one after the other, so a port that is opened again is first closed.
//!
//! **Bounds:** of one port at most one open is under way, and each close is that of an open before it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, read, write};

use super::port::{Port, let_go};
use crate::reactor::{Interest, Watch};

/// The thread opens and closes, and needs little. A process that locks its memory (`mlockall`) has all of each stack in it, which
/// would be 2 MiB otherwise.
const STACK_BYTES: usize = 64 << 10;

/// The thread, as the loop sees it.
#[derive(Debug)]
pub(super) struct Porter {
    tasks: Sender<Task>,
    /// Counts opens that have ended, and ends the loop's waits.
    ended: Arc<OwnedFd>,
    watch: Watch,
}

/// What becomes of an open.
pub(super) type Opening = Receiver<Result<OwnedFd, Errno>>;

#[derive(Debug)]
enum Task {
    Open(Sender<Result<OwnedFd, Errno>>),
    Close(OwnedFd),
}

/// A port that is open, ours, and looked at; what has not left it ends with it. It is closed elsewhere: to drop it takes no time.
#[derive(Debug)]
pub(super) struct Own {
    /// There until it is dropped.
    port: Option<OwnedFd>,
    watch: Watch,
    tasks: Sender<Task>,
}

impl Porter {
    /// Starts the thread, which opens `port` and closes it by `close`; it ends with this and the port that it has opened.
    ///
    /// # Errors
    /// The operating system has no more threads or descriptors.
    #[expect(clippy::disallowed_methods, reason = "it waits for the operating system and decides nothing")]
    pub(super) fn start(
        port: Port,
        watch: Watch,
        close: impl FnMut(OwnedFd) + Send + 'static,
    ) -> io::Result<Self> {
        let ended = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        watch.add(&ended, Interest::Reads)?;
        let (tasks, asked) = channel();
        let counted = Arc::clone(&ended);
        std::thread::Builder::new()
            .name("port".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || work(&port, &asked, &counted, close))?;
        Ok(Self { tasks, ended, watch })
    }

    /// Asks for the port; when it is known what becomes of that, waits end until [`Porter::hears`].
    pub(super) fn open(&self) -> Opening {
        let (tell, opening) = channel();
        // Where the thread has gone nobody will tell, which is an answer.
        let _asked = self.tasks.send(Task::Open(tell));
        opening
    }

    /// The port that was asked for; `None`: it cannot be waited for.
    pub(super) fn own(&self, port: OwnedFd) -> Option<Own> {
        let is_watched = self.watch.add(&port, Interest::Reads).is_ok();
        let own = Own { port: Some(port), watch: self.watch.clone(), tasks: self.tasks.clone() };
        is_watched.then_some(own)
    }

    /// Lets waits no longer end for what is known by now.
    pub(super) fn hears(&self) {
        // Most often there is something to hear at the port only.
        let _count = read(&*self.ended, &mut [0; 8]);
    }
}

impl Drop for Porter {
    fn drop(&mut self) {
        // The thread may hold it for longer.
        self.watch.forget(&*self.ended);
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let Some(port) = self.port.take() else { return };
        self.watch.forget(&port);
        let_go(&port);
        let _asked = self.tasks.send(Task::Close(port));
    }
}

impl AsFd for Own {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.as_ref().expect("it is there until it is dropped").as_fd()
    }
}

/// What the thread does.
fn work(port: &Port, asked: &Receiver<Task>, ended: &OwnedFd, mut close: impl FnMut(OwnedFd)) {
    while let Ok(task) = asked.recv() {
        match task {
            Task::Close(port) => close(port),
            Task::Open(tell) => {
                if let Err(unheard) = tell.send(port.open())
                    && let Ok(port) = unheard.0
                {
                    let_go(&port);
                    close(port);
                }
                // The counter can only be full, and then it ends waits as well.
                let _written = write(ended, &1_u64.to_ne_bytes());
            }
        }
    }
}
