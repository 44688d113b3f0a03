//! Events as a person reads them, a line each. Secrets are not in it.

use core::fmt::{Display, Formatter, Result};

use ipsec_sa::TrafficSelector;

use super::{ChildInstalled, Event};
use crate::Volume;

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::IkeEstablished(ike) => {
                let (us, peer, path, suite) = (&ike.local_id, &ike.remote_id, ike.path, &ike.suite);
                write!(f, "IKE SA established: we are {us}, the peer is {peer}; {path}; {suite}")
            }
            Self::PeerRefused { identity, why } => write!(f, "the peer is {identity}, and not let in: {why}"),
            Self::IkeRekeyed { replaced_by } => write!(f, "IKE SA rekeyed: {replaced_by} takes its place"),
            Self::IkeClosed { reason } => write!(f, "IKE SA closed: {reason}"),
            Self::ChildInstalled(child) => child.fmt(f),
            Self::ChildClosed { inbound, outbound, reason, sent, received } => {
                write!(f, "Child SA closed: {reason}; in {inbound}, ")?;
                volume(f, received)?;
                write!(f, "; out {outbound}, ")?;
                volume(f, sent)
            }
            Self::ChildFailed { child, error } => write!(f, "Child SA of {child} failed: {error}"),
            Self::ChildRefused { inbound, error } => {
                write!(f, "Child SA {inbound} was negotiated and cannot be used: {error}")
            }
            Self::PeerLacksChild { inbound: Some(inbound), outbound } => {
                write!(
                    f,
                    "the peer says that it lacks the Child SA {outbound}, whose other half is {inbound}"
                )
            }
            Self::PeerLacksChild { inbound: None, outbound } => {
                write!(f, "the peer says that it lacks the Child SA {outbound}, as we do")
            }
            Self::ChildMoved(update) => {
                let (local, remote) = (update.outer.local, update.outer.remote);
                write!(f, "Child SA {} moved: {local} -> {remote}", update.inbound)
            }
            Self::QueueCleared { policy, packets, octets, until } => {
                let seconds = until.as_micros() / 1_000_000;
                let policy = policy.0;
                write!(
                    f,
                    "no SA for policy {policy}: {packets} packets ({octets} octets) that waited were "
                )?;
                write!(f, "dropped; not tried again before second {seconds} of the clock")
            }
            Self::Needs { deadline, what, .. } => {
                let seconds = deadline.as_micros() / 1_000_000;
                write!(f, "a step waits for its answer until second {seconds} of the clock: {what:?}")
            }
            Self::Exchange(trace) => {
                let way = if trace.outbound { "sent" } else { "received" };
                let kind = if trace.response { "response" } else { "request" };
                let again = if trace.retransmission { ", again" } else { "" };
                let (exchange, id) = (trace.exchange, trace.message_id);
                write!(f, "{way} {exchange} {kind} {id}, {} octets{again}: {}", trace.octets, trace.payloads)
            }
            Self::Keys(line) => write!(f, "keys for Wireshark: {line:?}"),
        }
    }
}

impl Display for ChildInstalled {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { child, inbound, outbound, path, suite, .. } = self;
        let (local, remote) = (Listed(&self.local), Listed(&self.remote));
        write!(f, "Child SA of {child} installed: in {inbound}, out {outbound}; ")?;
        write!(f, "{local} === {remote}; {path}; {suite}")?;
        self.replaces.map_or(Ok(()), |replaced| write!(f, "; replaces {replaced}"))
    }
}

/// Selectors as a person reads them.
pub(crate) struct Listed<'a>(pub(crate) &'a [TrafficSelector]);

impl Display for Listed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        self.0.iter().enumerate().try_for_each(|(index, selector)| {
            f.write_str(if index > 0 { ", " } else { "" })?;
            selector.fmt(f)
        })
    }
}

fn volume(f: &mut Formatter<'_>, volume: &Volume) -> Result {
    write!(f, "{} packets ({} octets)", volume.packets, volume.octets)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn selectors_are_listed() {
        let [one, other] = ["10.1.0.0/16", "10.2.0.1"].map(|text| text.parse().unwrap());
        assert_eq!(Listed(&[]).to_string(), "nothing");
        assert_eq!(Listed(&[one, other]).to_string(), "10.1.0.0/16, 10.2.0.1/32");
    }
}
