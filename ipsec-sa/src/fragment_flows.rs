//! The selectors of fragments behind the first, which do not show their ports: remembered from the first one
//! (stateful fragment checking, RFC 4301 §7.3).

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

use ipsec_wire::{IpView, ParseError};

use crate::{Flow, Instant};

/// Flows of datagrams that come in fragments, by where they came from.
///
/// Bounded: the oldest gives way. A fragment whose first one was not seen keeps its unseen ports, with which it matches
/// ANY and OPAQUE selectors alone.
#[derive(Clone, Debug)]
pub struct FragmentFlows {
    capacity: usize,
    lifetime: Duration,
    flows: BTreeMap<Key, (Instant, Flow)>,
    /// Keys by when they end, to find the oldest.
    ends: BTreeMap<(Instant, Key), ()>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    scope: u32,
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    id: u32,
}

impl FragmentFlows {
    /// None yet; `capacity` datagrams at once, each for `lifetime`.
    #[must_use]
    pub const fn new(capacity: usize, lifetime: Duration) -> Self {
        Self { capacity, lifetime, flows: BTreeMap::new(), ends: BTreeMap::new() }
    }

    /// The flow of a packet, of a fragment behind the first with what that one showed. `scope` keeps those apart that
    /// must not vouch for each other: an inbound SPI, or 0 for packets of our own.
    ///
    /// # Errors
    /// [`ParseError`] of the headers.
    pub fn flow(&mut self, now: Instant, scope: u32, packet: &[u8]) -> Result<Flow, ParseError> {
        IpView::parse(packet).map(|view| self.flow_of(now, scope, &view))
    }

    /// [`FragmentFlows::flow`] of a parsed packet.
    pub fn flow_of(&mut self, now: Instant, scope: u32, view: &IpView<'_>) -> Flow {
        let flow = Flow::from_view(view);
        let Some(fragment) = view.upper_layer().fragment.filter(|f| f.offset != 0 || f.more) else {
            return flow;
        };
        // In IPv6 what a later fragment announces need not be the upper layer.
        let protocol = if let IpView::V4(view) = view { view.protocol().0 } else { 0 };
        let key = Key { scope, src: flow.src, dst: flow.dst, protocol, id: fragment.id };
        if fragment.is_first() {
            self.remember(now, key, flow);
            return flow;
        }
        match self.flows.get(&key) {
            Some((end, first)) if now < *end => *first,
            _ => flow,
        }
    }

    /// Datagrams that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    fn remember(&mut self, now: Instant, key: Key, flow: Flow) {
        if self.capacity == 0 {
            return;
        }
        let end = now + self.lifetime;
        if let Some((before, _)) = self.flows.insert(key, (end, flow)) {
            self.ends.remove(&(before, key));
        }
        self.ends.insert((end, key), ());
        while self.flows.len() > self.capacity {
            let Some(((_, oldest), ())) = self.ends.pop_first() else { break };
            self.flows.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(id: u8, offset: u8, more: bool, ports: [u8; 4]) -> [u8; 28] {
        let mut packet = [0; 28];
        let flags = if more { 0x20 } else { 0 };
        packet[..20]
            .copy_from_slice(&[0x45, 0, 0, 28, 0, id, flags, offset, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet[20..24].copy_from_slice(&ports);
        packet
    }

    #[test]
    fn later_fragments_have_the_ports_of_the_first() {
        let mut flows = FragmentFlows::new(2, Duration::from_secs(30));
        let (first, later) = (fragment(1, 0, true, [0, 7, 0, 9]), fragment(1, 1, false, [0, 1, 0, 1]));
        let now = Instant::from_secs(1);
        let ports = |flow: Flow| (flow.src_port, flow.dst_port);
        assert_eq!(ports(flows.flow(now, 0, &later).unwrap()), (None, None));
        assert_eq!(ports(flows.flow(now, 0, &first).unwrap()), (Some(7), Some(9)));
        assert_eq!(ports(flows.flow(now, 0, &later).unwrap()), (Some(7), Some(9)));
        // Another SA's first fragment does not vouch for it, and time ends it.
        assert_eq!(ports(flows.flow(now, 5, &later).unwrap()), (None, None));
        assert_eq!(ports(flows.flow(Instant::from_secs(31), 0, &later).unwrap()), (None, None));
        for id in 2..9 {
            flows.flow(now, 0, &fragment(id, 0, true, [0, 7, 0, 9])).unwrap();
            flows.flow(now, 0, &fragment(id, 0, true, [0, 7, 0, 9])).unwrap();
        }
        assert_eq!((flows.len(), flows.ends.len()), (2, 2));
        assert_eq!(ports(flows.flow(now, 0, &fragment(3, 1, true, [0; 4])).unwrap()), (None, None));
        assert_eq!(ports(flows.flow(now, 0, &fragment(8, 1, true, [0; 4])).unwrap()), (Some(7), Some(9)));
        // A packet that is none leaves nothing behind.
        assert_eq!(
            ports(flows.flow(now, 0, &fragment(99, 0, false, [0, 1, 0, 2])).unwrap()),
            (Some(1), Some(2))
        );
        assert_eq!(flows.len(), 2);
    }
}
