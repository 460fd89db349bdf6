//! Hosts and processes that end in order: their controllers are asked to stop, and go when what they leave is kept.
//!
//! A process that cannot hear yet, because it has not booted, just ends. What is to start again while it still ends starts when
//! it has ended.

use r_ems_engine::Time;
use r_ems_engine::redundancy::Command;

use super::SimDriver;
use super::pending::{Happened, Of, Pending};
use crate::world::Life;

/// What becomes of what ends in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// It does not run.
    Rests,
    /// It starts again at once.
    Returns,
}

impl SimDriver {
    /// A process is asked to end in order.
    pub(super) fn stop_process(&mut self, at: Time, post: u16) {
        let state = &mut self.posts[usize::from(post)];
        if !state.is_up {
            return;
        }
        let of = Of { post, life: state.life };
        // Who is asked twice ends once, and stays where it was asked to last.
        if state.leaves.replace(Afterwards::Rests).is_none() {
            self.queue.push(at, Pending::Stop(of));
        }
    }

    /// A life is to end in order and the next one to begin, unless it ends already.
    pub(super) fn begin_anew(&mut self, at: Time, of: Of) {
        let state = &mut self.posts[usize::from(of.post)];
        if state.leaves.is_none() {
            state.leaves = Some(Afterwards::Returns);
            self.queue.push(at, Pending::Stop(of));
            self.look_again(at);
        }
    }

    /// A host is asked to end in order: it goes when all of its processes have gone.
    pub(super) fn stop_host(&mut self, at: Time, host: u16) {
        self.hosts_leave[usize::from(host)] = Some(Afterwards::Rests);
        self.each_of(host, |driver, post| driver.stop_process(at, post));
        self.end_host(at, host);
    }

    /// A host that ends is to boot again.
    pub(super) fn host_returns(&mut self, host: u16) {
        if let Some(afterwards) = &mut self.hosts_leave[usize::from(host)] {
            *afterwards = Afterwards::Returns;
        }
    }

    /// Tells a machine that it is to stop.
    pub(super) fn ask_to_stop(&mut self, at: Time, of: Of) -> Option<(u16, Happened)> {
        if self.hears(of) {
            let returns = self.posts[usize::from(of.post)].leaves == Some(Afterwards::Returns);
            let command = if returns { Command::Return } else { Command::Stop };
            return Some((of.post, Happened::Command(command)));
        }
        self.end_in_order(at, of);
        None
    }

    /// A machine has stopped: nothing reaches it any more. Its process goes when its journal has ended.
    pub(super) fn cease(&mut self, at: Time, post: u16) {
        let state = &mut self.posts[usize::from(post)];
        (state.has_booted, state.deadline) = (false, None);
        let of = Of { post, life: state.life };
        self.wakes.set(u32::from(post), None);
        self.arriving.take_if(|devices| devices.of == of);
        if !self.has_journal(post) {
            self.queue.push(at, Pending::Ended(of));
        }
    }

    /// A process has ended in order, and perhaps its host with it.
    pub(super) fn end_in_order(&mut self, at: Time, of: Of) {
        if !self.is_living(of) {
            return;
        }
        let state = &self.posts[usize::from(of.post)];
        let afterwards = state.leaves;
        self.disconnect_all(of.post);
        self.stop(at, of.post);
        if afterwards == Some(Afterwards::Returns) {
            self.start(at, of.post);
        }
        self.look_again(at);
    }

    /// Ends a host if it is asked to and none of its processes runs any more.
    pub(super) fn end_host(&mut self, at: Time, host: u16) {
        if self.hosts_leave[usize::from(host)].is_none()
            || self.posts.iter().any(|post| post.host == host && post.is_up)
        {
            return;
        }
        // What its disk was given is durable: whoever ends in order waits for that.
        self.hosts_up[usize::from(host)] = false;
        if self.hosts_leave[usize::from(host)].take() == Some(Afterwards::Returns) {
            self.change_host(at, host, Life::Up);
        }
    }
}
