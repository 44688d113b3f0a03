//! The inbound half of the SA database (RFC 4301 §4.4.2): SAs by SPI.
//!
//! An SPI of our own choice is a random generation over the index of a slot, so that a look-up is one load, and an
//! SPI that was guessed or belongs to a removed SA misses. SPIs that somebody else chose (manual keys) stand in a table
//! beside the slab, and multicast SAs, whose destination or source counts too (RFC 4301 §4.1), in an ordered map.
//!
//! The check stands in front of the SA: in a database made by [`SaDatabase::aligned`] both begin one cache line, so that
//! a look-up waits for memory once.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use ipsec_wire::Spi;
use rand_core::CryptoRng;
use thiserror::Error;

use crate::foreign::Foreign;

/// SAs by SPI, with a fixed capacity.
///
/// Memory: eight octets and an `Option<S>` for each SA that was ever there at once, at most `capacity` and the quarantine,
/// and a thirty-second of that ahead: for SAs in boxes less than 17 octets each, the pointer included. Four octets of
/// queue for each slot that is not in use, as many again while the queue has just grown. SPIs of others take at
/// most 17 octets of table and an `Option<S>` with its SPI. Where slots are aligned, each is filled up to whole lines.
///
/// `A` is what slots are aligned like: nothing, or a [`CacheLine`].
#[derive(Clone)]
pub struct SaDatabase<S, A = ()> {
    slots: Vec<Slot<S, A>>,
    /// Indices of slots that are not in use, in the order in which they became free.
    free: VecDeque<u32>,
    foreign: Foreign<S, A>,
    multicast: BTreeMap<MulticastKey, S>,
    /// Reserved and live slots.
    used: usize,
    live: usize,
    capacity: usize,
    index_mask: u32,
}

/// Aligns the slots of a database to cache lines of 64 octets.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct CacheLine;

/// In this order: what is checked stands beside the first fields of the SA.
#[derive(Clone)]
#[repr(C)]
struct Slot<S, A> {
    aligned: [A; 0],
    /// The SPI of the reservation or the SA; of a free slot the last one that it had.
    spi: u32,
    reserved: bool,
    /// A live SA; of a free or a reserved slot none.
    sa: Option<S>,
}

impl<S, A> Slot<S, A> {
    const fn new(spi: u32, reserved: bool) -> Self {
        Self { aligned: [], spi, reserved, sa: None }
    }

    const fn is_free(&self) -> bool {
        !self.reserved && self.sa.is_none()
    }
}

/// What a multicast SA is found by (RFC 4301 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MulticastKey {
    /// SPI, which the group's key server chose.
    pub spi: Spi,
    /// The group.
    pub dst: IpAddr,
    /// The sender, of a group where each has its own SA.
    pub src: Option<IpAddr>,
}

/// Why an SA was not taken into the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InsertError {
    /// The SPI was never reserved, or its reservation was released.
    #[error("SPI is not reserved")]
    NotReserved,
    /// There is an SA or a reservation with this SPI.
    #[error("SPI is in use")]
    InUse,
    /// The SPI is one of 0..=255 (RFC 4303 §2.1).
    #[error("SPI is a reserved value")]
    ReservedValue,
    /// The database holds as many SAs as it may.
    #[error("SA database is full")]
    Full,
}

/// An SA that was not taken, handed back with the reason.
#[derive(Clone, PartialEq, Eq)]
pub struct Rejected<S> {
    /// Why.
    pub error: InsertError,
    /// The SA.
    pub sa: S,
}

const QUARANTINE: usize = 64;
const MAX_CAPACITY: usize = (1 << 24) - QUARANTINE;

impl<S> SaDatabase<S> {
    /// The largest capacity: it leaves eight bits of generation.
    pub const MAX_CAPACITY: usize = MAX_CAPACITY;
    /// A slot is not used again before this many others that were freed before or with it.
    pub const QUARANTINE: usize = QUARANTINE;

    /// An empty database for at most `capacity` SAs and reservations ([`SaDatabase::MAX_CAPACITY`] at most).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::empty(capacity)
    }
}

impl<S> SaDatabase<S, CacheLine> {
    /// An empty database whose SAs stand in cache lines of their own, the check of the SPI in front of each. What is read of
    /// every packet belongs at the start of `S`.
    #[must_use]
    pub fn aligned(capacity: usize) -> Self {
        Self::empty(capacity)
    }
}

impl<S, A> SaDatabase<S, A> {
    fn empty(capacity: usize) -> Self {
        let capacity = capacity.min(MAX_CAPACITY);
        let index_mask = ((capacity + QUARANTINE).next_power_of_two() - 1) as u32;
        Self {
            slots: Vec::new(),
            free: VecDeque::new(),
            foreign: Foreign::new(),
            multicast: BTreeMap::new(),
            used: 0,
            live: 0,
            capacity,
            index_mask,
        }
    }

    /// Reserves a fresh SPI; `None` when the database is full. It is never one of 0..=255, never in use, and not the
    /// last one that its slot had.
    pub fn reserve(&mut self, rng: &mut dyn CryptoRng) -> Option<Spi> {
        if self.held() >= self.capacity {
            return None;
        }
        // New slots until there are enough for the quarantine to hold, then the one that is free the longest.
        let index = if self.slots.len() < self.capacity + QUARANTINE {
            if self.slots.len() == self.slots.capacity() {
                self.slots.reserve_exact(self.slots.len() / 32 + QUARANTINE);
            }
            self.slots.push(Slot::new(0, false));
            (self.slots.len() - 1) as u32
        } else {
            self.free.pop_front()?
        };
        let slot = self.slots.get_mut(index as usize)?;
        // A generator that always says the same must not keep us here: the next generation will do as well.
        let (mut spi, step) = (rng.next_u32() & !self.index_mask | index, self.index_mask + 1);
        let generations = u32::MAX / step;
        let unusable = |spi: u32| spi <= 255 || spi == slot.spi || self.foreign.contains(spi);
        let mut tried = 0;
        while unusable(spi) {
            if tried > generations {
                self.free.push_back(index);
                return None;
            }
            tried += 1;
            spi = spi.wrapping_add(step);
        }
        *slot = Slot::new(spi, true);
        self.used += 1;
        Some(Spi(spi))
    }

    /// Gives a reservation back; whether there was one.
    pub fn release(&mut self, spi: Spi) -> bool {
        match self.slot_mut(spi) {
            Some(slot) if slot.reserved => {
                slot.reserved = false;
                self.retire(spi);
                true
            }
            _ => false,
        }
    }

    /// Puts an SA under its reserved SPI.
    ///
    /// # Errors
    /// [`InsertError::NotReserved`] or [`InsertError::InUse`], with the SA.
    pub fn insert(&mut self, spi: Spi, sa: S) -> Result<(), Rejected<S>> {
        let error = match self.slot_mut(spi) {
            Some(slot) if slot.reserved => {
                (slot.reserved, slot.sa) = (false, Some(sa));
                self.live += 1;
                return Ok(());
            }
            Some(_) => InsertError::InUse,
            None => InsertError::NotReserved,
        };
        Err(Rejected { error, sa })
    }

    /// Puts an SA under an SPI that was not chosen here.
    ///
    /// # Errors
    /// [`InsertError::InUse`], [`InsertError::ReservedValue`] or [`InsertError::Full`], with the SA.
    pub fn insert_foreign(&mut self, spi: Spi, sa: S) -> Result<(), Rejected<S>> {
        let taken = self.slot_mut(spi).is_some();
        let error = if spi.is_reserved() {
            InsertError::ReservedValue
        } else if taken || self.foreign.contains(spi.0) {
            InsertError::InUse
        } else if self.held() >= self.capacity {
            InsertError::Full
        } else {
            self.foreign.insert(spi.0, sa);
            return Ok(());
        };
        Err(Rejected { error, sa })
    }

    /// The SA with this SPI.
    #[must_use]
    #[inline]
    pub fn lookup(&self, spi: Spi) -> Option<&S> {
        match self.slots.get((spi.0 & self.index_mask) as usize) {
            Some(Slot { spi: own, sa: Some(sa), .. }) if *own == spi.0 => Some(sa),
            _ => self.foreign.lookup(spi.0),
        }
    }

    /// The SA with this SPI, to be changed.
    #[inline]
    pub fn lookup_mut(&mut self, spi: Spi) -> Option<&mut S> {
        match self.slots.get_mut((spi.0 & self.index_mask) as usize) {
            Some(Slot { spi: own, sa: Some(sa), .. }) if *own == spi.0 => Some(sa),
            _ => self.foreign.lookup_mut(spi.0),
        }
    }

    /// Takes an SA out. Its slot rests before it is used again.
    pub fn remove(&mut self, spi: Spi) -> Option<S> {
        let Some(sa) = self.slot_mut(spi).and_then(|slot| slot.sa.take()) else {
            return self.foreign.remove(spi.0);
        };
        self.live -= 1;
        self.retire(spi);
        Some(sa)
    }

    /// All SAs: the slab's in the order of their slots, then the foreign ones in that of their places, then the multicast
    /// ones by their keys. The same insertions and removals give the same order.
    pub fn iter(&self) -> impl Iterator<Item = (Spi, &S)> {
        let own = self.slots.iter().filter_map(|slot| slot.sa.as_ref().map(|sa| (Spi(slot.spi), sa)));
        own.chain(self.foreign.iter().map(|(spi, sa)| (Spi(spi), sa)))
            .chain(self.multicast.iter().map(|(key, sa)| (key.spi, sa)))
    }

    /// All SAs, to be changed, in the order of [`SaDatabase::iter`].
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Spi, &mut S)> {
        let own = self.slots.iter_mut().filter_map(|slot| slot.sa.as_mut().map(|sa| (Spi(slot.spi), sa)));
        own.chain(self.foreign.iter_mut().map(|(spi, sa)| (Spi(spi), sa)))
            .chain(self.multicast.iter_mut().map(|(key, sa)| (key.spi, sa)))
    }

    /// SAs in the database; reservations do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live + self.foreign.len() + self.multicast.len()
    }

    /// Whether there is no SA.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SAs and reservations that may be there at once.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Puts a multicast SA under its SPI, group and, where it is told apart by that too, source.
    ///
    /// # Errors
    /// [`InsertError::InUse`], [`InsertError::ReservedValue`] or [`InsertError::Full`], with the SA.
    pub fn insert_multicast(&mut self, key: MulticastKey, sa: S) -> Result<(), Rejected<S>> {
        let error = if key.spi.is_reserved() {
            InsertError::ReservedValue
        } else if self.multicast.contains_key(&key) {
            InsertError::InUse
        } else if self.held() >= self.capacity {
            InsertError::Full
        } else {
            self.multicast.insert(key, sa);
            return Ok(());
        };
        Err(Rejected { error, sa })
    }

    /// Takes a multicast SA out.
    pub fn remove_multicast(&mut self, key: &MulticastKey) -> Option<S> {
        self.multicast.remove(key)
    }

    /// The SA of a packet whose addresses are known: by SPI, destination and source, else by SPI and destination, else by
    /// SPI alone (RFC 4301 §4.1).
    #[must_use]
    pub fn lookup_packet(&self, spi: Spi, dst: IpAddr, src: IpAddr) -> Option<&S> {
        match self.multicast_key(spi, dst, src) {
            Some(key) => self.multicast.get(&key),
            None => self.lookup(spi),
        }
    }

    /// [`SaDatabase::lookup_packet`], to be changed.
    pub fn lookup_packet_mut(&mut self, spi: Spi, dst: IpAddr, src: IpAddr) -> Option<&mut S> {
        match self.multicast_key(spi, dst, src) {
            Some(key) => self.multicast.get_mut(&key),
            None => self.lookup_mut(spi),
        }
    }

    fn multicast_key(&self, spi: Spi, dst: IpAddr, src: IpAddr) -> Option<MulticastKey> {
        if self.multicast.is_empty() {
            return None;
        }
        let keys = [Some(src), None].map(|src| MulticastKey { spi, dst, src });
        keys.into_iter().find(|key| self.multicast.contains_key(key))
    }

    /// Everything that counts against the capacity.
    fn held(&self) -> usize {
        self.used + self.foreign.len() + self.multicast.len()
    }

    /// The slot of a reservation or an SA of our own.
    fn slot_mut(&mut self, spi: Spi) -> Option<&mut Slot<S, A>> {
        let slot = self.slots.get_mut((spi.0 & self.index_mask) as usize)?;
        (slot.spi == spi.0 && !slot.is_free()).then_some(slot)
    }

    fn retire(&mut self, spi: Spi) {
        self.used -= 1;
        self.free.push_back(spi.0 & self.index_mask);
    }
}

impl<S, A> fmt::Debug for SaDatabase<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaDatabase")
            .field("len", &self.len())
            .field("reserved", &(self.used - self.live))
            .field("capacity", &self.capacity)
            .finish()
    }
}

impl<S> fmt::Debug for Rejected<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<S> fmt::Display for Rejected<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<S> core::error::Error for Rejected<S> {}

#[cfg(test)]
mod tests {
    use super::*;

    use alloc::boxed::Box;

    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(7)
    }

    #[test]
    fn a_stale_spi_misses_and_a_slot_rests() {
        let (mut sad, mut rng) = (SaDatabase::new(4), rng());
        let first = sad.reserve(&mut rng).unwrap();
        sad.insert(first, "first").unwrap();
        assert_eq!(sad.remove(first), Some("first"));
        for fresh in 0..3 * SaDatabase::<()>::QUARANTINE {
            let spi = sad.reserve(&mut rng).unwrap();
            if fresh < SaDatabase::<()>::QUARANTINE {
                assert_ne!(spi.0 & sad.index_mask, first.0 & sad.index_mask);
            }
            assert_ne!(spi, first);
            sad.insert(spi, "other").unwrap();
            assert_eq!(sad.lookup(first), None);
            sad.remove(spi);
        }
        assert_eq!(sad.slots.len(), 4 + SaDatabase::<()>::QUARANTINE);
    }

    #[test]
    fn capacity_counts_reservations_and_foreign_sas() {
        let (mut sad, mut rng) = (SaDatabase::new(3), rng());
        let reserved = sad.reserve(&mut rng).unwrap();
        sad.insert_foreign(Spi(0x1000), 1).unwrap();
        assert_eq!(sad.insert_foreign(Spi(0x1000), 2).unwrap_err().error, InsertError::InUse);
        assert_eq!(sad.insert_foreign(reserved, 2).unwrap_err().error, InsertError::InUse);
        assert_eq!(sad.insert_foreign(Spi(255), 2).unwrap_err().error, InsertError::ReservedValue);
        assert_eq!(
            sad.insert(Spi(0x1000), 2).unwrap_err(),
            Rejected { error: InsertError::NotReserved, sa: 2 }
        );
        sad.reserve(&mut rng).unwrap();
        assert_eq!(sad.reserve(&mut rng), None);
        assert_eq!(sad.insert_foreign(Spi(0x1001), 3).unwrap_err().error, InsertError::Full);
        assert!(sad.release(reserved) && !sad.release(reserved));
        assert_eq!(sad.insert(reserved, 4).unwrap_err().error, InsertError::NotReserved);
        assert!(sad.reserve(&mut rng).is_some());
        assert_eq!(sad.len(), 1);
    }

    #[test]
    fn slots_begin_lines_where_that_is_asked_for() {
        let (mut sad, mut rng) = (SaDatabase::aligned(4), rng());
        let spis = [(); 4].map(|()| sad.reserve(&mut rng).unwrap());
        for spi in spis {
            sad.insert(spi, [spi.0; 20]).unwrap();
        }
        sad.insert_foreign(Spi(0x1000), [7; 20]).unwrap_err();
        sad.remove(spis[3]).unwrap();
        sad.insert_foreign(Spi(0x1000), [0x1000; 20]).unwrap();
        for spi in [spis[0], spis[1], spis[2], Spi(0x1000)] {
            let sa = sad.lookup(spi).unwrap();
            assert_eq!(sa, &[spi.0; 20]);
            // The SPI, the state and the first fields.
            assert!(core::ptr::from_ref(sa).addr() % 64 <= 16);
        }
        assert_eq!((size_of::<Slot<Box<u8>, ()>>(), align_of::<Slot<u8, CacheLine>>()), (16, 64));
    }

    #[test]
    fn an_empty_database_has_no_room_where_it_may_hold_nothing() {
        let mut sad = SaDatabase::<()>::new(0);
        assert_eq!(sad.reserve(&mut rng()), None);
        assert_eq!(sad.lookup(Spi(256)), None);
    }

    #[test]
    fn multicast_sas_are_found_by_the_longest_match() {
        let mut sad = SaDatabase::new(4);
        let (spi, group, one, two) =
            (Spi(0x1000), [224, 0, 0, 9].into(), [10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        sad.insert_foreign(spi, "alone").unwrap();
        let any = MulticastKey { spi, dst: group, src: None };
        sad.insert_multicast(any, "group").unwrap();
        sad.insert_multicast(MulticastKey { src: Some(one), ..any }, "sender").unwrap();
        assert_eq!(sad.insert_multicast(any, "twice").unwrap_err().error, InsertError::InUse);
        assert_eq!(sad.lookup_packet(spi, group, one), Some(&"sender"));
        assert_eq!(sad.lookup_packet(spi, group, two), Some(&"group"));
        assert_eq!(sad.lookup_packet(spi, one, two), Some(&"alone"));
        assert_eq!(sad.lookup_packet_mut(spi, group, two), Some(&mut "group"));
        assert_eq!((sad.len(), sad.iter().count()), (3, 3));
        assert_eq!(sad.remove_multicast(&any), Some("group"));
        assert_eq!(sad.lookup_packet(spi, group, two), Some(&"alone"));
        let reserved = MulticastKey { spi: Spi(1), ..any };
        assert_eq!(sad.insert_multicast(reserved, "low").unwrap_err().error, InsertError::ReservedValue);
    }

    struct Stuck;

    impl rand_core::TryRng for Stuck {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(0)
        }
        fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Self::Error> {
            octets.fill(0);
            Ok(())
        }
    }

    impl rand_core::TryCryptoRng for Stuck {}

    #[test]
    fn a_stuck_generator_still_gives_fresh_spis() {
        let mut sad = SaDatabase::new(4);
        let mut issued = alloc::collections::BTreeSet::new();
        for _ in 0..200 {
            let spi = sad.reserve(&mut Stuck).unwrap();
            assert!(!spi.is_reserved());
            sad.insert(spi, ()).unwrap();
            issued.insert(spi);
            sad.remove(spi);
        }
        // A slot never has the same SPI twice in a row.
        assert_eq!(issued.len(), 2 * (4 + SaDatabase::<()>::QUARANTINE));
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(
            seed in any::<u64>(),
            steps in proptest::collection::vec((0u8..6, any::<u16>()), 1..400),
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut sad = SaDatabase::new(20);
            let mut model = BTreeMap::<u32, Option<u16>>::new();
            let mut issued = Vec::new();
            for (kind, value) in steps {
                let chosen = issued.get(usize::from(value) % issued.len().max(1)).copied().unwrap_or(Spi(1));
                match kind {
                    0 | 1 => match sad.reserve(&mut rng) {
                        Some(spi) => {
                            prop_assert!(!spi.is_reserved() && model.len() < 20);
                            prop_assert_eq!(model.insert(spi.0, None), None);
                            issued.push(spi);
                        }
                        None => prop_assert_eq!(model.len(), 20),
                    },
                    2 => {
                        let expected = model.get(&chosen.0) == Some(&None);
                        prop_assert_eq!(sad.insert(chosen, value).is_ok(), expected);
                        if expected {
                            model.insert(chosen.0, Some(value));
                        }
                    }
                    3 => {
                        let expected = model.get(&chosen.0).copied().flatten();
                        prop_assert_eq!(sad.remove(chosen), expected);
                        if expected.is_some() {
                            model.remove(&chosen.0);
                        }
                    }
                    4 => {
                        let expected = model.get(&chosen.0) == Some(&None);
                        prop_assert_eq!(sad.release(chosen), expected);
                        if expected {
                            model.remove(&chosen.0);
                        }
                    }
                    _ => {
                        let spi = Spi(256 + u32::from(value));
                        let expected = !model.contains_key(&spi.0) && model.len() < 20;
                        prop_assert_eq!(sad.insert_foreign(spi, value).is_ok(), expected);
                        if expected {
                            model.insert(spi.0, Some(value));
                            issued.push(spi);
                        }
                    }
                }
                for spi in &issued {
                    prop_assert_eq!(sad.lookup(*spi).copied(), model.get(&spi.0).copied().flatten());
                    prop_assert_eq!(sad.lookup_mut(*spi).copied(), model.get(&spi.0).copied().flatten());
                }
                let listed: BTreeMap<_, _> = sad.iter().map(|(spi, sa)| (spi.0, *sa)).collect();
                let expected: BTreeMap<_, _> = model.iter().filter_map(|(spi, sa)| Some((*spi, (*sa)?))).collect();
                prop_assert_eq!(sad.len(), expected.len());
                prop_assert_eq!(listed, expected);
            }
        }
    }
}
