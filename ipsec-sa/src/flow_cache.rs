//! What was decided about flows, until the policies change.

use alloc::boxed::Box;
use alloc::vec;
use core::net::IpAddr;

use crate::{Direction, Flow, InterfaceId};

/// Decisions by flow, each at the one place that its hash names: a later flow with the same place takes it over.
#[derive(Clone, Debug, Default)]
pub(crate) struct FlowCache {
    /// A power of two of them; none until the first decision.
    entries: Box<[Option<Entry>]>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    flow: Flow,
    direction: Direction,
    interface: Option<InterfaceId>,
    /// Place of the policy; `None` where none matches.
    policy: Option<u32>,
}

impl FlowCache {
    const ENTRIES: usize = 4096;

    #[inline]
    pub(crate) fn find(
        &self,
        direction: Direction,
        flow: &Flow,
        interface: Option<InterfaceId>,
    ) -> Option<Option<u32>> {
        let entry = self.entries.get(self.place(direction, flow))?.as_ref()?;
        let same = entry.direction == direction && entry.interface == interface && entry.flow == *flow;
        same.then_some(entry.policy)
    }

    pub(crate) fn remember(
        &mut self,
        direction: Direction,
        flow: &Flow,
        interface: Option<InterfaceId>,
        policy: Option<u32>,
    ) {
        if self.entries.is_empty() {
            self.entries = vec![None; Self::ENTRIES].into_boxed_slice();
        }
        let place = self.place(direction, flow);
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = Some(Entry { flow: *flow, direction, interface, policy });
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.fill(None);
    }

    /// Whoever chooses flows so that they meet here makes them cost what they would without a cache.
    #[inline]
    fn place(&self, direction: Direction, flow: &Flow) -> usize {
        let fold = |address: IpAddr| match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                (bits >> 64) as u64 ^ (bits as u64).rotate_left(17)
            }
        };
        let ports = u64::from(flow.src_port.unwrap_or(0)) << 16 | u64::from(flow.dst_port.unwrap_or(0));
        let rest = ports << 16 | u64::from(flow.protocol) << 1 | u64::from(direction == Direction::Inbound);
        let mix = |hash: u64, value: u64| (hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let hash = mix(mix(mix(0, fold(flow.src)), fold(flow.dst)), rest);
        (hash as usize) & self.entries.len().wrapping_sub(1)
    }
}
