//! Putting fragments together again, within bounds that a stranger cannot move: whole datagrams, fragments and octets
//! are counted, time runs out, and fragments that overlap end their datagram (RFC 5722, and the same for IPv4).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ipsec_wire::ip::{Fragment, internet_checksum};
use ipsec_wire::{IpProtocol, IpView};
use thiserror::Error;

use crate::Instant;

/// Bounds of what waits for the rest of its datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReassemblyLimits {
    /// Datagrams at once; the oldest gives way.
    pub datagrams: usize,
    /// Fragments of one datagram.
    pub fragments: usize,
    /// Octets of all fragments together; the oldest datagram gives way.
    pub octets: usize,
    /// How long a datagram waits after its first fragment came.
    pub timeout: Duration,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        Self { datagrams: 256, fragments: 64, octets: 1 << 20, timeout: Duration::from_secs(30) }
    }
}

/// Why a fragment was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum ReassemblyError {
    /// No IP packet, or lengths that cannot be.
    #[error("fragment is malformed")]
    Malformed,
    /// It overlaps another one, or ends elsewhere than that said; its datagram is dropped with it.
    #[error("fragments overlap")]
    Overlap,
    /// Its datagram would have more octets or fragments than it may; it is dropped with it.
    #[error("datagram is too large")]
    TooLarge,
}

/// What has become of a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reassembled {
    /// It is no fragment.
    Whole,
    /// The rest is not there yet.
    Waiting,
    /// The datagram, put together.
    Complete(Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    /// Of IPv4 only: in IPv6 each fragment may say something else.
    protocol: u8,
    id: u32,
}

#[derive(Clone, Debug)]
struct Pending {
    order: u64,
    deadline: Instant,
    /// Headers of the first fragment, the fragment header left out, and where the next header is said.
    headers: Option<Vec<u8>>,
    /// In order of their offsets; none overlaps another.
    pieces: Vec<(usize, Vec<u8>)>,
    end: Option<usize>,
}

/// Datagrams of which not all fragments have come.
#[derive(Clone, Debug)]
pub struct Reassembly {
    limits: ReassemblyLimits,
    pending: BTreeMap<Key, Pending>,
    octets: usize,
    order: u64,
}

impl Reassembly {
    /// None yet.
    #[must_use]
    pub const fn new(limits: ReassemblyLimits) -> Self {
        Self { limits, pending: BTreeMap::new(), octets: 0, order: 0 }
    }

    /// Takes an IP packet, and keeps it if it is a fragment.
    ///
    /// # Errors
    /// [`ReassemblyError`]: the packet is to be dropped.
    pub fn insert(&mut self, now: Instant, packet: &[u8]) -> Result<Reassembled, ReassemblyError> {
        let view = IpView::parse(packet).map_err(|_| ReassemblyError::Malformed)?;
        let upper = view.upper_layer();
        let Some(fragment) = upper.fragment.filter(|f| f.offset != 0 || f.more) else {
            return Ok(Reassembled::Whole);
        };
        self.expire(now);
        let protocol = if let IpView::V4(view) = view { view.protocol().0 } else { 0 };
        let key = Key { src: view.src(), dst: view.dst(), protocol, id: fragment.id };
        let headers = headers(&view).ok_or(ReassemblyError::Malformed)?;
        let body = view.packet().get(headers.end..).unwrap_or_default();
        let placed = self.place(now, key, fragment, headers, body);
        if let Err(ReassemblyError::Overlap | ReassemblyError::TooLarge) = placed {
            self.drop_datagram(&key);
        }
        placed?;
        while self.octets > self.limits.octets || self.pending.len() > self.limits.datagrams {
            let oldest = self.pending.iter().min_by_key(|(_, pending)| pending.order).map(|(key, _)| *key);
            let Some(oldest) = oldest else { break };
            self.drop_datagram(&oldest);
        }
        if self.pending.get(&key).is_some_and(Pending::is_complete)
            && let Some(pending) = self.drop_datagram(&key)
        {
            return pending.assemble().map(Reassembled::Complete).ok_or(ReassemblyError::TooLarge);
        }
        Ok(Reassembled::Waiting)
    }

    /// Drops datagrams whose time is over.
    pub fn expire(&mut self, now: Instant) {
        while let Some(key) = self.pending.iter().find(|(_, one)| one.deadline <= now).map(|(key, _)| *key) {
            self.drop_datagram(&key);
        }
    }

    /// When the time of the next one is over.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.pending.values().map(|pending| pending.deadline).min()
    }

    /// Octets that wait.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.octets
    }

    /// Datagrams that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn place(
        &mut self,
        now: Instant,
        key: Key,
        fragment: Fragment,
        headers: Headers<'_>,
        body: &[u8],
    ) -> Result<(), ReassemblyError> {
        let (start, end) = (usize::from(fragment.offset), usize::from(fragment.offset) + body.len());
        // All but the last are multiples of eight octets long, and none is empty.
        if body.is_empty() || fragment.more && !body.len().is_multiple_of(8) {
            return Err(ReassemblyError::Malformed);
        }
        if end > usize::from(u16::MAX) {
            return Err(ReassemblyError::TooLarge);
        }
        self.order += 1;
        let (order, deadline) = (self.order, now + self.limits.timeout);
        let fresh = || Pending { order, deadline, headers: None, pieces: Vec::new(), end: None };
        let pending = self.pending.entry(key).or_insert_with(fresh);
        let last = pending.pieces.last().map_or(0, |(at, piece)| at + piece.len());
        let ends = match pending.end {
            Some(known) => end > known || !fragment.more && end != known,
            None => !fragment.more && last > end,
        };
        let place = pending.pieces.partition_point(|(at, _)| *at < start);
        let before = place.checked_sub(1).and_then(|before| pending.pieces.get(before));
        let overlaps = before.is_some_and(|(at, piece)| at + piece.len() > start)
            || pending.pieces.get(place).is_some_and(|(at, _)| *at < end);
        // The very same one again is a duplicate on the way, not an attack.
        let again = pending.pieces.get(place).is_some_and(|(at, piece)| *at == start && *piece == body);
        if again {
            return Ok(());
        }
        if overlaps || ends {
            return Err(ReassemblyError::Overlap);
        }
        if pending.pieces.len() >= self.limits.fragments {
            return Err(ReassemblyError::TooLarge);
        }
        if !fragment.more {
            pending.end = Some(end);
        }
        if start == 0 {
            let kept = headers.kept();
            self.octets += kept.len();
            pending.headers = Some(kept);
        }
        pending.pieces.insert(place, (start, body.to_vec()));
        self.octets += body.len();
        Ok(())
    }

    fn drop_datagram(&mut self, key: &Key) -> Option<Pending> {
        let pending = self.pending.remove(key)?;
        let headers = pending.headers.as_ref().map_or(0, Vec::len);
        let body: usize = pending.pieces.iter().map(|(_, piece)| piece.len()).sum();
        self.octets = self.octets.saturating_sub(headers + body);
        Some(pending)
    }
}

/// The headers of a fragment, up to `end`, and the fragment header among them.
struct Headers<'a> {
    octets: &'a [u8],
    end: usize,
    fragment_at: Option<usize>,
    /// Where the number of the fragment header stands.
    next_at: usize,
}

fn headers<'a>(view: &IpView<'a>) -> Option<Headers<'a>> {
    match view {
        IpView::V4(view) => {
            Some(Headers { octets: view.header(), end: view.header_len(), fragment_at: None, next_at: 9 })
        }
        IpView::V6(view) => {
            let mut next_at = 6;
            for header in view.extension_headers() {
                let end = header.offset + header.octets.len();
                // One that says neither "more" nor an offset cuts nothing (RFC 6946).
                let field = header.octets.get(2..).and_then(|rest| rest.first_chunk());
                let cuts = field.is_some_and(|field| u16::from_be_bytes(*field) & 0xfff9 != 0);
                if header.protocol == IpProtocol::FRAGMENT && cuts {
                    let octets = view.packet().get(..end)?;
                    return Some(Headers { octets, end, fragment_at: Some(header.offset), next_at });
                }
                next_at = header.offset;
            }
            None
        }
    }
}

impl Headers<'_> {
    /// As they stand in the whole datagram.
    fn kept(&self) -> Vec<u8> {
        let mut kept = self.octets.to_vec();
        if let Some(at) = self.fragment_at {
            let next = self.octets.get(at).copied().unwrap_or(IpProtocol::NO_NEXT_HEADER.0);
            kept.truncate(at);
            if let Some(octet) = kept.get_mut(self.next_at) {
                *octet = next;
            }
        }
        kept
    }
}

impl Pending {
    fn is_complete(&self) -> bool {
        let Some(end) = self.end.filter(|_| self.headers.is_some()) else { return false };
        let mut reached = 0;
        for (at, piece) in &self.pieces {
            if *at != reached {
                return false;
            }
            reached += piece.len();
        }
        reached == end
    }

    /// The datagram; `None` where it is longer than its header can say.
    fn assemble(self) -> Option<Vec<u8>> {
        let mut packet = self.headers?;
        let header_len = packet.len();
        packet.reserve(self.end?);
        for (_, piece) in self.pieces {
            packet.extend_from_slice(&piece);
        }
        if packet.first()? >> 4 == 4 {
            *packet.get_mut(2..)?.first_chunk_mut()? = u16::try_from(packet.len()).ok()?.to_be_bytes();
            // Not a fragment any more; DF stays.
            let flags = packet.get_mut(6..8)?.first_chunk_mut::<2>()?;
            *flags = [flags[0] & 0x40, 0];
            *packet.get_mut(10..)?.first_chunk_mut()? = [0; 2];
            let checksum = internet_checksum(&[packet.get(..header_len)?]);
            *packet.get_mut(10..)?.first_chunk_mut()? = checksum.to_be_bytes();
        } else {
            let payload = u16::try_from(packet.len().checked_sub(40)?).ok()?;
            *packet.get_mut(4..)?.first_chunk_mut()? = payload.to_be_bytes();
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fragment::{FragmentError, Fragments};
    use alloc::vec;
    use ipsec_wire::ip::{Ipv4Header, Ipv6Header};
    use proptest::prelude::*;

    fn v4(len: usize, df: bool, options: &[u8]) -> Vec<u8> {
        let header = Ipv4Header {
            tos: 0xb8,
            id: 0x1234,
            df,
            ttl: 60,
            protocol: IpProtocol::UDP,
            src: [10, 0, 0, 1].into(),
            dst: [10, 0, 0, 2].into(),
        };
        let total = 20 + options.len() + len;
        let mut packet = header.emit(total as u16).to_vec();
        packet.extend(options);
        packet.extend((0..len).map(|i| (i * 3) as u8));
        packet[0] = 0x40 | ((20 + options.len()) / 4) as u8;
        packet[10..12].fill(0);
        let checksum = internet_checksum(&[&packet[..20 + options.len()]]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet
    }

    fn v6(len: usize, hop: bool) -> Vec<u8> {
        let extension: &[u8] = if hop { &[60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0] } else { &[] };
        let header = Ipv6Header {
            traffic_class: 0xb8,
            flow_label: 5,
            next_header: if hop { IpProtocol::HOP_BY_HOP } else { IpProtocol::UDP },
            hop_limit: 60,
            src: "2001:db8::1".parse().unwrap(),
            dst: "2001:db8::2".parse().unwrap(),
        };
        let mut packet = header.emit((extension.len() + len) as u16).to_vec();
        packet.extend(extension);
        packet.extend((0..len).map(|i| (i * 3) as u8));
        packet
    }

    fn cut(packet: &[u8], mtu: usize) -> Result<Vec<Vec<u8>>, FragmentError> {
        let mut fragments = match packet[0] >> 4 {
            4 => Fragments::ipv4(packet, mtu)?,
            _ => Fragments::ipv6(packet, mtu, 77)?,
        };
        let (mut all, mut buf) = (Vec::new(), vec![0; 70_000]);
        while let Some(len) = fragments.write_next(&mut buf)? {
            assert!(len <= mtu);
            all.push(buf[..len].to_vec());
        }
        Ok(all)
    }

    #[test]
    fn options_go_where_their_flag_says() {
        // Record Route stays in the first, Router Alert goes along.
        let options = [7, 7, 4, 0, 0, 0, 0, 0x94, 4, 0, 0, 0];
        let packet = v4(100, false, &options);
        let all = cut(&packet, 72).unwrap();
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [72, 72, 36]);
        assert_eq!(all[0][20..32], options);
        assert_eq!((all[1][0], &all[1][20..24]), (0x46, &[0x94, 4, 0, 0][..]));
        assert!(all.iter().all(|one| IpView::parse(one).is_ok()));
        // What is a fragment already can be cut further.
        let again = cut(&all[1], 48).unwrap();
        let offsets: Vec<_> =
            again.iter().map(|one| IpView::parse(one).unwrap().upper_layer().fragment.unwrap()).collect();
        assert_eq!(offsets.iter().map(|f| (f.offset, f.more)).collect::<Vec<_>>(), [(40, true), (64, true)]);
    }

    #[test]
    fn what_must_not_be_cut_is_not() {
        assert_eq!(cut(&v4(100, true, &[]), 119), Err(FragmentError::DontFragment));
        assert_eq!(cut(&v4(100, true, &[]), 120).unwrap(), [v4(100, true, &[])]);
        assert_eq!(cut(&v4(100, false, &[]), 27), Err(FragmentError::NoRoom));
        let mut short = [0; 10];
        let packet = v4(100, false, &[]);
        let mut fragments = Fragments::ipv4(&packet, 60).unwrap();
        assert_eq!(fragments.write_next(&mut short), Err(FragmentError::Buffer));
    }

    #[test]
    fn overlaps_end_their_datagram_and_bounds_hold() {
        let limits = ReassemblyLimits { datagrams: 3, fragments: 4, octets: 2000, ..Default::default() };
        let mut reassembly = Reassembly::new(limits);
        let all = cut(&v4(96, false, &[]), 68).unwrap();
        let mut other = cut(&v4(96, false, &[]), 60).unwrap();
        assert_eq!(reassembly.insert(Instant::ZERO, &all[0]), Ok(Reassembled::Waiting));
        assert_eq!(reassembly.insert(Instant::ZERO, &all[0]), Ok(Reassembled::Waiting));
        assert_eq!(reassembly.insert(Instant::ZERO, &other.remove(1)), Err(ReassemblyError::Overlap));
        assert!(reassembly.is_empty() && reassembly.octets() == 0);
        // Too many fragments.
        let many = cut(&v4(96, false, &[]), 36).unwrap();
        for one in many.iter().take(4) {
            assert_eq!(reassembly.insert(Instant::ZERO, one), Ok(Reassembled::Waiting));
        }
        assert_eq!(reassembly.insert(Instant::ZERO, &many[4]), Err(ReassemblyError::TooLarge));
        assert_eq!((reassembly.len(), reassembly.octets()), (0, 0));
        // Too many datagrams: the oldest gives way.
        for id in 0..10u8 {
            let mut one = all[0].clone();
            one[5] = id;
            assert_eq!(reassembly.insert(Instant::ZERO, &one), Ok(Reassembled::Waiting));
            assert!(reassembly.len() <= 3 && reassembly.octets() <= 2000);
        }
        assert_eq!(reassembly.deadline(), Some(Instant::from_secs(30)));
        reassembly.expire(Instant::from_secs(30));
        assert!(reassembly.is_empty());
        // One that reaches past 65535 octets.
        let mut last = all[1].clone();
        last[6..8].copy_from_slice(&0x1fff_u16.to_be_bytes());
        assert_eq!(reassembly.insert(Instant::ZERO, &last), Err(ReassemblyError::TooLarge));
        assert_eq!((reassembly.len(), reassembly.octets()), (0, 0));
    }

    proptest! {
        #[test]
        fn cut_and_put_together_in_any_order(
            len in 1usize..3000, mtu in 100usize..1500, kind in 0u8..4, seed in any::<u64>(),
        ) {
            let packet = match kind {
                0 => v4(len, false, &[]),
                1 => v4(len, false, &[7, 7, 4, 0, 0, 0, 0, 0x94, 4, 0, 0, 0]),
                2 => v6(len, false),
                _ => v6(len, true),
            };
            let mut all = cut(&packet, mtu).unwrap();
            if all.len() == 1 {
                prop_assert_eq!(&all[0], &packet);
                return Ok(());
            }
            let mut state = seed | 1;
            for at in (1..all.len()).rev() {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                all.swap(at, (state >> 33) as usize % (at + 1));
            }
            // The smallest pieces of the longest packet are a few more than the default allows.
            let limits = ReassemblyLimits { fragments: 100, ..Default::default() };
            let mut reassembly = Reassembly::new(limits);
            let last = all.pop().unwrap();
            for one in &all {
                prop_assert_eq!(reassembly.insert(Instant::ZERO, one), Ok(Reassembled::Waiting));
            }
            prop_assert_eq!(reassembly.insert(Instant::ZERO, &last), Ok(Reassembled::Complete(packet)));
            prop_assert_eq!((reassembly.len(), reassembly.octets()), (0, 0));
        }

        #[test]
        fn any_fragments_stay_within_the_bounds(
            pieces in proptest::collection::vec((0u16..40, 0usize..60, any::<bool>(), 0u8..3), 0..80),
        ) {
            let limits = ReassemblyLimits { datagrams: 2, fragments: 8, octets: 400, ..Default::default() };
            let mut reassembly = Reassembly::new(limits);
            for (offset, len, more, id) in pieces {
                let mut one = v4(len, false, &[]);
                one[5] = id;
                one[6..8].copy_from_slice(&(offset | if more { 0x2000 } else { 0 }).to_be_bytes());
                let _ = reassembly.insert(Instant::ZERO, &one);
                prop_assert!(reassembly.len() <= 2 && reassembly.octets() <= 400);
                prop_assert!(!reassembly.is_empty() || reassembly.octets() == 0);
            }
        }
    }

    /// A fragment header that takes no part stands in front of the one that does: what it is about is the latter's part.
    #[test]
    fn of_two_fragment_headers_the_one_that_cuts_counts() {
        let packet = v6(300, false);
        let mut reassembly = Reassembly::new(ReassemblyLimits::default());
        let mut found = Vec::new();
        for one in cut(&packet, 200).unwrap() {
            // Behind the IPv6 header, whose next header it takes (RFC 8200 §4.5, RFC 6946).
            let atomic = [one[6], 0, 0, 0, 0, 0, 0, 99];
            let mut nested = [&one[..40], &atomic, &one[40..]].concat();
            nested[6] = IpProtocol::FRAGMENT.0;
            let len = u16::try_from(nested.len() - 40).unwrap();
            nested[4..6].copy_from_slice(&len.to_be_bytes());
            found.push(reassembly.insert(Instant::ZERO, &nested).unwrap());
        }
        let Some(Reassembled::Complete(whole)) = found.pop() else { panic!("{found:?}") };
        let view = IpView::parse(&whole).unwrap();
        assert_eq!(view.upper_payload(), &packet[40..]);
        let fragment = view.upper_layer().fragment.unwrap();
        assert_eq!((fragment.id, fragment.more, view.upper_layer().protocol), (99, false, IpProtocol::UDP));
    }
}
