//! An IP packet as the databases see it.

use ipsec_wire::IpProtocol;

/// What announces the packet inside ESP.
#[inline]
pub(crate) fn announced(packet: &[u8]) -> IpProtocol {
    match packet.first().map(|first| first >> 4) {
        Some(6) => IpProtocol::IPV6,
        _ => IpProtocol::IPV4,
    }
}
