//! An IP packet as the databases see it.

use ipsec_sa::Flow;
use ipsec_wire::{IpProtocol, IpView, ParseError};

/// The selectors of an IP packet and its own length: octets behind that do not belong to it.
#[inline]
pub(crate) fn flow_of(packet: &[u8]) -> Result<(Flow, usize), ParseError> {
    let view = IpView::parse(packet)?;
    Ok((Flow::from_view(&view), view.packet().len()))
}

/// What announces the packet inside ESP.
#[inline]
pub(crate) fn announced(packet: &[u8]) -> IpProtocol {
    match packet.first().map(|first| first >> 4) {
        Some(6) => IpProtocol::IPV6,
        _ => IpProtocol::IPV4,
    }
}
