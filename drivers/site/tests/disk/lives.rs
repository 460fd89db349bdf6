//! What a life finds of the one before, however that ended.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use r_ems_engine::persistence::disk::{CopyName, FileName};
use r_ems_engine::persistence::recovery::Finding;
use r_ems_engine::persistence::status::Origin;
use r_ems_site::disk::{Folder, file_of, text_of};

use super::life::{Life, look, stood};
use super::place;

#[test]
fn a_life_goes_on_where_the_one_before_was_killed() {
    let path = place("goes_on");
    let mut life = Life::begin(&path);
    assert_eq!((life.recovered.origin, life.recovered.findings.len()), (Origin::Fresh, 0));
    for number in 1..5 {
        life.promise(number);
        life.run(40);
        let (history, promised) = life.kill();
        life = Life::begin(&path);
        assert_eq!(life.recovered.origin, Origin::Replayed);
        assert_eq!(life.recovered.incarnation, number);
        assert_eq!(life.recovered.promises.kept, promised);
        assert_eq!(promised.promise.ceiling.round, number);
        // It may lose what was not due to be durable.
        let position = history.iter().rposition(|stood| *stood == life.found());
        assert!(position.is_some_and(|position| position + 10 > history.len()), "{position:?}");
    }
}

/// The script of a life that is killed: a few segments and promises.
fn live(life: &mut Life) {
    for round in 1..4 {
        if life.is_over() {
            return;
        }
        life.promise(round);
        life.run(12);
    }
}

#[test]
fn whatever_request_a_process_dies_at_what_was_durable_is_found() {
    let path = place("killed");
    let mut deaths = 0;
    loop {
        let _removed = fs::remove_dir_all(&path);
        let mut life = Life::begin_for(&path, deaths + 1);
        live(&mut life);
        let (is_over, durable) = (life.is_over(), life.durable());
        let (history, promised) = life.kill();
        let next = Life::begin(&path);
        let position = history.iter().rposition(|stood| *stood == next.found());
        // The first stood before all deliveries.
        assert!(position.is_some_and(|position| position >= durable), "death {deaths}: {position:?}");
        assert!(next.recovered.promises.kept.incarnation >= promised.incarnation, "death {deaths}");
        assert!(next.recovered.promises.kept.promise.ceiling >= promised.promise.ceiling, "death {deaths}");
        assert!(!next.recovered.abstains, "death {deaths}: {:?}", next.recovered.findings);
        if !is_over {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 20, "the script asks for much: {deaths}");
}

#[test]
fn the_next_life_in_the_same_process_waits_for_what_was_begun_and_hears_nothing_of_it() {
    let path = place("again");
    let mut life = Life::begin(&path);
    life.run(10);
    for number in 1..20 {
        life.work_on(number);
        let history = life.history.clone();
        life = life.again();
        assert_eq!(history.last(), Some(&life.found()), "what was begun is finished");
        assert_eq!(life.recovered.promises.kept.promise.ceiling.round, number);
        life.run(3);
        assert_eq!(life.promised.map(|kept| kept.incarnation), Some(life.recovered.incarnation + 1));
    }
}

#[test]
fn a_tail_is_cut_wherever_it_is_torn() {
    let path = place("torn");
    let mut life = Life::begin(&path);
    life.run(48);
    let (history, _) = life.kill();
    let mut folder = Folder::open(&path).expect("nobody lives there");
    let newest = newest_segment(&path);
    let file = path.join(text_of(newest));
    let whole = fs::read(&file).expect("it is there");
    let at = |folder: &mut Folder| {
        let recovered = look(folder);
        let found = history.iter().rposition(|stood_then| *stood_then == stood(&recovered));
        (found.expect("it stood so once"), recovered.findings)
    };
    let (mut last, findings) = at(&mut folder);
    // A killed process closes nothing.
    assert_eq!(findings, [torn_at(newest, whole.len())]);
    let (mut cuts, mut is_headless) = (BTreeSet::new(), false);
    for length in (0..whole.len()).rev() {
        fs::write(&file, &whole[..length]).expect("it is ours");
        let (position, findings) = at(&mut folder);
        assert!(position <= last && position > 0, "{length}: {position}");
        last = position;
        match findings[..] {
            [Finding::TornTail { position: cut, .. }] if !is_headless && cut <= length as u64 => {
                cuts.insert(cut);
            }
            // Its name was given when its head was durable.
            [Finding::Damaged { .. }] => is_headless = true,
            _ => panic!("{length}: {findings:?}"),
        }
    }
    assert!(cuts.len() > 2 && is_headless, "{cuts:?}");
    let mut flipped = whole;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(&file, &flipped).expect("it is ours");
    let recovered = look(&mut folder);
    assert!(matches!(recovered.findings[..], [Finding::Damaged { .. }]), "{:?}", recovered.findings);
}

fn torn_at(file: FileName, position: usize) -> Finding {
    let segment = file.number().expect("a segment has a number");
    Finding::TornTail { segment, position: position as u64 }
}

fn newest_segment(path: &Path) -> FileName {
    let entries = fs::read_dir(path).expect("it is there");
    let names = entries.filter_map(|entry| file_of(entry.ok()?.file_name().as_encoded_bytes()));
    let segments = names.filter(|name| matches!(name, FileName::Segment(_)));
    segments.max().expect("there is one")
}

#[test]
fn what_retention_lets_go_of_is_gone_and_what_was_in_the_making_is_tidied_up() {
    let path = place("tidied");
    let mut life = Life::begin(&path);
    life.run(200);
    drop(life);
    fs::write(path.join(text_of(FileName::New(3))), b"half a head").expect("it is ours");
    let mut life = Life::begin(&path);
    life.run(10);
    drop(life);
    let mut names: Vec<_> = fs::read_dir(&path)
        .expect("it is there")
        .map(|entry| entry.expect("it is listed").file_name().into_string().expect("ours are"))
        .collect();
    names.sort();
    assert_eq!(names[2..], ["lock", "promise.a", "promise.b"], "two segments are kept");
    assert!(names[..2].iter().all(|name| name.ends_with(".rlog")), "{names:?}");
}

#[test]
fn a_promise_that_cannot_be_read_is_none_that_was_not_made() {
    let path = place("unreadable");
    let mut life = Life::begin(&path);
    life.promise(1);
    life.run(10);
    drop(life);
    for copy in [CopyName::A, CopyName::B] {
        let file = path.join(text_of(FileName::Promise(copy)));
        let aside = path.join("aside");
        fs::rename(&file, &aside).expect("it is there");
        std::os::unix::fs::symlink(&aside, &file).expect("a link");
        let life = Life::begin(&path);
        assert!(!life.recovered.promises.is_known && life.recovered.abstains);
        assert_eq!((life.recovered.number, life.promised), (None, None), "nothing is kept of such a life");
        drop(life);
        fs::rename(&aside, &file).expect("it is there");
    }
    assert!(!Life::begin(&path).recovered.abstains, "all of it can be read again");
}
