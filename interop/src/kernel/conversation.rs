//! Both sides of a case: packets of ours go in, and the kernel's answers come out.

use alloc::collections::BTreeMap;

use super::case::Case;
use super::guest::Guest;
use super::sas::{Inbound, Outbound, Refusal};
use super::xfrm;
use crate::icmp::Echo;
use crate::scenario::ensure;

/// The identifier of our echo requests.
const IDENTIFIER: u16 = 0x1b2c;

/// Both sides of a case at work.
pub(crate) struct Conversation<'a> {
    /// The kernel.
    pub(crate) guest: &'a mut Guest,
    /// The case.
    pub(crate) case: &'a Case,
    /// What we send by.
    pub(crate) outbound: Outbound,
    /// What we receive by.
    pub(crate) inbound: Inbound,
    /// What the kernel had counted before.
    before: BTreeMap<String, u64>,
    /// What it is to count of what it drops.
    pub(crate) expected: BTreeMap<String, u64>,
    /// Echo requests so far.
    requests: u16,
}

impl<'a> Conversation<'a> {
    /// Both sides, whose SAs are set up.
    pub(crate) fn new(
        guest: &'a mut Guest,
        case: &'a Case,
        (outbound, inbound): (Outbound, Inbound),
    ) -> Result<Self, String> {
        let before = xfrm::counters(guest)?;
        Ok(Conversation { guest, case, outbound, inbound, before, expected: BTreeMap::new(), requests: 0 })
    }

    /// Wants the kernel to have counted what it was to count, and no more.
    pub(crate) fn counted_as_expected(&mut self) -> Result<(), String> {
        let counted = self.counted()?;
        ensure(counted == self.expected, || {
            format!("the kernel counts {counted:?} instead of {:?}", self.expected)
        })
    }

    /// What the kernel has counted since the beginning.
    pub(crate) fn counted(&mut self) -> Result<BTreeMap<String, u64>, String> {
        let mut counted = xfrm::counters(self.guest)?;
        for (name, before) in &self.before {
            if let Some(count) = counted.get_mut(name) {
                *count -= before;
            }
        }
        counted.retain(|_, count| *count > 0);
        Ok(counted)
    }

    /// Another echo request with so many octets of data.
    pub(crate) fn request(&mut self, length: usize) -> Echo {
        self.requests += 1;
        let addresses = self.case.protected();
        let data = (0..length).map(|at| (at as u16).wrapping_mul(7).wrapping_add(self.requests) as u8);
        Echo {
            source: addresses.ours,
            destination: addresses.kernel,
            reply: false,
            identifier: IDENTIFIER,
            sequence: self.requests,
            data: data.collect(),
        }
    }

    /// Seals a request.
    pub(crate) fn seal(&mut self, request: &Echo) -> Result<Vec<u8>, String> {
        self.outbound.seal(&request.emit())
    }

    /// The kernel's next packet, as it comes over the wire.
    pub(crate) fn received(&mut self) -> Result<Vec<u8>, String> {
        let case = self.case;
        self.guest.receive(|packet| Inbound::expects(case, packet))
    }

    /// Opens a packet that must be the answer to `request`, and hands back its sequence number.
    pub(crate) fn accept(&mut self, packet: &[u8], request: &Echo) -> Result<u64, String> {
        let (inner, seq) = self.inbound.open(packet).map_err(|refusal| {
            format!("we refuse the kernel's answer to request {}: {refusal:?}", request.sequence)
        })?;
        let answer = Echo::parse(&inner).ok_or_else(|| format!("no echo comes back: {inner:02x?}"))?;
        let wanted = request.clone().answer();
        ensure(answer == wanted, || format!("{answer:?} comes back instead of {wanted:?}"))?;
        Ok(seq)
    }

    /// Sends a sealed request and takes the answer, with its sequence number.
    pub(crate) fn exchange(&mut self, sealed: &[u8], request: &Echo) -> Result<u64, String> {
        self.guest.send(sealed)?;
        let answer = self.received()?;
        self.accept(&answer, request)
    }

    /// A request with so many octets of data, and its answer, of which the sequence number.
    pub(crate) fn ping(&mut self, length: usize) -> Result<u64, String> {
        let request = self.request(length);
        let sealed = self.seal(&request)?;
        self.exchange(&sealed, &request)
    }

    /// Sends a request and hands back the answer unopened.
    pub(crate) fn ping_unopened(&mut self) -> Result<(Vec<u8>, Echo), String> {
        let request = self.request(24);
        let sealed = self.seal(&request)?;
        self.guest.send(&sealed)?;
        Ok((self.received()?, request))
    }

    /// Sends a packet that the kernel must drop and count; what it answers to the next request shows that it did.
    pub(crate) fn refused_by_kernel(&mut self, packet: &[u8], counter: &'static str) -> Result<(), String> {
        self.guest.send(packet)?;
        *self.expected.entry(counter.to_owned()).or_default() += 1;
        self.ping(16).map(drop)
    }

    /// Hands us a packet that we must refuse for this reason.
    pub(crate) fn refused_by_us(&mut self, packet: &[u8], reason: &Refusal) -> Result<(), String> {
        match self.inbound.open(packet) {
            Err(refusal) if refusal == *reason => Ok(()),
            Err(refusal) => Err(format!("we refuse as {refusal:?} what is {reason:?}")),
            Ok((_, seq)) => Err(format!("we take packet {seq}, which is {reason:?}")),
        }
    }
}
