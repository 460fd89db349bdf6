//! What writer and reader both remember, so that a record says only what has changed.
//!
//! A log holds it now and then as a whole, so that a reader may begin there: see [`Memory::put`].

use alloc::vec::Vec;

use super::MAX_SAMPLES;
use super::error::Flaw;
use super::header::Header;
use super::record::KIND_END;
use super::varint::{self, Cursor};
use crate::ids::{ControllerIndex, PointIndex};
use crate::machine::{Sample, Validity};
use crate::time::{LocalTime, Time};

/// The past of a log, as far as later records refer to it.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// The time of the last record.
    pub(super) at: Time,
    /// Whom the last record concerned.
    pub(super) controller: ControllerIndex,
    /// What is remembered of each controller.
    pub(super) of: Vec<Remembered>,
}

/// The past of one controller.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    /// `now − at`, wrapping.
    pub(super) clock: u64,
    /// The last step in time of each kind of record that is a delivery.
    pub(super) steps: [u64; KIND_END],
    /// The last samples of each device.
    pub(super) devices: Vec<Vec<Sample>>,
    /// The last recorded deadline.
    pub(super) deadline: Option<LocalTime>,
}

impl Memory {
    pub(super) fn new(header: &Header) -> Self {
        let fresh = |devices: usize| Remembered {
            clock: 0,
            steps: [0; KIND_END],
            devices: alloc::vec![Vec::new(); devices],
            deadline: None,
        };
        let of = header.device_counts().map(fresh).collect();
        Self { at: Time::ZERO, controller: ControllerIndex(0), of }
    }

    /// Appends all of it, after so many records.
    pub(super) fn put(&self, records: u64, out: &mut Vec<u8>) {
        varint::put(out, records);
        varint::put(out, self.at.as_nanos());
        varint::put(out, self.controller.0.into());
        for known in &self.of {
            known.put(out);
        }
    }

    /// Takes all of it from such bytes; says after how many records.
    ///
    /// # Errors
    /// What is wrong with them; the memory is then of no use.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<u64, Flaw> {
        let mut cursor = Cursor::new(bytes, 0);
        let records = cursor.varint()?;
        self.at = Time::from_nanos(cursor.varint()?);
        self.controller = ControllerIndex(cursor.below(self.of.len(), "controller")?);
        for known in &mut self.of {
            known.take(&mut cursor)?;
        }
        if cursor.rest() == 0 { Ok(records) } else { Err(Flaw::Memory) }
    }
}

impl Remembered {
    fn put(&self, out: &mut Vec<u8>) {
        varint::put(out, self.clock);
        // However many kinds of record a version knows, the bytes are the same.
        let known = self.steps.iter().rposition(|step| *step > 0).map_or(0, |last| last + 1);
        varint::put(out, known as u64);
        self.steps[..known].iter().for_each(|step| varint::put(out, *step));
        out.push(self.deadline.is_some().into());
        varint::put(out, self.deadline.map_or(0, LocalTime::as_nanos));
        for samples in &self.devices {
            varint::put(out, samples.len() as u64);
            for Sample { point, validity, value } in samples {
                varint::put(out, point.0.into());
                out.push(match validity {
                    Validity::Invalid => 0,
                    Validity::Valid => 1,
                    Validity::NotInForce => 2,
                });
                out.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
    }

    fn take(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Flaw> {
        self.clock = cursor.varint()?;
        self.steps = [0; KIND_END];
        let known = cursor.below(KIND_END + 1, "number of steps")?;
        for step in &mut self.steps[..usize::from(known)] {
            *step = cursor.varint()?;
        }
        let (has_deadline, deadline) = (cursor.byte()?, LocalTime::from_nanos(cursor.varint()?));
        self.deadline = match has_deadline {
            0 => None,
            1 => Some(deadline),
            found => return Err(Flaw::Code { what: "deadline", found }),
        };
        for samples in &mut self.devices {
            samples.clear();
            for _ in 0..cursor.below(MAX_SAMPLES + 1, "number of samples")? {
                let point = PointIndex(cursor.below(1 << 16, "point")?);
                let validity = match cursor.byte()? {
                    0 => Validity::Invalid,
                    1 => Validity::Valid,
                    2 => Validity::NotInForce,
                    found => return Err(Flaw::Code { what: "validity", found }),
                };
                samples.push(Sample { point, validity, value: cursor.f64()? });
            }
        }
        Ok(())
    }

    /// What the controller's own clock shows.
    pub(super) fn now(&self, at: Time) -> LocalTime {
        LocalTime::from_nanos(at.as_nanos().wrapping_add(self.clock))
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::{LogError, ReadError};
    use super::super::group::{GROUP_HEADER_BYTES, GroupHeader, MEMO, checksum};
    use super::super::reader::Source;
    use super::super::writer::MEMORY_EVERY_BYTES;
    use super::super::{Content, Ending, Places, Reader, Record, Status, Writer};
    use super::*;
    use crate::ids::DeviceIndex;
    use crate::machine::{Input, Step};

    /// A log in memory, of which any place can be read next.
    struct Anywhere<'a>(&'a [u8], &'a [u8]);

    impl Source for Anywhere<'_> {
        type Error = core::convert::Infallible;

        fn read(&mut self, into: &mut [u8]) -> Result<usize, Self::Error> {
            self.1.read(into)
        }
    }

    impl Places for Anywhere<'_> {
        fn go_to(&mut self, position: u64) -> Result<(), Self::Error> {
            self.1 = self.0.get(position as usize..).unwrap_or_default();
            Ok(())
        }
    }

    /// The time of a record, its controller, its clock, and the values that it brings.
    type Seen = (u64, u16, u64, Vec<u64>);

    const RECORDS: u64 = 1_200_000;

    /// A log of some megabytes, with values that move and some that are no numbers.
    fn log() -> Vec<u8> {
        let header = super::super::golden::header();
        let mut writer = Writer::new(&header).expect("a small header");
        let mut log = Vec::new();
        for number in 0..RECORDS {
            let at = Time::from_nanos(number / 3 * 1_000_003);
            let controller = ControllerIndex((number % 2) as u16);
            let now = LocalTime::from_nanos(at.as_nanos() + u64::from(controller.0) * 77);
            let value = if number % 1_000 == 7 { f64::NAN } else { number as f64 / 7.0 };
            let samples = [Sample { point: PointIndex(0), validity: Validity::Valid, value }];
            let points = Input::Points { device: DeviceIndex(0), samples: &samples };
            let content = Content::Delivery { step: Step::Input(points), prior: number as u16 };
            writer.append(&Record { at, now, controller, content });
            log.extend_from_slice(writer.out());
            writer.clear_out();
        }
        writer.close(ControllerIndex(0), Ending::Over);
        log.extend_from_slice(writer.out());
        log
    }

    fn seen(record: &Record<'_>) -> Seen {
        let values = match record.content {
            Content::Delivery { step: Step::Input(Input::Points { samples, .. }), .. } => {
                samples.iter().map(|sample| sample.value.to_bits()).collect()
            }
            Content::Delivery { .. }
            | Content::Event(_)
            | Content::Effects { .. }
            | Content::State(_)
            | Content::Carried { .. }
            | Content::Chains(_)
            | Content::Closing(_)
            | Content::Crashed => Vec::new(),
        };
        (record.at.as_nanos(), record.controller.0, record.now.as_nanos(), values)
    }

    /// All that is of an instant or later, and how many records were read for it.
    fn since(log: &[u8], from: Time, begins: bool) -> (Vec<Seen>, u64) {
        let mut reader = Reader::open(Anywhere(log, log)).expect("a log");
        if begins {
            reader.begin_before(from).expect("it is whole");
        }
        let (mut all, before) = (Vec::new(), reader.records());
        while reader.advance().expect("it is whole") == Status::Record {
            if reader.record().at >= from {
                all.push(seen(&reader.record()));
            }
        }
        (all, reader.records() - before)
    }

    #[test]
    fn whoever_begins_at_an_instant_reads_what_is_read_from_the_beginning_and_not_all_before() {
        let log = log();
        assert!(log.len() > 3 * MEMORY_EVERY_BYTES as usize, "{} bytes", log.len());
        let last = RECORDS / 3 * 1_000_003;
        for from in [0, 1, last / 3, last / 2, last - last / 100, last, last + 1] {
            let from = Time::from_nanos(from);
            let (whole, all) = since(&log, from, false);
            let (found, read) = since(&log, from, true);
            assert!(whole == found, "from {from:?}");
            assert!(read <= whole.len() as u64 + all / 3, "{read} records are read for {}", whole.len());
        }
    }

    #[test]
    fn memory_that_is_damaged_or_is_not_what_the_records_before_it_say_is_not_believed() {
        let log = log();
        let begins = log.windows(4).position(|window| window == MEMO).expect("there is one");
        let (before, group) = log.split_at(begins);
        let header = GroupHeader::decode(group.first_chunk().expect("it is whole")).expect("it is one");
        let payload = GROUP_HEADER_BYTES..GROUP_HEADER_BYTES + header.length as usize;
        let mut damaged = group[payload].to_vec();
        // One more record than there are.
        damaged[0] ^= 1;
        let forged = GroupHeader { payload_crc: checksum(&damaged), ..header };
        for (head, flaw) in [(header, None), (forged, Some(Flaw::Memory))] {
            let log = [before, &head.encode(), &damaged].concat();
            let mut reader = Reader::open(log.as_slice()).expect("its header is whole");
            let error = loop {
                match reader.advance() {
                    Ok(status) => assert_eq!(status, Status::Record, "the damage is found"),
                    Err(ReadError::Log(error)) => break error,
                    Err(ReadError::Source(never)) => match never {},
                }
            };
            assert_eq!(error.position, begins as u64);
            assert!(flaw.is_none_or(|flaw| flaw == error.flaw), "{error}");
        }
        let log = [before, &header.encode(), &damaged].concat();
        let mut reader = Reader::open(Anywhere(&log, &log)).expect("its header is whole");
        assert!(reader.begin_before(Time::from_nanos(header.first + 1)).is_err());
    }

    #[test]
    fn a_memory_that_says_another_time_or_a_count_that_cannot_be_is_refused_by_whoever_begins_there() {
        let log = log();
        let begins = log.windows(4).position(|window| window == MEMO).expect("there is one");
        let (before, group) = log.split_at(begins);
        let header = GroupHeader::decode(group.first_chunk().expect("it is whole")).expect("it is one");
        let payload = &group[GROUP_HEADER_BYTES..GROUP_HEADER_BYTES + header.length as usize];
        let mut count = Cursor::new(payload, 0);
        count.varint().expect("it begins with the number of records");
        let mut endless = Vec::new();
        varint::put(&mut endless, u64::MAX);
        endless.extend_from_slice(&payload[count.position()..]);
        let forged = [
            (GroupHeader { first: header.first - 1, ..header }, payload.to_vec()),
            (GroupHeader { records: 1, ..header }, payload.to_vec()),
            (
                GroupHeader { length: endless.len() as u32, payload_crc: checksum(&endless), ..header },
                endless.clone(),
            ),
        ];
        for (head, payload) in forged {
            let log = [before, &head.encode(), &payload].concat();
            let mut reader = Reader::open(Anywhere(&log, &log)).expect("its header is whole");
            let found = reader.begin_before(Time::from_nanos(header.first + 1)).err();
            assert!(matches!(found, Some(ReadError::Log(LogError { flaw: Flaw::Memory, .. }))), "{found:?}");
            let mut reader = Reader::open(log.as_slice()).expect("its header is whole");
            let found = core::iter::repeat_with(|| reader.advance()).find_map(Result::err);
            assert!(matches!(found, Some(ReadError::Log(LogError { flaw: Flaw::Memory, .. }))), "{found:?}");
        }
    }

    #[test]
    fn a_memory_has_its_golden_bytes_whatever_kinds_of_records_a_version_knows() {
        let mut memory = Memory::new(&super::super::golden::header());
        (memory.at, memory.controller) = (Time::from_nanos(300), ControllerIndex(1));
        memory.of[0].clock = 5;
        memory.of[0].steps[2] = 300;
        memory.of[0].deadline = Some(LocalTime::from_nanos(1));
        memory.of[0].devices[0] =
            alloc::vec![Sample { point: PointIndex(3), validity: Validity::Valid, value: 1.0 }];
        let mut bytes = Vec::new();
        memory.put(7, &mut bytes);
        let hex: alloc::string::String = bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN.concat());
        let mut taken = Memory::new(&super::super::golden::header());
        assert_eq!(taken.take(&bytes), Ok(7));
        assert_eq!(alloc::format!("{taken:?}"), alloc::format!("{memory:?}"));
    }

    /// Records, time and controller; of the first controller clock, steps, deadline and samples; then the other one.
    const GOLDEN: [&str; 3] = ["07ac0201", "05030000ac0201010103", "01000000000000f03f00000000000000"];
}
