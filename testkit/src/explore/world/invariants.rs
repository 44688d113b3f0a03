//! What must hold: all the time of what is sent, and of both sides once all is quiet.

use alloc::sync::Arc;
use core::time::Duration;

use ikev2_core::IkeSaState;
use ikev2_core::sketch::Sketch;
use ipsec_wire::Spi;

use super::{End, SIDES, World, index};
use crate::explore::canon::Canon;
use crate::explore::child_name;
use crate::ladder::Side;

/// What was used once, and may only be used again for the same octets.
#[derive(Debug)]
pub(super) struct Used {
    what: u64,
    octets: u64,
    before: Option<Arc<Used>>,
}

pub(super) fn hash(octets: &[u8]) -> u64 {
    let mut canon = Canon::new();
    octets.chunks(8).for_each(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        canon.number(u64::from_le_bytes(word));
    });
    canon.number(octets.len() as u64);
    let value = canon.finish();
    (value ^ value >> 64) as u64
}

/// The nonce among the payloads from `data` on, read through the ciphertext of [`crate::insecure`].
fn nonce(mut next: u8, mut data: &[u8]) -> Option<&[u8]> {
    const NONCE: u8 = 40;
    while let ([following, _, high, low, ..], true) = (data, next != 0) {
        let (payload, rest) = data.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])).max(4))?;
        if next == NONCE {
            return payload.get(4..);
        }
        (next, data) = (*following, rest);
    }
    None
}

impl World {
    /// Nothing in clear; no message id and no IV for two messages.
    pub(super) fn inspect(&mut self, side: Side, data: &[u8]) {
        let data = data.strip_prefix(&[0; 4]).unwrap_or(data);
        let Some((header, body)) = data.split_at_checked(28) else {
            return self.violate(format!("{} octets were sent", data.len()));
        };
        let (exchange, response) = (header[18], header[19] & 0x20);
        let octets = hash(data);
        let protected = matches!(header[16], 46 | 53);
        // IKE_SA_INIT, and answers to what belongs to no IKE SA.
        if !protected && exchange != 34 && header[16] != 41 {
            return self.violate(String::from("a message in clear"));
        }
        if !protected {
            // One of IKE_SA_INIT belongs to one IKE SA: asked again with a cookie, it is the same.
            if let (34, Some(nonce)) = (exchange, nonce(header[16], body)) {
                let id = hash(&[&header[..8], &[index(side) as u8, response]].concat());
                self.once("a nonce", nonce, id);
            }
            return;
        }
        let mut what = header[..16].to_vec();
        what.extend([index(side) as u8, response]);
        what.extend(&header[20..24]);
        self.once("a message id", &what, octets);
        // A nonce belongs to one CREATE_CHILD_SA request or its answer.
        if let (36, Some(nonce)) = (exchange, body.get(12..).and_then(|inner| nonce(body[0], inner))) {
            let id = u64::from_be_bytes([0, 0, response, 0, header[20], header[21], header[22], header[23]]);
            self.once("a nonce", nonce, id);
        }
        let mut what = header[..16].to_vec();
        what.extend([index(side) as u8, 0xee]);
        what.extend(body.get(4..12).unwrap_or_default());
        self.once("an IV", &what, octets);
    }

    pub(super) fn once(&mut self, kind: &str, what: &[u8], octets: u64) {
        let what = hash(what);
        let mut link = &self.used;
        while let Some(used) = link {
            if used.what == what {
                if used.octets != octets {
                    self.violate(format!("{kind} was used twice"));
                }
                return;
            }
            link = &used.before;
        }
        self.used = Some(Arc::new(Used { what, octets, before: self.used.take() }));
    }

    pub(crate) fn violate(&mut self, why: String) {
        self.violation.get_or_insert(why);
    }

    /// Whether nothing is under way any more and nothing will be soon.
    pub(crate) fn quiet(&self) -> bool {
        self.wire.is_empty()
            && SIDES.iter().all(|side| {
                let end = &self.ends[index(*side)];
                end.issued == self.scenario.commands(*side).len()
                    && end.jobs.is_empty()
                    && end.timeout.is_none_or(|at| at > self.now + Duration::from_secs(5))
                    && end.endpoint.ike_sas().all(|info| info.state == IkeSaState::Established)
            })
    }

    /// What must hold once all is quiet.
    pub(crate) fn check(&self) -> Result<(), String> {
        let [left, right] = &self.ends;
        let ikes = |end: &End| {
            let mut spis: Vec<_> = end.endpoint.ike_sas().map(|info| (info.spi_i, info.spi_r)).collect();
            spis.sort_unstable();
            spis
        };
        if ikes(left) != ikes(right) {
            return Err(format!("IKE SAs {:?} on the left, {:?} on the right", ikes(left), ikes(right)));
        }
        if left.children.len() != right.children.len() {
            let (left, right) = (left.children.len(), right.children.len());
            return Err(format!("{left} Child SAs on the left, {right} on the right"));
        }
        for child in left.children.values() {
            let Some(other) = right.children.get(&child.outbound) else {
                return Err(format!("the right does not know {}", child.outbound));
            };
            if (child.inbound, child.inbound_key, child.outbound_key)
                != (other.outbound, other.outbound_key, other.inbound_key)
            {
                return Err(format!("the keys of {} differ", child.outbound));
            }
        }
        for end in &self.ends {
            let known: Vec<Spi> = end
                .endpoint
                .ike_sas()
                .flat_map(|info| info.children.into_iter().map(|child| child.inbound))
                .collect();
            if known.len() != end.children.len() || !known.iter().all(|spi| end.children.contains_key(spi)) {
                return Err(format!("installed {:?}, known {known:?}", end.children.keys()));
            }
            let taken = end.supplied.saturating_sub(16);
            if taken != end.installed + end.released {
                let (installed, released) = (end.installed, end.released);
                return Err(format!("SPIs: {taken} taken, {installed} installed, {released} given back"));
            }
        }
        let failed = left.failures + right.failures > 0;
        if failed && !self.scenario.may_fail {
            return Err(String::from("a failure was reported"));
        }
        if self.scenario.stays && !failed {
            if ikes(left).len() != 1 {
                return Err(format!("{} IKE SAs", ikes(left).len()));
            }
            for place in 0..self.scenario.children {
                let name = child_name(place);
                let count = left.children.values().filter(|child| *child.name == *name).count();
                if count != 1 {
                    return Err(format!("{count} Child SAs {name}"));
                }
                for side in SIDES {
                    if self.arrives(side, place).is_none() {
                        return Err(format!("packets of {name} from the {side:?} do not arrive"));
                    }
                }
            }
        }
        if !self.scenario.stays && ikes(left).len() > 1 {
            return Err(format!("{} IKE SAs", ikes(left).len()));
        }
        Ok(())
    }
}
