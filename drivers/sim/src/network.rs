//! The network between hosts: how long a message is on its way, and whether it arrives.
//!
//! Each ordered pair of hosts has a path of its own, so that a partition may be one-way. A message's delay is a least time and an
//! exponential one on top, up to a bound; later messages may overtake earlier ones.

use alloc::vec::Vec;

use r_ems_engine::Span;
use r_ems_engine::rng::Stream;

/// How long something is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The least.
    pub at_least: Span,
    /// The mean of what comes on top, exponentially distributed.
    pub mean: Span,
    /// The most.
    pub at_most: Span,
}

impl Delay {
    /// Always the same.
    pub const fn exactly(span: Span) -> Self {
        Self { at_least: span, mean: Span::ZERO, at_most: span }
    }

    /// Draws one.
    pub fn draw(self, stream: &mut Stream) -> Span {
        if self.mean.is_zero() {
            return self.at_least;
        }
        let extra = Span::from_secs_f64(stream.exponential(self.mean.as_secs_f64()));
        (self.at_least + extra).min(self.at_most)
    }
}

/// A ratio of whole numbers, as probabilities are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance {
    /// So many …
    pub numerator: u32,
    /// … of so many.
    pub denominator: u32,
}

impl Chance {
    /// Never.
    pub const NEVER: Self = Self { numerator: 0, denominator: 1 };
}

/// The way from one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// How long a message is on its way.
    pub delay: Delay,
    /// How many are lost.
    pub loss: Chance,
    /// How many come twice.
    pub duplication: Chance,
    /// Whether nothing passes at all.
    pub is_cut: bool,
}

impl Path {
    /// A quiet local network: 0.3 ms and an exponential 0.2 ms on top, at most 5 ms, nothing lost.
    pub const LOCAL: Self = Self {
        delay: Delay {
            at_least: Span::from_micros(300),
            mean: Span::from_micros(200),
            at_most: Span::from_millis(5),
        },
        loss: Chance::NEVER,
        duplication: Chance::NEVER,
        is_cut: false,
    };
    /// Within one host.
    pub const LOOPBACK: Self =
        Self { delay: Delay::exactly(Span::from_micros(20)), loss: Chance::NEVER, ..Self::LOCAL };
}

/// All paths between the hosts of a world.
#[derive(Clone, Debug)]
pub struct Network {
    hosts: usize,
    /// By sender, then receiver.
    paths: Vec<Path>,
    streams: Vec<Stream>,
}

impl Network {
    /// Makes a network in which all paths between different hosts are alike.
    pub fn new(hosts: usize, path: Path, seed: u64) -> Self {
        let mut paths = alloc::vec![path; hosts * hosts];
        for host in 0..hosts {
            paths[host * hosts + host] = Path::LOOPBACK;
        }
        // A path draws from a stream of its own, so that traffic elsewhere does not shift what happens to its messages.
        let stream = |place| Stream::named(seed, &alloc::format!("path {place}"));
        let streams = (0..hosts * hosts).map(stream).collect();
        Self { hosts, paths, streams }
    }

    /// The path from one host to another.
    pub fn path(&self, from: u16, to: u16) -> Path {
        self.paths[usize::from(from) * self.hosts + usize::from(to)]
    }

    /// The path from one host to another, to be looked at or changed.
    pub fn path_mut(&mut self, from: u16, to: u16) -> &mut Path {
        &mut self.paths[usize::from(from) * self.hosts + usize::from(to)]
    }

    /// Sends a message: after which delays it arrives, once or twice; not at all if it is lost.
    pub fn send(&mut self, from: u16, to: u16) -> (Option<Span>, Option<Span>) {
        let place = usize::from(from) * self.hosts + usize::from(to);
        let (path, stream) = (self.paths[place], &mut self.streams[place]);
        let Path { delay, loss, duplication, is_cut } = path;
        if is_cut || (loss.numerator > 0 && stream.chance(loss.numerator, loss.denominator)) {
            return (None, None);
        }
        let first = delay.draw(stream);
        let comes_twice =
            duplication.numerator > 0 && stream.chance(duplication.numerator, duplication.denominator);
        (Some(first), comes_twice.then(|| delay.draw(stream)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_one_way_and_a_loss_is_as_frequent_as_its_ratio() {
        let mut network = Network::new(2, Path::LOCAL, 7);
        network.path_mut(0, 1).is_cut = true;
        assert_eq!(network.send(0, 1), (None, None));
        network.path_mut(1, 0).loss = Chance { numerator: 1, denominator: 4 };
        let lost = (0..4_000).filter(|_message| network.send(1, 0).0.is_none()).count();
        assert!((900..1_100).contains(&lost), "{lost} of 4,000");
    }

    #[test]
    fn a_delay_stays_within_its_bounds() {
        let mut network = Network::new(2, Path::LOCAL, 7);
        for _message in 0..1_000 {
            let delay = network.send(0, 1).0.expect("nothing is lost here");
            assert!(delay >= Path::LOCAL.delay.at_least && delay <= Path::LOCAL.delay.at_most);
        }
    }
}
