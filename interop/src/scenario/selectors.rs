//! Traffic selectors that differ (RFC 7296 §2.9): the responder narrows, or refuses.

use core::net::Ipv4Addr;

use ipsec::sa::TrafficSelector;

use super::{Bench, Who, ensure, refuse};

/// The protocol number.
const ICMP: u8 = 1;

/// We offer more than the peer takes.
pub(crate) fn narrowed_by_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Us)?;
    reaches(bench, 25)?;
    bench.ping_both_ways()
}

/// The peer offers more than we take.
pub(crate) fn narrowed_by_us(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Peer)?;
    reaches(bench, 24)?;
    bench.ping_both_ways()
}

/// We offer every protocol, and the peer takes ICMP alone.
pub(crate) fn protocol_by_peer(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Us)?;
    icmp_alone(bench)
}

/// The peer offers ICMP alone, which is less than we take.
pub(crate) fn protocol_by_us(bench: &mut Bench) -> Result<(), String> {
    bench.establish(Who::Peer)?;
    icmp_alone(bench)
}

/// Our Child SA is for ICMP with the peer's network, and echoes pass.
fn icmp_alone(bench: &mut Bench) -> Result<(), String> {
    let child = bench.child()?;
    let only = child.remote.iter().all(|selector| selector.protocol() == ICMP);
    ensure(only, || format!("the Child SA reaches {:?}", child.remote))?;
    bench.ping_both_ways()
}

/// We offer nothing that the peer takes: the IKE SA stands.
pub(crate) fn refused_by_peer(bench: &mut Bench) -> Result<(), String> {
    bench.us.initiate()?;
    refuse::child_fails(bench, &["TS_UNACCEPTABLE"])
}

/// The peer offers nothing that we take: the IKE SA stands.
pub(crate) fn refused_by_us(bench: &mut Bench) -> Result<(), String> {
    refuse::peer_fails(bench)?;
    refuse::child_fails(bench, &["10.9.0.0"])?;
    bench.until_logged("received TS_UNACCEPTABLE notify", 1)
}

/// Our Child SA reaches this much of the peer's network, on our side and in the peer's eyes.
fn reaches(bench: &mut Bench, bits: u8) -> Result<(), String> {
    let network = Ipv4Addr::new(10, 2, 0, 0);
    let wanted = TrafficSelector::prefix(network.into(), bits).map_err(|error| error.to_string())?;
    let child = bench.child()?;
    ensure(child.remote == [wanted], || format!("the Child SA reaches {:?}", child.remote))?;
    bench.until_logged(&format!("and TS {network}/{bits} === 10.1.0.0/24"), 1)
}
