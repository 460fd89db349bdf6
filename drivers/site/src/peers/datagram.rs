//! The bytes of a datagram between hosts: what stands where, and the tag that proves that somebody with the site's key wrote it.
//!
//! ```text
//!     0 "REMS"   4 version   5 kind   6 from   8 to   10 session   26 echo   42 counter   50 body …   tag (the last 16)
//! ```
//!
//! Numbers are little-endian. The body of a Hello is the session that it answers and the nonce for it, 16 bytes each; that of
//! Data is the caller's. The tag is the first half of the keyed blake3 hash of all bytes before it: 128 bits are not guessed, and
//! half a hash says nothing of the other half. **Nothing here is secret**: who listens reads along.
//!
//! **Invariants:** no bytes panic or allocate; what is taken apart is used only once its tag was found right.

use std::fmt;

use super::key::Key;

/// Most bytes of a body: a unit of state transfer, 60,000 bytes of memory, with the message around it.
pub const BODY_MAX: usize = 60_500;
/// What stands before a body.
const HEAD_BYTES: usize = 50;
const TAG_BYTES: usize = 16;
/// Most bytes of a datagram.
pub(super) const DATAGRAM_MAX: usize = HEAD_BYTES + BODY_MAX + TAG_BYTES;

const MAGIC: [u8; 4] = *b"REMS";
/// The form of datagrams; hosts that write another do not understand each other.
const VERSION: u8 = 1;
const HELLO: u8 = 1;
const DATA: u8 = 2;

const _: () = assert!(BODY_MAX > r_ems_engine::carry::MAX_CARRIED_BYTES);
// UDP over IPv4 takes no more.
const _: () = assert!(DATAGRAM_MAX <= 65_507);

/// Names one life of a host's process: drawn at its start, never again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Session(pub(super) [u8; 16]);

/// What a process gives to one session of one peer, to be said back: who says it back has heard this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonce(pub(super) [u8; 16]);

impl Nonce {
    /// In place of one that is not known.
    pub(super) const UNKNOWN: Self = Self([0; 16]);
}

/// What stands before the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Who sent it.
    pub(super) from: u16,
    /// For whom it is.
    pub(super) to: u16,
    /// The sender's session.
    pub(super) session: Session,
    /// The receiver's nonce, as far as the sender knows it.
    pub(super) echo: Nonce,
    /// Numbers what one session sends to one host.
    pub(super) counter: u64,
}

/// What a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// What lets the receiver be heard.
    Hello {
        /// Which of its sessions is answered.
        answered: Session,
        /// What it is to say back.
        nonce: Nonce,
    },
    /// A body.
    Data(&'a [u8]),
}

/// A datagram taken apart; anybody may have written it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) head: Head,
    pub(super) content: Content<'a>,
    /// All before the tag.
    tagged: &'a [u8],
    tag: [u8; TAG_BYTES],
}

/// Why bytes are no datagram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Too short or too long.
    Length,
    /// Of another program, or of another version of this one.
    Foreign,
}

impl<'a> Datagram<'a> {
    /// Takes bytes apart.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() > DATAGRAM_MAX {
            return Err(Malformed::Length);
        }
        let (tagged, tag) = bytes.split_last_chunk().ok_or(Malformed::Length)?;
        let (magic, rest) = part(tagged)?;
        let ([version, kind], rest) = part(rest)?;
        if magic != MAGIC || version != VERSION {
            return Err(Malformed::Foreign);
        }
        let (from, rest) = part(rest)?;
        let (to, rest) = part(rest)?;
        let (session, rest) = part(rest)?;
        let (echo, rest) = part(rest)?;
        let (counter, body) = part(rest)?;
        let content = match kind {
            HELLO => {
                let (answered, rest) = part(body)?;
                let nonce = rest.try_into().map_err(|_| Malformed::Length)?;
                Content::Hello { answered: Session(answered), nonce: Nonce(nonce) }
            }
            DATA => Content::Data(body),
            _ => return Err(Malformed::Foreign),
        };
        let head = Head {
            from: u16::from_le_bytes(from),
            to: u16::from_le_bytes(to),
            session: Session(session),
            echo: Nonce(echo),
            counter: u64::from_le_bytes(counter),
        };
        Ok(Self { head, content, tagged, tag: *tag })
    }

    /// Whether somebody with this key wrote it. Takes as long whatever is wrong with the tag.
    pub(super) fn is_authentic(&self, key: &Key) -> bool {
        // Only whole hashes are compared in constant time.
        let padded = |tag: [u8; TAG_BYTES]| {
            let mut whole = [0; blake3::OUT_LEN];
            whole[..TAG_BYTES].copy_from_slice(&tag);
            blake3::Hash::from_bytes(whole)
        };
        padded(key.digest(self.tagged)) == padded(self.tag)
    }
}

/// Writes a datagram in place of what `into` holds.
pub(super) fn write(head: &Head, content: Content<'_>, key: &Key, into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(&MAGIC);
    into.push(VERSION);
    into.push(match content {
        Content::Hello { .. } => HELLO,
        Content::Data(_) => DATA,
    });
    into.extend_from_slice(&head.from.to_le_bytes());
    into.extend_from_slice(&head.to.to_le_bytes());
    into.extend_from_slice(&head.session.0);
    into.extend_from_slice(&head.echo.0);
    into.extend_from_slice(&head.counter.to_le_bytes());
    match content {
        Content::Hello { answered, nonce } => {
            into.extend_from_slice(&answered.0);
            into.extend_from_slice(&nonce.0);
        }
        Content::Data(body) => into.extend_from_slice(body),
    }
    let tag = key.digest(into);
    into.extend_from_slice(&tag);
    assert!(into.len() <= DATAGRAM_MAX, "whoever sends keeps bodies within their bound");
}

/// The next bytes, and what follows them.
fn part<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Malformed> {
    let (part, rest) = bytes.split_first_chunk().ok_or(Malformed::Length)?;
    Ok((*part, rest))
}

fn hexadecimal(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, f)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: Head = Head {
        from: 0x0102,
        to: 0x0304,
        session: Session([5; 16]),
        echo: Nonce([6; 16]),
        counter: 0x0708_090a_0b0c_0d0e,
    };
    const ANSWER: Content<'_> = Content::Hello { answered: Session([7; 16]), nonce: Nonce([8; 16]) };

    fn key() -> Key {
        Key::of([9; 32])
    }

    fn written(content: Content<'_>) -> Vec<u8> {
        let mut bytes = b"what was there".to_vec();
        write(&HEAD, content, &key(), &mut bytes);
        bytes
    }

    #[test]
    fn what_stands_where_does_not_change() {
        let bytes = written(Content::Data(b"body"));
        let head = b"REMS\x01\x02\x02\x01\x04\x03";
        assert_eq!(bytes[..10], *head);
        assert_eq!(bytes[10..26], [5; 16]);
        assert_eq!(bytes[26..42], [6; 16]);
        assert_eq!(bytes[42..54], *b"\x0e\x0d\x0c\x0b\x0a\x09\x08\x07body");
        assert_eq!(bytes[54..], blake3::keyed_hash(&[9; 32], &bytes[..54]).as_bytes()[..16]);
        assert_eq!(written(ANSWER)[50..82], [[7; 16], [8; 16]].concat());
    }

    #[test]
    fn the_longest_body_is_read_and_a_byte_more_is_not() {
        let body = vec![1; BODY_MAX];
        let mut bytes = written(Content::Data(&body));
        assert_eq!(Datagram::read(&bytes).map(|read| read.content), Ok(Content::Data(&body)));
        bytes.push(0);
        assert_eq!(Datagram::read(&bytes).err(), Some(Malformed::Length));
    }

    #[test]
    fn a_hello_has_one_length() {
        let bytes = written(ANSWER);
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Datagram::read(&bytes).map(|read| read.content), Ok(ANSWER));
        assert_eq!(Datagram::read(&bytes[..bytes.len() - 1]).err(), Some(Malformed::Length));
        assert_eq!(Datagram::read(&longer).err(), Some(Malformed::Length));
    }

    #[test]
    fn another_program_version_or_kind_is_foreign() {
        for place in [0, 3, 4, 5] {
            let mut bytes = written(Content::Data(b""));
            bytes[place] ^= 0x40;
            assert_eq!(Datagram::read(&bytes).err(), Some(Malformed::Foreign), "byte {place}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_is_authentic_for_the_same_key_only(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            is_hello in any::<bool>(),
        ) {
            let content = if is_hello { ANSWER } else { Content::Data(&body) };
            let bytes = written(content);
            let read = Datagram::read(&bytes).expect("we wrote it");
            prop_assert_eq!((read.head, read.content), (HEAD, content));
            prop_assert!(read.is_authentic(&key()));
            prop_assert!(!read.is_authentic(&Key::of([10; 32])));
        }

        #[test]
        fn a_bit_that_flipped_or_a_byte_that_is_missing_is_noticed(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            bit in any::<proptest::sample::Index>(),
        ) {
            let whole = written(Content::Data(&body));
            let (place, bit) = (bit.index(whole.len()), bit.index(8));
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << bit;
            for bytes in [&flipped[..], &whole[..place], &whole[place + 1..]] {
                prop_assert!(!Datagram::read(bytes).is_ok_and(|read| read.is_authentic(&key())));
            }
        }

        #[test]
        fn no_bytes_panic_and_none_are_authentic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let with_magic = [&b"REMS\x01\x02"[..], &bytes].concat();
            for bytes in [&bytes[..], &with_magic] {
                prop_assert!(!Datagram::read(bytes).is_ok_and(|read| read.is_authentic(&key())));
            }
        }
    }
}
