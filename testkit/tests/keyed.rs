//! Every state of an IKE SA, in both roles, meets every exchange under valid integrity, as request and as response; and the
//! fuzzer's seeds run here too.

extern crate alloc;

use alloc::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use testkit::keyed::{Met, PHASES, Phase, run};

/// What can be forged: IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL, IKE_INTERMEDIATE, IKE_FOLLOWUP_KE, and one
/// that nobody knows, by their place in an operation.
const EXCHANGES: [(u8, u8); 7] = [(0, 34), (1, 35), (2, 36), (3, 37), (4, 43), (5, 44), (6, 38)];

/// Exchange types, as requests and as responses.
type Kinds = BTreeSet<(u8, bool)>;

/// An input that brings the two endpoints somewhere: the first octet, and what happens before the forged message.
fn ways() -> Vec<Vec<u8>> {
    // Commands of the victim: to rekey or delete its child, to rekey, probe, make a child, delete the IKE SA, which is
    // then answered in part; and nothing.
    const BEFORE: [&[u8]; 9] =
        [&[], &[0x05], &[0x0d], &[0x15], &[0x1d], &[0x25], &[0x2d], &[0x2d, 0x06], &[0x15, 0x06]];
    let mut ways = Vec::new();
    for start in 0..0x80 {
        // Rounds of true datagrams: with none there are no keys, and with five all is up.
        if (1..=5).contains(&(start >> 2 & 7)) {
            ways.extend(BEFORE.iter().map(|before| [&[start], *before].concat()));
        }
    }
    ways
}

#[test]
fn every_state_meets_every_exchange_in_both_roles() {
    let mut met: BTreeSet<Met> = BTreeSet::new();
    let mut runs = 0;
    for way in ways() {
        for (place, _) in EXCHANGES {
            for shape in 0..16 {
                // Nothing inside; the message id counts up to seven.
                met.extend(run(&[way.as_slice(), &[place << 3, shape, 0, 0]].concat()));
                runs += 1;
            }
        }
    }
    let mut table: BTreeMap<(Phase, bool), (Kinds, Kinds)> = BTreeMap::new();
    for Met { initiator, phase, exchange, response, taken } in met {
        let (all, held) = table.entry((phase, initiator)).or_default();
        all.insert((exchange, response));
        if taken {
            held.insert((exchange, response));
        }
    }
    for ((phase, initiator), (all, held)) in &table {
        let role = if *initiator { "initiator" } else { "responder" };
        println!("{phase:?}, {role}: {} kinds of messages, taken: {held:?}", all.len());
    }
    println!("{runs} runs");
    for phase in PHASES {
        for initiator in [true, false] {
            let one_role = match phase {
                Phase::IntermediateSent | Phase::AuthSent => Some(true),
                Phase::HalfOpen | Phase::IntermediateAnswered => Some(false),
                _ => None,
            };
            if one_role.is_some_and(|role| role != initiator) {
                continue;
            }
            let (all, held) =
                table.get(&(phase, initiator)).unwrap_or_else(|| panic!("{phase:?} {initiator}"));
            let missing: Vec<_> = EXCHANGES
                .iter()
                .flat_map(|(_, exchange)| [(*exchange, false), (*exchange, true)])
                .filter(|kind| !all.contains(kind))
                .collect();
            assert!(missing.is_empty(), "{phase:?}, initiator {initiator}: {missing:?} were not forged");
            // An answer is of the exchange that was asked for.
            let asked = match phase {
                Phase::Creating | Phase::RekeyingChild | Phase::RekeyingIke => Some(36),
                Phase::Deleting | Phase::Probing => Some(37),
                _ => None,
            };
            let answers = held.iter().filter(|(_, response)| *response).map(|(exchange, _)| *exchange);
            assert!(
                asked.is_none_or(|asked| answers.clone().eq([asked])),
                "{phase:?}, initiator {initiator}: {held:?}"
            );
            // The keys are right: where the peer may speak, something of what it says is taken. An IKE SA that is over
            // takes no more than what it has answered before.
            assert!(phase == Phase::Closing || !held.is_empty(), "{phase:?}, initiator {initiator}");
        }
    }
}

#[test]
fn the_seeds_of_the_fuzzer_reach_most_states() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/endpoint");
    let mut met: BTreeSet<(Phase, bool)> = BTreeSet::new();
    let mut seeds = 0;
    for entry in fs::read_dir(folder).expect("seeds") {
        let octets = fs::read(entry.expect("a seed").path()).expect("a seed");
        met.extend(run(&octets).into_iter().map(|met| (met.phase, met.initiator)));
        seeds += 1;
    }
    println!("{seeds} seeds: {met:?}");
    assert!(seeds > 50);
    let phases: BTreeSet<Phase> = met.iter().map(|(phase, _)| *phase).collect();
    assert_eq!(phases.into_iter().collect::<Vec<_>>(), PHASES, "{met:?}");
}
