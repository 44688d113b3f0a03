//! A model of whoever processes packets: which Child SA each side sends on, and whether what it sends arrives.

use alloc::sync::Arc;

use ikev2_core::{ChildInstall, IkeHandle, OutboundUse};
use ipsec_sa::{Encapsulation, Outer};
use ipsec_wire::Spi;

use super::invariants::hash;
use super::{SIDES, World, index};
use crate::explore::child_name;
use crate::ladder::Side;

/// A Child SA as whoever processes packets has it.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) name: Arc<str>,
    pub(super) inbound: Spi,
    pub(super) outbound: Spi,
    pub(super) inbound_key: u64,
    pub(super) outbound_key: u64,
    pub(super) replaces: Option<Spi>,
    /// Waits for the first packet on its inbound side.
    pub(super) standby: bool,
    pub(super) never: bool,
    pub(super) outer: Outer,
    /// The one that came into use last is used.
    pub(super) rank: u32,
}

impl World {
    pub(super) fn reserve(&mut self, side: Side, ike: IkeHandle, install: &ChildInstall) -> Child {
        let keys = [&install.inbound.keys.encr, &install.outbound.keys.encr].map(|key| key.expose());
        self.child_keys(side, ike, keys);
        let [inbound_key, outbound_key] = keys.map(hash);
        for (key, spi) in [(inbound_key, install.inbound.spi), (outbound_key, install.outbound.spi)] {
            let what = [&key.to_be_bytes()[..], &[index(side) as u8]].concat();
            self.once("a key", &what, u64::from(spi.0) | 1 << 40);
        }
        let end = &mut self.ends[index(side)];
        end.installed += 1;
        Child {
            name: install.child.as_str().into(),
            inbound: install.inbound.spi,
            outbound: install.outbound.spi,
            inbound_key,
            outbound_key,
            replaces: install.replaces,
            standby: install.outbound_use == OutboundUse::AfterFirstInbound && install.replaces.is_some(),
            never: install.outbound_use == OutboundUse::Never,
            outer: install.outbound.outer,
            rank: 0,
        }
    }

    pub(super) fn install(&mut self, side: Side, mut child: Child) {
        let end = &mut self.ends[index(side)];
        if !child.standby && !child.never {
            end.ranks += 1;
            child.rank = end.ranks;
        }
        if end.children.insert(child.inbound, child).is_some() {
            self.violate(String::from("an SPI that is in use was installed"));
        }
    }

    pub(super) fn close(&mut self, side: Side, inbound: Spi) {
        let end = &mut self.ends[index(side)];
        if end.children.remove(&inbound).is_none() {
            end.closed_early.push(inbound);
            return;
        }
        let taken_over = end
            .children
            .values()
            .any(|other| other.replaces == Some(inbound) && !other.standby && !other.never);
        if taken_over {
            return;
        }
        let heir = end.children.values_mut().find(|other| other.replaces == Some(inbound) && other.standby);
        if let Some(heir) = heir {
            end.ranks += 1;
            (heir.standby, heir.rank) = (false, end.ranks);
        }
    }

    /// Packets of every child in both directions, and how long they have not arrived.
    pub(super) fn traffic(&mut self) {
        for _ in 0..2 {
            for side in SIDES {
                for place in 0..self.scenario.children {
                    let Some(spi) = self.arrives(side, place) else { continue };
                    let end = &mut self.ends[index(side.other())];
                    if let Some(child) = end.children.get_mut(&spi)
                        && core::mem::take(&mut child.standby)
                    {
                        end.ranks += 1;
                        child.rank = end.ranks;
                    }
                }
            }
        }
        let all = (0..self.scenario.children)
            .all(|place| SIDES.iter().all(|side| self.arrives(*side, place).is_some()));
        self.up |= all && SIDES.iter().all(|side| self.ends[index(*side)].failures == 0);
        for side in SIDES {
            for place in 0..self.scenario.children {
                let sends = self.current(side, place).is_some();
                let wanted = sends || (self.up && self.scenario.stays);
                let dark = wanted && self.arrives(side, place).is_none();
                let since = &mut self.ends[index(side)].dark[place];
                match (dark, *since) {
                    (true, None) => *since = Some(self.now),
                    (true, Some(since)) => {
                        self.longest_dark = self.longest_dark.max(self.now.saturating_since(since));
                    }
                    (false, Some(began)) => {
                        *since = None;
                        self.longest_dark = self.longest_dark.max(self.now.saturating_since(began));
                    }
                    (false, None) => {}
                }
            }
        }
        if self.longest_dark > self.scenario.longest_dark {
            self.violate(format!("packets did not arrive for {:?}", self.longest_dark));
        }
    }

    /// The Child SA that a side sends on.
    fn current(&self, side: Side, place: usize) -> Option<&Child> {
        let name = child_name(place);
        let usable = self.ends[index(side)]
            .children
            .values()
            .filter(|child| *child.name == *name && !child.standby && !child.never);
        usable.max_by_key(|child| child.rank)
    }

    /// The SPI on which the packets of a side arrive.
    pub(super) fn arrives(&self, side: Side, place: usize) -> Option<Spi> {
        let child = self.current(side, place)?;
        let other = self.ends[index(side.other())].children.get(&child.outbound)?;
        if other.inbound_key != child.outbound_key {
            return None;
        }
        if let (Some(nat), Side::Right) = (self.nat, side) {
            let Encapsulation::Udp { remote_port, .. } = child.outer.encapsulation else { return None };
            if remote_port != nat.port {
                return None;
            }
        }
        Some(other.inbound)
    }
}
