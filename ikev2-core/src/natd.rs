//! NAT detection (RFC 7296 §2.23): hashes of addresses, compared with the addresses that are seen.

use core::net::{IpAddr, SocketAddr};

use ipsec_wire::IkeSpi;
use sha1::{Digest, Sha1};

/// `SHA-1(SPIi | SPIr | address | port)`, the data of NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP.
///
/// The SPIs are those of the message's header: in an IKE_SA_INIT request `spi_r` is zero.
#[must_use]
pub fn nat_detection_hash(spi_i: IkeSpi, spi_r: IkeSpi, address: SocketAddr) -> [u8; 20] {
    let mut hash = Sha1::new();
    hash.update(spi_i.as_bytes());
    hash.update(spi_r.as_bytes());
    match address.ip() {
        IpAddr::V4(v4) => hash.update(v4.octets()),
        IpAddr::V6(v6) => hash.update(v6.octets()),
    }
    hash.update(address.port().to_be_bytes());
    hash.finalize().into()
}

/// Where address translation takes place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NatStatus {
    /// What the peer sees as our address is not ours: we send keepalives (RFC 7296 §2.23).
    pub local_behind_nat: bool,
    /// What we see as the peer's address is not the peer's: we follow it when it changes.
    pub remote_behind_nat: bool,
}

impl NatStatus {
    /// Whether there is any translation, so that the IKE SA moves to the encapsulation ports.
    #[must_use]
    pub const fn any(self) -> bool {
        self.local_behind_nat || self.remote_behind_nat
    }
}

/// Compares what the peer hashed with the addresses of the datagram it came in.
///
/// `sources` and `destinations` are the data of the two notifies; there may be several sources, one of which
/// must hold (a host may not know from which of its addresses a datagram leaves). A side of which the peer sent
/// no notify counts as not translated. `local` and `remote` are ours and the peer's as we see them.
///
/// `None` when the peer sent neither: it does not do NAT traversal.
#[must_use]
pub fn detect<'a>(
    sources: impl Iterator<Item = &'a [u8]>,
    destinations: impl Iterator<Item = &'a [u8]>,
    spi_i: IkeSpi,
    spi_r: IkeSpi,
    local: SocketAddr,
    remote: SocketAddr,
) -> Option<NatStatus> {
    let remote_holds = any_equals(sources, nat_detection_hash(spi_i, spi_r, remote));
    let local_holds = any_equals(destinations, nat_detection_hash(spi_i, spi_r, local));
    if remote_holds.is_none() && local_holds.is_none() {
        return None;
    }
    Some(NatStatus {
        local_behind_nat: local_holds == Some(false),
        remote_behind_nat: remote_holds == Some(false),
    })
}

/// `None` when there are no hashes at all.
fn any_equals<'a>(hashes: impl Iterator<Item = &'a [u8]>, seen: [u8; 20]) -> Option<bool> {
    hashes.fold(None, |found, hash| Some(found.unwrap_or(false) || hash == seen))
}

#[cfg(test)]
mod tests {
    use core::iter;

    use ipsec_wire::Limits;
    use ipsec_wire::ike::{MessageView, NotifyType};

    use super::*;
    use crate::testdata::Recording;

    fn spi(octets: &[u8]) -> IkeSpi {
        IkeSpi::from_slice(octets).unwrap()
    }

    /// The third and fourth hash of the log are those the responder checks out for real addresses.
    #[test]
    fn hashes_are_those_of_strongswan() {
        for recording in [Recording::cbc(), Recording::gcm()] {
            for (number, host) in [(3, 1), (4, 2)] {
                let chunk = recording.octets(&alloc::format!("natd_chunk.{number}"));
                let address = SocketAddr::from(([10, 10, 0, host], 500));
                let hash = nat_detection_hash(spi(&chunk[..8]), spi(&chunk[8..16]), address);
                assert_eq!(hash, recording.octets(&alloc::format!("natd_hash.{number}")));
            }
        }
    }

    #[test]
    fn what_strongswan_sent_without_a_nat() {
        let recording = Recording::cbc();
        let response = MessageView::parse(recording.octets("message.2"), &Limits::DEFAULT).unwrap();
        let header = response.header();
        let data =
            |wanted| response.notifies().filter(move |n| n.notify_type == wanted).map(|notify| notify.data);
        let seen = |local: SocketAddr, remote: SocketAddr| {
            detect(
                data(NotifyType::NAT_DETECTION_SOURCE_IP),
                data(NotifyType::NAT_DETECTION_DESTINATION_IP),
                header.initiator_spi,
                header.responder_spi,
                local,
                remote,
            )
            .unwrap()
        };
        let local = SocketAddr::from(([10, 10, 0, 1], 500));
        let remote = SocketAddr::from(([10, 10, 0, 2], 500));
        // kernel-libipsec makes charon fake its source hash, so that ESP always travels in UDP.
        assert_eq!(seen(local, remote), NatStatus { local_behind_nat: false, remote_behind_nat: true });
        let translated = SocketAddr::from(([192, 0, 2, 1], 1024));
        assert_eq!(seen(translated, remote), NatStatus { local_behind_nat: true, remote_behind_nat: true });
    }

    #[test]
    fn one_source_of_several_suffices_and_none_at_all_means_no_traversal() {
        let (i, r) = (IkeSpi([1; 8]), IkeSpi([2; 8]));
        let local = SocketAddr::from(([0x20, 1, 0xd, 0xb8, 0, 0, 0, 1], 500));
        let remote = SocketAddr::from(([10, 0, 0, 1], 500));
        let (of_local, of_remote) = (nat_detection_hash(i, r, local), nat_detection_hash(i, r, remote));
        let other = nat_detection_hash(i, r, SocketAddr::from(([10, 0, 0, 1], 501)));
        let run = |sources: &[[u8; 20]], destinations: &[[u8; 20]]| {
            let slices =
                |hashes: &[[u8; 20]]| hashes.iter().map(|h| h.to_vec()).collect::<alloc::vec::Vec<_>>();
            let (sources, destinations) = (slices(sources), slices(destinations));
            let sources = sources.iter().map(alloc::vec::Vec::as_slice);
            detect(sources, destinations.iter().map(alloc::vec::Vec::as_slice), i, r, local, remote)
        };
        let status =
            |local_behind_nat, remote_behind_nat| Some(NatStatus { local_behind_nat, remote_behind_nat });
        assert_eq!(run(&[other, of_remote], &[of_local]), status(false, false));
        assert_eq!(run(&[other, other], &[of_local]), status(false, true));
        assert_eq!(run(&[of_remote], &[other]), status(true, false));
        assert_eq!(run(&[], &[other]), status(true, false));
        assert_eq!(run(&[other], &[]), status(false, true));
        assert_eq!(run(&[], &[]), None);
        assert_eq!(detect(iter::once(&[][..]), iter::empty(), i, r, local, remote), status(false, true));
    }
}
