//! The winner tree of deadlines against a look at all of them.

use proptest::collection::vec;
use proptest::prelude::*;
use r_ems_engine::Time;
use r_ems_engine::wakes::Wakes;

fn deadline() -> impl Strategy<Value = Option<Time>> {
    prop_oneof![
        1 => Just(None),
        3 => (0..6_u64).prop_map(|nanos| Some(Time::from_nanos(nanos))),
        1 => any::<u64>().prop_map(|nanos| Some(Time::from_nanos(nanos))),
        1 => Just(Some(Time::MAX)),
    ]
}

fn scan(deadlines: &[Option<Time>]) -> Option<(Time, u32)> {
    deadlines.iter().zip(0..).filter_map(|(at, index)| at.map(|at| (at, index))).min()
}

proptest! {
    #[test]
    fn the_next_wake_is_the_earliest_deadline_of_the_lowest_index(
        count in 1..70_u32,
        changes in vec((any::<u32>(), deadline()), 1..300),
    ) {
        let mut wakes = Wakes::new(count);
        let mut deadlines = vec![None; count as usize];
        prop_assert_eq!(wakes.next(), None);
        for (index, at) in changes {
            let index = index % count;
            wakes.set(index, at);
            deadlines[index as usize] = at;
            prop_assert_eq!(wakes.next(), scan(&deadlines));
            prop_assert_eq!(wakes.clone().deadline(index), at);
        }
        for index in 0..count {
            prop_assert_eq!(wakes.deadline(index), deadlines[index as usize]);
        }
    }
}

#[test]
fn a_fleet_of_none_never_wakes() {
    assert_eq!(Wakes::new(0).next(), None);
}

#[test]
fn a_deadline_at_the_last_instant_is_still_a_deadline() {
    let mut wakes = Wakes::new(3);
    wakes.set(2, Some(Time::MAX));
    assert_eq!(wakes.next(), Some((Time::MAX, 2)));
    wakes.set(2, None);
    assert_eq!(wakes.next(), None);
}

#[test]
#[should_panic(expected = "there are 3")]
fn a_machine_that_is_not_there_has_no_deadline() {
    Wakes::new(3).set(3, None);
}
