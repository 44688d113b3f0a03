//! The sending side: packets in, payloads of any given size out (RFC 9347 §2.2).

use alloc::collections::VecDeque;

use ipsec_wire::aggfrag::{AggfragHeader, CongestionControl};

use super::AggfragError;

/// Packets that wait, and the payloads that they make.
#[derive(Clone, Debug)]
pub struct AggfragSender {
    /// The octets of all that waits, in order.
    octets: VecDeque<u8>,
    /// How long each packet is; of the first, as it was.
    lengths: VecDeque<u32>,
    /// Of the first packet, what went out already.
    sent: usize,
    capacity: usize,
    whole_in: Option<usize>,
}

impl AggfragSender {
    /// Nothing waiting, and at most `capacity` octets of it. A peer that cannot put packets together (flag D of
    /// USE_AGGFRAG) gets them whole, in payloads of `whole_in` octets.
    #[must_use]
    pub const fn new(capacity: usize, whole_in: Option<usize>) -> Self {
        Self { octets: VecDeque::new(), lengths: VecDeque::new(), sent: 0, capacity, whole_in }
    }

    /// Takes a packet to be sent.
    ///
    /// # Errors
    /// [`AggfragError`], with nothing taken.
    pub fn push(&mut self, packet: &[u8]) -> Result<(), AggfragError> {
        if ipsec_wire::IpView::parse(packet).map(|view| view.packet().len()) != Ok(packet.len()) {
            return Err(AggfragError::Packet);
        }
        if self.whole_in.is_some_and(|len| packet.len() + AggfragHeader::BASIC_LEN > len) {
            return Err(AggfragError::TooLong);
        }
        if self.octets.len() + packet.len() > self.capacity {
            return Err(AggfragError::Full);
        }
        self.octets.extend(packet);
        // An IP packet, so at most 65575.
        self.lengths.push_back(packet.len() as u32);
        Ok(())
    }

    /// Octets that wait.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.octets.len()
    }

    /// Writes a payload over all of `out`: what waits, then padding. With nothing waiting it is all padding, to be sent all
    /// the same where the pace asks for it. Returns how many octets of packets went into it.
    ///
    /// A packet is cut only where at least its length field goes along, so that the other side knows what it waits for.
    pub fn fill(&mut self, out: &mut [u8], control: Option<CongestionControl>) -> usize {
        let first = self.lengths.front().map_or(0, |len| *len as usize);
        let continued = if self.sent > 0 { first - self.sent } else { 0 };
        let block_offset = u16::try_from(continued).unwrap_or(u16::MAX);
        let header = AggfragHeader { congestion_control: control, ..AggfragHeader::basic(block_offset) };
        let (header, len) = header.to_octets();
        let Some((head, mut room)) = out.split_at_mut_checked(len) else {
            out.fill(0);
            return 0;
        };
        head.copy_from_slice(header.get(..len).unwrap_or_default());
        let mut written = 0;
        while let Some(first) = self.lengths.front() {
            let rest = *first as usize - self.sent;
            let len = rest.min(room.len());
            let cut = len < rest;
            if cut && (self.whole_in.is_some() || self.sent == 0 && len < 6) {
                break;
            }
            let (here, behind) = room.split_at_mut(len);
            self.take(here);
            written += len;
            room = behind;
            if cut {
                self.sent += len;
                break;
            }
            self.sent = 0;
            self.lengths.pop_front();
        }
        room.fill(0);
        written
    }

    /// Moves as many octets as `out` has from the front of what waits.
    fn take(&mut self, out: &mut [u8]) {
        let (front, back) = self.octets.as_slices();
        let split = front.len().min(out.len());
        let (first, second) = out.split_at_mut(split);
        first.copy_from_slice(front.get(..split).unwrap_or_default());
        second.copy_from_slice(back.get(..second.len()).unwrap_or_default());
        self.octets.drain(..out.len().min(self.octets.len()));
    }
}
