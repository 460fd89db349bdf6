//! Any sequence of operations means on a real disk what it means in memory, as the simulated disk takes it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use r_ems_engine::persistence::disk::{CopyName, DiskError, FileName, Operation, Storage};
use r_ems_site::disk::Answer;

use super::{FAILED, folder};

/// Names in a folder and what they stand for, on a disk that never fails.
#[derive(Default)]
struct Model(BTreeMap<FileName, Vec<u8>>);

impl Model {
    fn perform(&mut self, operation: &Operation) -> Answer {
        match *operation {
            Operation::Write { file, offset, ref bytes } => {
                let length = self.0.get(&file).map_or(0, Vec::len);
                let Some(start) = usize::try_from(offset).ok().filter(|start| *start <= length) else {
                    return FAILED;
                };
                let held = self.0.entry(file).or_default();
                held.resize(length.max(start + bytes.len()), 0);
                held[start..start + bytes.len()].copy_from_slice(bytes);
                Answer::Done
            }
            Operation::Sync { file } if self.0.contains_key(&file) => Answer::Done,
            Operation::Sync { .. } => FAILED,
            Operation::Rename { from, to } => {
                if let Some(held) = self.0.remove(&from) {
                    self.0.insert(to, held);
                }
                Answer::Done
            }
            Operation::SyncDirectory | Operation::List => Answer::Done,
            Operation::Remove { file } => {
                self.0.remove(&file);
                Answer::Done
            }
            Operation::Read { file, bytes } => {
                let held = self.0.get(&file).map_or(&[][..], Vec::as_slice);
                Answer::Bytes(held[..held.len().min(bytes as usize)].to_vec())
            }
        }
    }
}

/// More names than files stay open.
fn names() -> impl Strategy<Value = FileName> {
    prop_oneof![
        (1..4_u64).prop_map(FileName::Segment),
        (1..3_u64).prop_map(FileName::New),
        Just(FileName::Quarantined(1)),
        prop_oneof![Just(CopyName::A), Just(CopyName::B)].prop_map(FileName::Promise),
    ]
}

fn operations() -> impl Strategy<Value = Operation> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        6 => (names(), prop_oneof![3 => Just(0), 2 => 0..40_u64], bytes)
            .prop_map(|(file, offset, bytes)| Operation::Write { file, offset, bytes }),
        1 => names().prop_map(|file| Operation::Sync { file }),
        3 => (names(), names()).prop_map(|(from, to)| Operation::Rename { from, to }),
        1 => Just(Operation::SyncDirectory),
        2 => names().prop_map(|file| Operation::Remove { file }),
        2 => (names(), 0..60_u32).prop_map(|(file, bytes)| Operation::Read { file, bytes }),
        1 => Just(Operation::List),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_folder_does_what_the_model_does(asked in proptest::collection::vec(operations(), 1..60)) {
        let (_, mut folder) = folder("model");
        let mut model = Model::default();
        for (place, operation) in asked.iter().enumerate() {
            prop_assert_eq!(folder.perform(operation), model.perform(operation), "{}: {:?}", place, operation);
            // A recovery that looks in the middle sees the same.
            for (file, held) in &model.0 {
                let mut bytes = [0; 128];
                let count = folder.read(*file, 0, &mut bytes);
                prop_assert_eq!(count.map(|count| &bytes[..count]), Ok(&held[..]));
            }
        }
        let mut listed = folder.list().expect("it can be listed");
        listed.sort();
        prop_assert_eq!(listed, model.0.keys().copied().collect::<Vec<_>>());
        prop_assert_eq!(folder.read(FileName::New(9), 0, &mut [0; 1]), Err(DiskError::Failed));
    }
}
