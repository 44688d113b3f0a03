//! Cases of echoes, plain ones and with unusual headers.

use ipsec::sa::{Mode, SecurityProtocol};
use ipsec::wire::IpView;
use ipsec::wire::ip::internet_checksum;

use super::conversation::Conversation;
use crate::family::Family;
use crate::icmp::Echo;
use crate::scenario::ensure;

/// IPv4 options: a route to be recorded, which is mutable, and a router alert, which is not (RFC 4302 appendix A1).
const OPTIONS: [u8; 12] = [7, 7, 4, 0, 0, 0, 0, 1, 148, 4, 0, 0];
/// An IPv6 header with an option that may change on the way and that nobody knows, and one with an option that may not
/// (RFC 8200 §4.2); the next header is to be set.
const HOP_BY_HOP: [u8; 8] = [0, 0, 0x3e, 4, 0xa1, 0xa2, 0xa3, 0xa4];
const DESTINATION: [u8; 8] = [0, 0, 0x1e, 4, 0xb1, 0xb2, 0xb3, 0xb4];

/// Echoes with every length of padding, and one that nearly fills the link.
pub(crate) fn echoes(talk: &mut Conversation<'_>) -> Result<(), String> {
    // Linux drops UDP datagrams of less than 48 octets on their way to ESP over IPv6: it counts the IPv6 header twice.
    let shortest = if talk.case.udp && talk.case.outer == Family::V6 { 12 } else { 0 };
    let first = talk.ping(shortest)?;
    ensure(first == talk.case.floor + 1, || format!("the kernel's first packet is number {first}"))?;
    for length in (shortest + 1..shortest + 18).chain([300, 1300]) {
        talk.ping(length)?;
    }
    Ok(())
}

/// Routers change what they may change, of packets both ways (RFC 4302 §3.3.3).
pub(crate) fn rewritten(talk: &mut Conversation<'_>) -> Result<(), String> {
    for length in [0, 17, 600] {
        let request = talk.request(length);
        let mut sealed = talk.seal(&request)?;
        rewrite(&mut sealed);
        talk.guest.send(&sealed)?;
        let mut answer = talk.received()?;
        rewrite(&mut answer);
        talk.accept(&answer, &request)?;
    }
    Ok(())
}

/// The packets themselves have IPv4 options or IPv6 extension headers.
pub(crate) fn options(talk: &mut Conversation<'_>) -> Result<(), String> {
    for length in [0, 17, 600] {
        let request = talk.request(length);
        let mut packet = request.emit();
        match talk.case.inner {
            Family::V4 => {
                packet.splice(20..20, OPTIONS);
                packet[0] = 0x45 + (OPTIONS.len() / 4) as u8;
                let total = packet.len() as u16;
                packet[2..4].copy_from_slice(&total.to_be_bytes());
                set_checksum(&mut packet);
            }
            Family::V6 => {
                let upper = packet[6];
                packet.splice(40..40, HOP_BY_HOP.into_iter().chain(DESTINATION));
                // Hop-by-hop options, destination options, and what was there.
                (packet[6], packet[40], packet[48]) = (0, 60, upper);
                let payload = packet.len() as u16 - 40;
                packet[4..6].copy_from_slice(&payload.to_be_bytes());
            }
        }
        let mut sealed = talk.outbound.seal(&packet)?;
        if talk.case.protocol == SecurityProtocol::Ah && talk.case.mode == Mode::Transport {
            rewrite(&mut sealed);
            if talk.case.inner == Family::V6 {
                sealed[44] ^= 0xff;
            }
        }
        talk.exchange(&sealed, &request)?;
    }
    Ok(())
}

/// The kernel makes the same outer header of the same inner one: DSCP, ECN and DF.
///
/// Congestion experienced is left out: Linux follows RFC 3168 §9.1.1 there and not RFC 6040 §4.1.
pub(crate) fn fields(talk: &mut Conversation<'_>) -> Result<(), String> {
    for class in [0, 0xb8, 0x28 | 1, 0x88 | 2] {
        let request = talk.request(40);
        let mut packet = request.emit();
        set_traffic_class(&mut packet, class);
        let sealed = talk.outbound.seal(&packet)?;
        talk.guest.send(&sealed)?;
        let answer = talk.received()?;
        let (inner, _) = talk.inbound.open(&answer).map_err(|refusal| format!("{refusal:?}"))?;
        ensure(Echo::parse(&inner) == Some(request.answer()), || "another answer comes back".into())?;
        let ours = talk.outbound.seal(&inner)?;
        let seen = |packet: &[u8]| {
            let view = IpView::parse(packet).map_err(|error| error.to_string())?;
            let df = if let IpView::V4(view) = view { view.df() } else { true };
            Ok::<_, String>((view.traffic_class(), df))
        };
        let (kernel, ours, inner) = (seen(&answer)?, seen(&ours)?, seen(&inner)?);
        ensure(kernel == ours && inner.0 == class, || {
            format!(
                "traffic class and DF: {inner:02x?} inside, the kernel makes {kernel:02x?} of it, we {ours:02x?}"
            )
        })?;
    }
    Ok(())
}

/// Changes what routers may change of an IP header.
fn rewrite(packet: &mut [u8]) {
    match packet[0] >> 4 {
        4 => {
            // Not to congestion experienced, which would be told on.
            packet[1] = 0x40;
            packet[8] -= 3;
            set_checksum(packet);
        }
        _ => {
            packet[0] = 0x64;
            packet[1..4].copy_from_slice(&[0x0a, 0xbc, 0xde]);
            packet[7] -= 3;
        }
    }
}

fn set_traffic_class(packet: &mut [u8], class: u8) {
    match packet[0] >> 4 {
        4 => {
            packet[1] = class;
            set_checksum(packet);
        }
        _ => {
            packet[0] = 0x60 | class >> 4;
            packet[1] = class << 4;
        }
    }
}

/// Sets the checksum of an IPv4 header.
fn set_checksum(packet: &mut [u8]) {
    let length = usize::from(packet[0] & 0x0f) * 4;
    packet[10..12].fill(0);
    let checksum = internet_checksum(&[&packet[..length]]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}
