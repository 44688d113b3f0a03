//! The SAD as a machine of operations, beside a map and a queue.
#![no_main]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ipsec_sa::{InsertError, MulticastKey, SaDatabase};
use ipsec_wire::Spi;
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const QUARANTINE: usize = SaDatabase::<u32>::QUARANTINE;

struct Model {
    capacity: usize,
    mask: u32,
    live: BTreeMap<u32, u32>,
    reserved: BTreeSet<u32>,
    foreign: BTreeMap<u32, u32>,
    multicast: BTreeMap<MulticastKey, u32>,
    /// Indices that were freed last, at most as many as rest.
    resting: VecDeque<u32>,
    /// SPIs that are no more.
    gone: Vec<u32>,
}

impl Model {
    fn held(&self) -> usize {
        self.live.len() + self.reserved.len() + self.foreign.len() + self.multicast.len()
    }

    fn taken(&self, spi: u32) -> bool {
        self.live.contains_key(&spi) || self.reserved.contains(&spi) || self.foreign.contains_key(&spi)
    }

    fn retire(&mut self, spi: u32) {
        self.resting.push_back(spi & self.mask);
        if self.resting.len() > QUARANTINE {
            self.resting.pop_front();
        }
        self.gone.push(spi);
    }
}

fn pick(known: impl ExactSizeIterator<Item = u32>, by: u8) -> Option<u32> {
    let count = known.len();
    (count > 0).then(|| known.skip(usize::from(by) % count).next()).flatten()
}

fuzz_target!(|data: &[u8]| {
    let [seed, size, steps @ ..] = data else { return };
    let capacity = usize::from(size % 40);
    let mut sad = SaDatabase::new(capacity);
    let mut rng = ChaCha8Rng::seed_from_u64(u64::from(*seed));
    let mut model = Model {
        capacity,
        mask: ((capacity + QUARANTINE).next_power_of_two() - 1) as u32,
        live: BTreeMap::new(),
        reserved: BTreeSet::new(),
        foreign: BTreeMap::new(),
        multicast: BTreeMap::new(),
        resting: VecDeque::new(),
        gone: Vec::new(),
    };
    for (number, step) in (0u32..).zip(steps.chunks_exact(2)) {
        let [kind, by] = [step[0], step[1]];
        match kind % 10 {
            0 | 1 => match sad.reserve(&mut rng) {
                Some(Spi(spi)) => {
                    assert!(model.held() < model.capacity && spi > 255 && !model.taken(spi));
                    assert!(!model.resting.contains(&(spi & model.mask)), "its slot still rests");
                    model.reserved.insert(spi);
                }
                None => assert_eq!(model.held(), model.capacity),
            },
            2 | 3 => {
                let Some(spi) = pick(model.reserved.iter().copied().collect::<Vec<_>>().into_iter(), by) else {
                    continue;
                };
                assert!(sad.insert(Spi(spi), number).is_ok());
                model.reserved.remove(&spi);
                model.live.insert(spi, number);
            }
            4 => {
                let Some(spi) = pick(model.reserved.iter().copied().collect::<Vec<_>>().into_iter(), by) else {
                    continue;
                };
                assert!(sad.release(Spi(spi)) && !sad.release(Spi(spi)));
                model.reserved.remove(&spi);
                model.retire(spi);
            }
            5 => {
                // Any SPI: few values, so that they meet; some on top of the slab's.
                let spi = match pick(model.live.keys().copied().collect::<Vec<_>>().into_iter(), by) {
                    Some(live) if by & 0x80 != 0 => live,
                    _ => u32::from(by) << 5,
                };
                let expected = if spi <= 255 {
                    Err(InsertError::ReservedValue)
                } else if model.taken(spi) {
                    Err(InsertError::InUse)
                } else if model.held() >= model.capacity {
                    Err(InsertError::Full)
                } else {
                    Ok(())
                };
                let inserted = sad.insert_foreign(Spi(spi), number).map_err(|rejected| {
                    assert_eq!(rejected.sa, number);
                    rejected.error
                });
                assert_eq!(inserted, expected);
                if expected.is_ok() {
                    model.foreign.insert(spi, number);
                }
            }
            6 => {
                let all = model.live.keys().chain(model.foreign.keys()).copied().collect::<Vec<_>>();
                let Some(spi) = pick(all.into_iter(), by) else { continue };
                let own = model.live.remove(&spi);
                if own.is_some() {
                    model.retire(spi);
                }
                let expected = own.or_else(|| model.foreign.remove(&spi));
                assert_eq!(sad.remove(Spi(spi)), expected);
                assert_eq!(sad.remove(Spi(spi)), None);
            }
            7 => {
                let src = (by & 1 != 0).then(|| [192, 0, 2, by & 2].into());
                let key = MulticastKey { spi: Spi(0x100 + u32::from(by & 4)), dst: [224, 0, 0, by & 8].into(), src };
                if by & 0x40 != 0 {
                    assert_eq!(sad.remove_multicast(&key), model.multicast.remove(&key));
                    continue;
                }
                let expected = if model.multicast.contains_key(&key) {
                    Err(InsertError::InUse)
                } else if model.held() >= model.capacity {
                    Err(InsertError::Full)
                } else {
                    Ok(())
                };
                assert_eq!(sad.insert_multicast(key, number).map_err(|rejected| rejected.error), expected);
                if expected.is_ok() {
                    model.multicast.insert(key, number);
                }
            }
            8 => {
                // What never was, or is no more, is not found; nor can it be filled or given back.
                let spi = match pick(model.gone.iter().copied(), by) {
                    Some(gone) => gone,
                    None => u32::from(by) << 9 | 1,
                };
                if !model.taken(spi) {
                    assert_eq!(sad.lookup(Spi(spi)), None);
                    assert!(!sad.release(Spi(spi)));
                    let refused = sad.insert(Spi(spi), number).unwrap_err();
                    assert_eq!(refused.error, InsertError::NotReserved);
                    assert_eq!(sad.remove(Spi(spi)), None);
                }
            }
            _ => {
                let (dst, src) = ([224, 0, 0, by & 8].into(), [192, 0, 2, by & 2].into());
                let spi = Spi(0x100 + u32::from(by & 4));
                let expected = [Some(src), None]
                    .into_iter()
                    .find_map(|src| model.multicast.get(&MulticastKey { spi, dst, src }))
                    .or_else(|| model.live.get(&spi.0).or_else(|| model.foreign.get(&spi.0)));
                assert_eq!(sad.lookup_packet(spi, dst, src), expected);
            }
        }
        for (spi, sa) in model.live.iter().chain(&model.foreign) {
            assert_eq!(sad.lookup(Spi(*spi)), Some(sa));
        }
        for spi in &model.reserved {
            assert_eq!(sad.lookup(Spi(*spi)), None);
        }
        assert_eq!(sad.len(), model.live.len() + model.foreign.len() + model.multicast.len());
    }
    let mut listed: Vec<_> = sad.iter().map(|(spi, sa)| (spi.0, *sa)).collect();
    let own = model.live.into_iter().chain(model.foreign);
    let mut expected: Vec<_> = own.chain(model.multicast.into_iter().map(|(key, sa)| (key.spi.0, sa))).collect();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
});
