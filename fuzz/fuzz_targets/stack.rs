//! A whole stack with SAs keyed by hand: packets and datagrams of any contents from both sides, among true ones that come
//! as they are, damaged or twice. Nothing is authentic that was not sealed, nothing comes out twice, and what comes out is
//! between the networks that the SAs are for.
#![no_main]

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use ipsec::crypto::{Secret, rustcrypto};
use ipsec::esp::OuterHeader;
use ipsec::ike::Path;
use ipsec::sa::{
    DfPolicy, Direction, Encapsulation, Instant, Mode, Outer, Policy, PolicyAction, PolicyId, ProtectSpec,
    Role, SaAlgorithms, SaKeys, SaParams, SecurityProtocol, TrafficSelector,
};
use ipsec::wire::ike::{EncrId, IntegId};
use ipsec::wire::ip::Ipv4Header;
use ipsec::wire::{IpProtocol, IpView, Spi};
use ipsec::{HEADROOM, Meta, Output, Received, Stack, StackConfig, TAILROOM, Verdict};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const GATEWAYS: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];
/// What may pass in clear.
const OPEN: &str = "10.9.0.0/16";
/// Outputs of one step at most: fragments of a packet, or an ICMP message.
const MOST: usize = 64;

#[derive(Clone, Copy)]
struct Kind {
    protocol: SecurityProtocol,
    mode: Mode,
    encapsulation: Encapsulation,
}

fn selector(text: &str) -> TrafficSelector {
    text.parse().unwrap()
}

/// The networks behind both sides; in transport mode the gateways themselves.
fn nets(kind: Kind) -> [TrafficSelector; 2] {
    match kind.mode {
        Mode::Tunnel => ["10.0.0.0/16", "10.1.0.0/16"].map(selector),
        _ => ["192.0.2.1", "192.0.2.2"].map(selector),
    }
}

fn params(kind: Kind, nets: [TrafficSelector; 2], side: usize, direction: Direction) -> SaParams {
    let (algorithms, keys) = match kind.protocol {
        SecurityProtocol::Esp => (
            SaAlgorithms { encr: Some(EncrId::AES_GCM_16), key_bits: 128, integ: None },
            SaKeys { encr: Secret::new(&[7; 20]), integ: Secret::new(&[]) },
        ),
        SecurityProtocol::Ah => (
            SaAlgorithms { encr: None, key_bits: 0, integ: Some(IntegId::HMAC_SHA2_256_128) },
            SaKeys { encr: Secret::new(&[]), integ: Secret::new(&[9; 32]) },
        ),
    };
    let sender = if direction == Direction::Outbound { side } else { 1 - side };
    let [local, remote] = [side, 1 - side].map(|side| IpAddr::from(GATEWAYS[side]));
    let outer = Outer { local, remote, encapsulation: kind.encapsulation };
    let mut params =
        SaParams::new(Spi(0x1000 + sender as u32), direction, Role::Initiator, algorithms, keys, outer)
            .with_protocol(kind.protocol)
            .with_mode(kind.mode)
            .with_selectors(vec![nets[side]], vec![nets[1 - side]]);
    params.policy = Some(PolicyId(1));
    params.header.df = DfPolicy::Copy;
    params
}

fn stack(kind: Kind, nets: [TrafficSelector; 2], side: usize, control: u8) -> Stack {
    let mut config = StackConfig::default();
    config.outer = OuterHeader::Ip;
    config.clamp_mss = control & 0x10 != 0;
    config.tell_unknown_spis = control & 0x20 != 0;
    config.link_mtu = if control & 0x40 != 0 { 600 } else { u16::MAX };
    let rng = Box::new(ChaCha8Rng::seed_from_u64(side as u64));
    let mut stack = Stack::new(config, rustcrypto::provider(), rng, Instant::ZERO);
    let protect = PolicyAction::Protect(ProtectSpec::new(kind.protocol, kind.mode, 0));
    let (local, remote) = (vec![nets[side]], vec![nets[1 - side]]);
    stack.add_policy(Policy::new(PolicyId(1), "protected", local, remote, protect)).unwrap();
    let any = || vec![selector("0.0.0.0/0")];
    let open = Policy::new(PolicyId(2), "open", any(), vec![selector(OPEN)], PolicyAction::Bypass);
    stack.add_policy(open).unwrap();
    let [inbound, outbound] =
        [Direction::Inbound, Direction::Outbound].map(|direction| params(kind, nets, side, direction));
    stack.add_manual(Instant::ZERO, inbound, &outbound).unwrap();
    stack
}

fn within(selector: &TrafficSelector, address: IpAddr) -> bool {
    selector.matches_address(address, IpProtocol::UDP.0)
}

/// What the stack says about a packet is true.
fn check(kind: Kind, side: usize, received: &Received, buf: &[u8]) {
    let nets = nets(kind);
    match received {
        Received::Inner { range, .. } => {
            let view = IpView::parse(&buf[range.clone()]).expect("an IP packet");
            assert!(within(&nets[1 - side], view.src()) && within(&nets[side], view.dst()));
        }
        Received::Upper { range, src, dst, .. } => {
            assert!(range.end <= buf.len());
            assert!(within(&nets[1 - side], *src) && within(&nets[side], *dst));
        }
        Received::Clear { range } => {
            let view = IpView::parse(&buf[range.clone()]).expect("an IP packet");
            assert!(within(&selector(OPEN), view.src()));
        }
        _ => {}
    }
}

fn is_in(received: &Received) -> bool {
    matches!(received, Received::Inner { .. } | Received::Upper { .. })
}

fn drain(stack: &mut Stack) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    for _ in 0..=MOST {
        match stack.poll_output() {
            Output::Transmit { data, .. } => sent.push(data),
            Output::Deliver(packet) => assert!(IpView::parse(&packet).is_ok()),
            Output::Event(..) => {}
            Output::Timeout(_) => return sent,
        }
    }
    panic!("more than {MOST} outputs");
}

fn udp(src: Ipv4Addr, dst: Ipv4Addr, df: bool, payload: &[u8]) -> Vec<u8> {
    let len = 8 + payload.len() as u16;
    let header = Ipv4Header { tos: 2, id: 7, df, ttl: 61, protocol: IpProtocol::UDP, src, dst };
    let [high, low] = len.to_be_bytes();
    [&header.emit(20 + len)[..], &[0x10, 0, 0x20, 0, high, low, 0, 0], payload].concat()
}

fn seal(stack: &mut Stack, now: Instant, packet: &[u8]) -> Option<Vec<u8>> {
    let mut buf = [&[0; HEADROOM][..], packet, &[0; TAILROOM]].concat();
    match stack.handle_ip(now, &mut buf, HEADROOM..HEADROOM + packet.len()) {
        Verdict::Send { range, .. } => Some(buf[range].to_vec()),
        _ => None,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&control, mut left)) = data.split_first() else { return };
    let kind = Kind {
        protocol: if control & 1 == 0 { SecurityProtocol::Esp } else { SecurityProtocol::Ah },
        mode: if control & 2 == 0 { Mode::Tunnel } else { Mode::Transport },
        encapsulation: if control & 5 == 4 {
            Encapsulation::Udp { local_port: 4500, remote_port: 4500 }
        } else {
            Encapsulation::None
        },
    };
    let mut stacks = [0, 1].map(|side| stack(kind, nets(kind), side, control));
    // Has the second side's keys, and no manners.
    let mut rogue = stack(kind, [selector("0.0.0.0/0"); 2], 1, control & 0x0f);
    let mut overtaken = false;
    let mut now = Instant::ZERO;
    let mut taken: Option<(usize, Vec<u8>)> = None;
    while let Some((&[step, size], behind)) = left.split_first_chunk() {
        let (piece, behind) = behind.split_at(behind.len().min(size.into()));
        left = behind;
        let side = usize::from(step >> 7);
        match step & 7 {
            // From outside, and nothing makes it authentic.
            0 => {
                let mut packet = piece.to_vec();
                let received = stacks[side].handle_packet(now, &mut packet);
                assert!(!is_in(&received));
                check(kind, side, &received, &packet);
            }
            1 => {
                let (local, remote) = (GATEWAYS[side].into(), GATEWAYS[1 - side].into());
                let path = match step >> 3 & 3 {
                    0 => Path::ip(local, remote),
                    1 => Path::udp((local, 500).into(), (remote, 500).into()),
                    _ => Path::udp_encap((local, 4500).into(), (remote, 4500).into()),
                };
                let mut datagram = piece.to_vec();
                let received = stacks[side].handle_datagram(now, Meta::new(path), &mut datagram);
                assert!(!is_in(&received));
            }
            // From inside, whatever it is.
            2 => {
                let mut buf = [&[0; HEADROOM][..], piece, &[0; TAILROOM]].concat();
                let range = HEADROOM..HEADROOM + piece.len();
                let verdict = stacks[side].handle_ip(now, &mut buf, range);
                if let Verdict::Send { range, .. } = verdict {
                    assert!(range.end <= buf.len());
                }
            }
            // A true packet, which may be damaged on its way.
            3 | 4 => {
                let host = |side: usize| match kind.mode {
                    Mode::Tunnel => Ipv4Addr::new(10, side as u8, 0, 1),
                    _ => GATEWAYS[side].into(),
                };
                let payload = piece.repeat(if step & 0x10 == 0 { 1 } else { 8 });
                let inner = udp(host(side), host(1 - side), step & 8 != 0, &payload);
                let mut buf = [&[0; HEADROOM][..], &inner, &[0; TAILROOM]].concat();
                let range = HEADROOM..HEADROOM + inner.len();
                let mut sealed = match stacks[side].handle_ip(now, &mut buf, range) {
                    Verdict::Send { range, .. } => vec![buf[range].to_vec()],
                    Verdict::Fragmented { .. } => drain(&mut stacks[side]),
                    _ => Vec::new(),
                };
                let damaged = step & 7 == 4;
                if damaged && let (Some(packet), [at, with, ..]) = (sealed.first_mut(), piece) {
                    let at = usize::from(*at) % packet.len();
                    packet[at] ^= with;
                }
                for packet in sealed {
                    let mut data = packet.clone();
                    let received = stacks[1 - side].handle_packet(now, &mut data);
                    assert!(damaged || overtaken || is_in(&received), "{received:?}");
                    check(kind, 1 - side, &received, &data);
                    if is_in(&received) {
                        taken = Some((1 - side, packet));
                    }
                }
            }
            // Once more.
            5 => {
                if let Some((to, packet)) = &taken {
                    let received = stacks[*to].handle_packet(now, &mut packet.clone());
                    assert!(!is_in(&received));
                }
            }
            // An authentic packet from and to anywhere.
            6 => {
                let Some((&[a, b, c, d, net, host, fragment, sequence], payload)) = piece.split_first_chunk()
                else {
                    continue;
                };
                // Numbers ahead of the true side's, which come too late from now on.
                overtaken = true;
                for _ in 0..sequence / 8 {
                    let _ = seal(
                        &mut rogue,
                        now,
                        &udp([a, b, c, d].into(), [10, net, 0, host].into(), false, &[]),
                    );
                }
                let mut inner = udp([a, b, c, d].into(), [10, net, 0, host].into(), false, payload);
                // A later fragment, and a header checksum that is right for it.
                if fragment & 1 != 0 {
                    inner[7] = fragment >> 1;
                    let sum = u16::from_be_bytes([inner[10], inner[11]]);
                    let sum = sum.checked_sub(u16::from(fragment >> 1)).unwrap_or(sum);
                    inner[10..12].copy_from_slice(&sum.to_be_bytes());
                }
                if kind.mode != Mode::Tunnel {
                    inner[12..16].copy_from_slice(&GATEWAYS[1]);
                    inner[16..20].copy_from_slice(&GATEWAYS[0]);
                }
                if let Some(mut packet) = seal(&mut rogue, now, &inner) {
                    let received = stacks[0].handle_packet(now, &mut packet);
                    check(kind, 0, &received, &packet);
                }
                drain(&mut rogue);
            }
            _ => {
                now += Duration::from_millis(u64::from(size) * 50);
                stacks[side].handle_timeout(now);
            }
        }
        drain(&mut stacks[side]);
        drain(&mut stacks[1 - side]);
    }
});
