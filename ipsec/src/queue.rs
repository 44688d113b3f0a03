//! Packets that wait for an SA: bounded in number and octets, the oldest gives way.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use ipsec_sa::Flow;

use crate::{HEADROOM, QueueLimits, TAILROOM};

/// An IP packet with room around it, so that it can be sealed where it lies.
#[derive(Debug)]
pub(crate) struct Waiting {
    buf: Vec<u8>,
    len: usize,
    /// With what a first fragment showed, where it is a later one.
    pub(crate) flow: Flow,
}

impl Waiting {
    fn new(packet: &[u8], flow: Flow) -> Self {
        let mut buf = Vec::with_capacity(HEADROOM + packet.len() + TAILROOM);
        buf.resize(HEADROOM, 0);
        buf.extend_from_slice(packet);
        buf.resize(HEADROOM + packet.len() + TAILROOM, 0);
        Self { buf, len: packet.len(), flow }
    }

    /// The buffer, and where the packet lies in it.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Range<usize>) {
        (self.buf, HEADROOM..HEADROOM + self.len)
    }
}

/// What waits under one policy.
#[derive(Debug, Default)]
pub(crate) struct PacketQueue {
    packets: VecDeque<Waiting>,
    octets: usize,
}

impl PacketQueue {
    /// Whether a packet may wait at all.
    pub(crate) const fn takes(packet: &[u8], limits: &QueueLimits) -> bool {
        packet.len() <= limits.octets && limits.packets > 0
    }

    /// Takes a copy of a packet in. Returns how many packets gave way, this one among them where it does not fit at
    /// all.
    pub(crate) fn push(&mut self, packet: &[u8], flow: Flow, limits: &QueueLimits) -> usize {
        if !Self::takes(packet, limits) {
            return 1;
        }
        let mut evicted = 0;
        while self.packets.len() >= limits.packets || self.octets + packet.len() > limits.octets {
            let Some(oldest) = self.packets.pop_front() else { break };
            self.octets -= oldest.len;
            evicted += 1;
        }
        self.octets += packet.len();
        self.packets.push_back(Waiting::new(packet, flow));
        evicted
    }

    /// Takes all packets out, oldest first.
    pub(crate) fn take(&mut self) -> VecDeque<Waiting> {
        self.octets = 0;
        core::mem::take(&mut self.packets)
    }

    /// Packets and octets that wait.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.packets.len(), self.octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: Flow = Flow {
        src: core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST),
        dst: core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST),
        protocol: 17,
        src_port: None,
        dst_port: None,
    };

    #[test]
    fn both_bounds_hold_and_the_oldest_gives_way() {
        let limits = QueueLimits { packets: 3, octets: 100 };
        let mut queue = PacketQueue::default();
        for octet in 0..3 {
            assert_eq!(queue.push(&[octet; 30], FLOW, &limits), 0);
        }
        assert_eq!(queue.push(&[3; 30], FLOW, &limits), 1);
        assert_eq!(queue.len(), (3, 90));
        assert_eq!(queue.push(&[4; 50], FLOW, &limits), 2);
        assert_eq!(queue.len(), (2, 80));
        assert_eq!(queue.push(&[5; 101], FLOW, &limits), 1, "too long for the queue: it gives way itself");
        let left = queue.take();
        assert_eq!(queue.len(), (0, 0));
        let first: Vec<u8> = left
            .into_iter()
            .map(|packet| {
                let (buf, ip) = packet.into_parts();
                assert_eq!(buf.len() - ip.end, TAILROOM);
                buf[ip.start]
            })
            .collect();
        assert_eq!(first, [3, 4]);
    }
}
