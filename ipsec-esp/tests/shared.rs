//! One SA used by several cores: every number once, every packet opened once, and the same errors as with one core.

mod common;

use common::*;
use ipsec_esp::{OpenError, OuterHeader, SealError, SharedInbound, SharedOutbound};
use ipsec_sa::{Direction, Lifetime, Lifetimes, SaParams};
use ipsec_wire::IpProtocol;
use ipsec_wire::ike::SnId;

fn shared(suite: &Suite, change: impl Fn(SaParams) -> SaParams) -> (SharedOutbound, SharedInbound) {
    let (outbound, inbound) =
        (change(params(suite, Direction::Outbound)), change(params(suite, Direction::Inbound)));
    (
        SharedOutbound::new(&outbound, &provider(), OuterHeader::None, &mut rng()).unwrap(),
        SharedInbound::new(&inbound, &provider()).unwrap(),
    )
}

fn seal_shared(outbound: &SharedOutbound, inner: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut buf = [vec![0; 64], inner.to_vec(), vec![0; 64]].concat();
    let sealed = outbound.seal_in_place(&mut buf, 64..64 + inner.len(), IpProtocol::IPV4)?;
    Ok(buf[sealed].to_vec())
}

#[test]
fn threads_share_both_directions() {
    const THREADS: usize = 3;
    const EACH: usize = 300;
    for suite in &SUITES {
        let change =
            |p: SaParams| p.with_sequence(SnId::SEQUENTIAL_64, (1 << 32) - 400).with_replay_window(1024);
        let (outbound, inbound) = shared(suite, change);
        let mut packets: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        (0..EACH).map(|_| seal_shared(&outbound, &ipv4(90)).unwrap()).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outbound.sequence().last(), (1 << 32) - 400 + (THREADS * EACH) as u64);
        packets.sort_by_key(|packet| packet[4..8].to_vec());
        // Those behind the boundary come last.
        let behind = packets.partition_point(|packet| packet[4] == 0);
        packets.rotate_left(behind);
        // All open all packets: each is opened once.
        let opened: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        packets
                            .iter()
                            .filter(|packet| {
                                let mut packet = packet.to_vec();
                                match inbound.open_in_place(&mut packet) {
                                    Ok(opened) => packet[opened.payload] == ipv4(90),
                                    Err(error) => {
                                        assert_eq!(error, OpenError::Replay, "{suite:?}");
                                        false
                                    }
                                }
                            })
                            .count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(opened, THREADS * EACH, "{suite:?}");
    }
}

#[test]
fn bad_packets_and_used_up_sas_are_refused() {
    for suite in &SUITES {
        let hard = Lifetime { packets: Some(3), octets: Some(250), time: None };
        let change = |p: SaParams| p.with_lifetimes(Lifetimes { soft: Lifetime::default(), hard });
        let (outbound, inbound) = shared(suite, change);
        let packet = seal_shared(&outbound, &ipv4(90)).unwrap();
        for at in 0..packet.len() {
            let mut forged = packet.clone();
            forged[at] ^= 4;
            assert!(inbound.open_in_place(&mut forged).is_err());
            assert_eq!(inbound.window().top(), 0);
        }
        for len in 0..packet.len() {
            assert!(inbound.open_in_place(&mut packet[..len].to_vec()).is_err());
        }
        assert!(inbound.open_in_place(&mut packet.clone()).is_ok());
        assert_eq!(inbound.open_in_place(&mut packet.clone()), Err(OpenError::Replay));
        // The octets end first, then, for shorter packets, the numbers.
        assert!(seal_shared(&outbound, &ipv4(90)).is_ok());
        assert_eq!(seal_shared(&outbound, &ipv4(90)), Err(SealError::Lifetime));
        assert!(seal_shared(&outbound, &ipv4(20)).is_ok());
        assert_eq!(seal_shared(&outbound, &ipv4(20)), Err(SealError::Exhausted));
    }
}
