//! Stacks that own the wire: whole IP packets in every mode, ESP and AH, one around the other, cut and put together.

use core::net::IpAddr;
use core::time::Duration;

use ipsec::crypto::{Secret, rustcrypto};
use ipsec::esp::{OpenError, OuterHeader};
use ipsec::sa::{
    DfPolicy, Direction, Encapsulation, Fragments, Instant, InterfaceId, Mode, Outer, Policy, PolicyAction,
    PolicyId, ProtectSpec, Reassembled, Reassembly, ReassemblyLimits, Role, SaAlgorithms, SaKeys, SaParams,
    SecurityProtocol, TrafficSelector,
};
use ipsec::wire::ike::{EncrId, IntegId};
use ipsec::wire::ip::{Ipv4Header, Ipv6Header, internet_checksum, transport_checksum};
use ipsec::wire::{IpProtocol, IpView, Spi};
use ipsec::{DropReason, HEADROOM, Meta, Output, Received, Route, Stack, StackConfig, TAILROOM, Verdict};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const NOW: Instant = Instant::from_secs(1000);
const GATEWAYS: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];
const HOSTS: [[u8; 4]; 2] = [[10, 0, 0, 1], [10, 1, 0, 1]];

fn stack(config: StackConfig) -> Stack {
    Stack::new(config, rustcrypto::provider(), Box::new(ChaCha20Rng::seed_from_u64(5)), NOW)
}

fn whole() -> StackConfig {
    let mut config = StackConfig::default();
    config.outer = OuterHeader::Ip;
    config
}

fn ts(text: &str) -> Vec<TrafficSelector> {
    vec![text.parse().unwrap()]
}

/// What one pair of SAs is.
#[derive(Clone)]
struct Pair {
    number: u32,
    protocol: SecurityProtocol,
    mode: Mode,
    ends: [IpAddr; 2],
    nets: [Vec<TrafficSelector>; 2],
    policy: u32,
    resource: Option<u32>,
    encapsulation: Encapsulation,
}

impl Pair {
    fn new(protocol: SecurityProtocol, mode: Mode, nets: [&str; 2]) -> Self {
        Self {
            number: 0x1000,
            protocol,
            mode,
            ends: GATEWAYS.map(IpAddr::from),
            nets: nets.map(ts),
            policy: 1,
            resource: None,
            encapsulation: Encapsulation::None,
        }
    }

    fn params(&self, side: usize, direction: Direction) -> SaParams {
        let (algorithms, keys) = match self.protocol {
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
        let outer =
            Outer { local: self.ends[side], remote: self.ends[1 - side], encapsulation: self.encapsulation };
        let spi = Spi(self.number + sender as u32);
        let mut params = SaParams::new(spi, direction, Role::Initiator, algorithms, keys, outer)
            .with_protocol(self.protocol)
            .with_mode(self.mode)
            .with_selectors(self.nets[side].clone(), self.nets[1 - side].clone());
        params.policy = Some(PolicyId(self.policy));
        params.resource = self.resource;
        params.header.df = DfPolicy::Clear;
        params
    }

    fn install(&self, side: usize, stack: &mut Stack) {
        let outbound = self.params(side, Direction::Outbound);
        stack.add_manual(NOW, self.params(side, Direction::Inbound), &outbound).unwrap();
    }

    fn policy(&self, side: usize) -> Policy {
        let spec = ProtectSpec::new(self.protocol, self.mode, 0);
        let [local, remote] = [self.nets[side].clone(), self.nets[1 - side].clone()];
        Policy::new(PolicyId(self.policy), "manual", local, remote, PolicyAction::Protect(spec))
    }

    /// Two stacks with this pair of SAs and its policy.
    fn stacks(&self, config: fn() -> StackConfig) -> [Stack; 2] {
        [0, 1].map(|side| {
            let mut stack = stack(config());
            stack.add_policy(self.policy(side)).unwrap();
            self.install(side, &mut stack);
            stack
        })
    }
}

fn udp(src: [u8; 4], dst: [u8; 4], df: bool, payload: usize) -> Vec<u8> {
    let len = 8 + payload as u16;
    let header = Ipv4Header {
        tos: 0,
        id: 7,
        df,
        ttl: 61,
        protocol: IpProtocol::UDP,
        src: src.into(),
        dst: dst.into(),
    };
    let mut packet = header.emit(20 + len).to_vec();
    let [high, low] = len.to_be_bytes();
    packet.extend([0x10, 0, 0x20, 0, high, low, 0, 0]);
    packet.extend((0..payload).map(|at| at as u8));
    packet
}

fn with_room(packet: &[u8]) -> (Vec<u8>, core::ops::Range<usize>) {
    let mut buf = vec![0; HEADROOM + packet.len() + TAILROOM];
    let ip = HEADROOM..HEADROOM + packet.len();
    buf[ip.clone()].copy_from_slice(packet);
    (buf, ip)
}

fn seal(stack: &mut Stack, packet: &[u8]) -> Result<Vec<u8>, Verdict> {
    let (mut buf, ip) = with_room(packet);
    match stack.handle_ip(NOW, &mut buf, ip) {
        Verdict::Send { range, .. } => Ok(buf[range].to_vec()),
        other => Err(other),
    }
}

fn open(stack: &mut Stack, packet: &[u8]) -> Result<Vec<u8>, Received> {
    let mut packet = packet.to_vec();
    match stack.handle_packet(NOW, &mut packet) {
        Received::Inner { range, .. } => Ok(packet[range].to_vec()),
        other => Err(other),
    }
}

fn outputs(stack: &mut Stack) -> Vec<Output> {
    let mut outputs = Vec::new();
    loop {
        match stack.poll_output() {
            Output::Timeout(_) => return outputs,
            output => outputs.push(output),
        }
    }
}

fn upper(packet: &[u8]) -> IpProtocol {
    IpView::parse(packet).unwrap().upper_layer().protocol
}

#[test]
fn every_mode_of_esp_and_ah_gives_the_packet_back() {
    use SecurityProtocol::{Ah, Esp};
    let nets = ["10.0.0.0/24", "10.1.0.0/24"];
    let ends = ["192.0.2.1", "192.0.2.2"];
    let hosts = ["10.0.0.1", "10.1.0.1"];
    for (protocol, mode, nets, from, outside) in [
        (Esp, Mode::Tunnel, nets, HOSTS, GATEWAYS),
        (Esp, Mode::Transport, ends, GATEWAYS, GATEWAYS),
        (Esp, Mode::Beet, hosts, HOSTS, GATEWAYS),
        (Ah, Mode::Tunnel, nets, HOSTS, GATEWAYS),
        (Ah, Mode::Transport, ends, GATEWAYS, GATEWAYS),
    ] {
        let pair = Pair::new(protocol, mode, nets);
        let [mut a, mut b] = pair.stacks(whole);
        let own = if protocol == Esp { IpProtocol::ESP } else { IpProtocol::AH };
        for one in [0, 1] {
            let two = 1 - one;
            let (from_stack, to_stack) = if one == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
            let packet = udp(from[one], from[two], true, 100);
            let sealed = seal(from_stack, &packet).unwrap();
            let view = IpView::parse(&sealed).unwrap();
            assert_eq!((view.src(), view.dst()), (outside[one].into(), outside[two].into()));
            assert!(view.upper_layer().protocol == own || protocol == Ah, "{mode:?}");
            assert_eq!(open(to_stack, &sealed).unwrap(), packet, "{protocol:?} {mode:?}");
            let again = open(to_stack, &sealed).unwrap_err();
            match protocol {
                Esp => assert_eq!(again, Received::Dropped(DropReason::Open(OpenError::Replay))),
                Ah => assert_eq!(again, Received::Dropped(DropReason::OpenAh(ipsec::ah::OpenError::Replay))),
            }
            assert_eq!(to_stack.stats().dropped(&DropReason::Open(OpenError::Replay)), 1);
            // A clear packet between the same hosts is not taken.
            assert_eq!(open(to_stack, &packet), Err(Received::Dropped(DropReason::Clear)));
        }
        let info = a.children().next().unwrap();
        assert_eq!((info.mode, info.protocol, info.ike, info.sent.packets), (mode, protocol, None, 1));
    }
}

#[test]
fn what_leaves_its_selectors_is_refused_in_transport_mode_too() {
    let mut pair = Pair::new(SecurityProtocol::Esp, Mode::Transport, ["192.0.2.1", "192.0.2.2[udp/8192]"]);
    let [mut a, _] = pair.stacks(whole);
    // The receiver's SA is for another port.
    pair.nets[1] = ts("192.0.2.2[udp/8193]");
    let [_, mut b] = pair.stacks(whole);
    let sealed = seal(&mut a, &udp(GATEWAYS[0], GATEWAYS[1], true, 10)).unwrap();
    assert_eq!(open(&mut b, &sealed), Err(Received::Dropped(DropReason::Selectors)));
}

#[test]
fn without_ip_headers_transport_mode_hands_out_the_payload() {
    for (mode, nets, hosts) in [
        (Mode::Transport, ["192.0.2.1", "192.0.2.2"], GATEWAYS),
        (Mode::Beet, ["10.0.0.1", "10.1.0.1"], HOSTS),
    ] {
        let mut pair = Pair::new(SecurityProtocol::Esp, mode, nets);
        pair.encapsulation = Encapsulation::Udp { local_port: 4500, remote_port: 4500 };
        let [mut a, mut b] = pair.stacks(StackConfig::default);
        let packet = udp(hosts[0], hosts[1], true, 33);
        let (mut buf, ip) = with_room(&packet);
        let Verdict::Send { range, path, .. } = a.handle_ip(NOW, &mut buf, ip) else { panic!("not sealed") };
        let mut data = buf[range].to_vec();
        let turned = ipsec::ike::Path { local: path.remote, remote: path.local, ..path };
        let received = b.handle_datagram(NOW, Meta::new(turned), &mut data);
        let Received::Upper { range, protocol, src, dst, sa } = received else { panic!("{received:?}") };
        assert_eq!((protocol, src, dst), (IpProtocol::UDP, hosts[0].into(), hosts[1].into()));
        assert_eq!((&data[range], sa), (&packet[20..], Spi(0x1000)));
        assert_eq!(b.stats().opened.packets, 1);
    }
}

#[test]
fn a_payload_that_leaves_its_selectors_is_refused_too() {
    let mut pair = Pair::new(SecurityProtocol::Esp, Mode::Transport, ["192.0.2.1", "192.0.2.2[udp/8192]"]);
    pair.encapsulation = Encapsulation::Udp { local_port: 4500, remote_port: 4500 };
    let [mut a, _] = pair.stacks(StackConfig::default);
    // The receiver's SA is for another port.
    pair.nets[1] = ts("192.0.2.2[udp/8193]");
    let [_, mut b] = pair.stacks(StackConfig::default);
    let (mut buf, ip) = with_room(&udp(GATEWAYS[0], GATEWAYS[1], true, 33));
    let Verdict::Send { range, path, .. } = a.handle_ip(NOW, &mut buf, ip) else { panic!("not sealed") };
    let turned = ipsec::ike::Path { local: path.remote, remote: path.local, ..path };
    let received = b.handle_datagram(NOW, Meta::new(turned), &mut buf[range]);
    assert_eq!(received, Received::Dropped(DropReason::Selectors));
}

#[test]
fn payloads_of_others_do_not_travel_as_ours() {
    // Without an IP header of its own the receiver would take it for a packet between the gateways.
    let mut pair = Pair::new(SecurityProtocol::Esp, Mode::Transport, ["192.0.2.0/24", "192.0.2.0/24"]);
    pair.encapsulation = Encapsulation::Udp { local_port: 4500, remote_port: 4500 };
    let [mut a, _] = pair.stacks(StackConfig::default);
    for (src, dst) in [([192, 0, 2, 7], GATEWAYS[1]), (GATEWAYS[0], [192, 0, 2, 9])] {
        let refused = seal(&mut a, &udp(src, dst, true, 33)).unwrap_err();
        assert_eq!(refused, Verdict::Dropped(DropReason::Seal(ipsec::esp::SealError::Address)));
    }
    assert!(seal(&mut a, &udp(GATEWAYS[0], GATEWAYS[1], true, 33)).is_ok());
}

#[test]
fn congestion_is_counted_under_its_name_in_whole_packets_too() {
    for protocol in [SecurityProtocol::Esp, SecurityProtocol::Ah] {
        let pair = Pair::new(protocol, Mode::Tunnel, ["10.0.0.0/24", "10.1.0.0/24"]);
        let [mut a, mut b] = pair.stacks(whole);
        let mut sealed = seal(&mut a, &udp(HOSTS[0], HOSTS[1], true, 33)).unwrap();
        sealed[1] |= 3;
        sealed[10..12].fill(0);
        let checksum = internet_checksum(&[&sealed[..20]]);
        sealed[10..12].copy_from_slice(&checksum.to_be_bytes());
        open(&mut b, &sealed).unwrap_err();
        assert_eq!(b.stats().dropped(&DropReason::Congestion), 1, "{protocol:?}");
    }
}

#[test]
fn what_the_outer_policy_keeps_back_does_not_count_as_sent() {
    let [mut a, _] = bundle();
    assert!(a.remove_manual(Spi(0x2001)).is_some());
    let refused = seal(&mut a, &udp(HOSTS[0], HOSTS[1], true, 33));
    assert_eq!(refused, Err(Verdict::Dropped(DropReason::NoConnection)));
    assert_eq!(a.stats().sealed, ipsec::Volume::default());
}

#[test]
fn sas_keyed_by_hand_end_by_the_clock_too() {
    for config in [whole, StackConfig::default] {
        let pair = Pair::new(SecurityProtocol::Esp, Mode::Tunnel, ["10.0.0.0/24", "10.1.0.0/24"]);
        let [mut a, mut b] = [0, 1].map(|side| {
            let mut stack = stack(config());
            stack.add_policy(pair.policy(side)).unwrap();
            let [mut inbound, mut outbound] =
                [Direction::Inbound, Direction::Outbound].map(|way| pair.params(side, way));
            // The receiver's ends sooner.
            let life = Duration::from_secs(if side == 0 { 20 } else { 10 });
            inbound.lifetimes.hard.time = Some(life);
            outbound.lifetimes.hard.time = Some(life);
            stack.add_manual(NOW, inbound, &outbound).unwrap();
            stack
        });
        let mut pass = |after: u64| {
            let now = NOW + Duration::from_secs(after);
            let (mut buf, ip) = with_room(&udp(HOSTS[0], HOSTS[1], true, 33));
            let Verdict::Send { range, path, .. } = a.handle_ip(now, &mut buf, ip) else { return None };
            let turned = ipsec::ike::Path { local: path.remote, remote: path.local, ..path };
            Some(match config().outer {
                OuterHeader::Ip => b.handle_packet(now, &mut buf[range]),
                _ => b.handle_datagram(now, Meta::new(turned), &mut buf[range]),
            })
        };
        assert!(matches!(pass(9), Some(Received::Inner { .. })));
        assert_eq!(pass(10), Some(Received::Dropped(DropReason::Open(OpenError::Lifetime))));
        assert_eq!(pass(20), None);
        assert_eq!(a.stats().dropped(&DropReason::Seal(ipsec::esp::SealError::Lifetime)), 1);
        assert_eq!(b.stats().dropped(&DropReason::Open(OpenError::Lifetime)), 1);
    }
}

/// ESP in a tunnel between the hosts' networks, and AH in transport mode around it between the gateways.
fn bundle() -> [Stack; 2] {
    let esp = Pair::new(SecurityProtocol::Esp, Mode::Tunnel, ["10.0.0.0/24", "10.1.0.0/24"]);
    let mut ah = Pair::new(SecurityProtocol::Ah, Mode::Transport, ["192.0.2.1[esp]", "192.0.2.2[esp]"]);
    (ah.number, ah.policy) = (0x2000, 2);
    [0, 1].map(|side| {
        let mut stack = stack(whole());
        let mut outer = esp.policy(side);
        let PolicyAction::Protect(spec) = outer.action else { panic!("PROTECT") };
        outer.action = PolicyAction::Protect(spec.and_again());
        stack.add_policy(outer).unwrap();
        stack.add_policy(ah.policy(side)).unwrap();
        esp.install(side, &mut stack);
        ah.install(side, &mut stack);
        stack
    })
}

#[test]
fn ah_goes_around_esp_where_policy_asks_for_it() {
    let [mut a, mut b] = bundle();
    let packet = udp(HOSTS[0], HOSTS[1], true, 200);
    let sealed = seal(&mut a, &packet).unwrap();
    // The bare header says AH, and behind AH stands ESP.
    assert_eq!((sealed[9], sealed[20]), (51, 50));
    assert_eq!(open(&mut b, &sealed).unwrap(), packet);
    // ESP alone, though authentic, is not what policy asks for.
    let esp = Pair::new(SecurityProtocol::Esp, Mode::Tunnel, ["10.0.0.0/24", "10.1.0.0/24"]);
    let [mut alone, _] = esp.stacks(whole);
    let bare = seal(&mut alone, &packet).unwrap();
    assert_eq!(upper(&bare), IpProtocol::ESP);
    assert_eq!(open(&mut b, &bare), Err(Received::Dropped(DropReason::Clear)));
    // Without the outer SA nothing leaves.
    assert!(a.remove_manual(Spi(0x2001)).is_some());
    assert_eq!(seal(&mut a, &packet), Err(Verdict::Dropped(DropReason::NoConnection)));
}

#[test]
fn fragments_to_us_are_put_together_before_they_are_opened() {
    let pair = Pair::new(SecurityProtocol::Esp, Mode::Tunnel, ["10.0.0.0/24", "10.1.0.0/24"]);
    let [mut a, mut b] = pair.stacks(whole);
    let packet = udp(HOSTS[0], HOSTS[1], false, 1400);
    let sealed = seal(&mut a, &packet).unwrap();
    let mut fragments = Fragments::ipv4(&sealed, 576).unwrap();
    let mut cut = Vec::new();
    let mut out = [0; 576];
    while let Some(len) = fragments.write_next(&mut out).unwrap() {
        cut.push(out[..len].to_vec());
    }
    assert_eq!(cut.len(), 3);
    cut.reverse();
    for mut fragment in cut.clone() {
        assert_eq!(b.handle_packet(NOW, &mut fragment), Received::Fragment);
    }
    let delivered = outputs(&mut b);
    assert!(matches!(&delivered[..], [Output::Deliver(whole)] if *whole == packet), "{delivered:?}");
    // Overlapping ones end their datagram.
    let mut first = cut[2].clone();
    assert_eq!(b.handle_packet(NOW, &mut first), Received::Fragment);
    let mut overlapping = cut[1].clone();
    overlapping[7] -= 1;
    let checksum = {
        overlapping[10..12].fill(0);
        internet_checksum(&[&overlapping[..20]])
    };
    overlapping[10..12].copy_from_slice(&checksum.to_be_bytes());
    assert!(matches!(b.handle_packet(NOW, &mut overlapping), Received::Dropped(DropReason::Reassembly(_))));
    assert!(outputs(&mut b).is_empty());
}

/// An ICMP message of a router about a packet of ours.
fn too_big_about(packet: &[u8], mtu: u16) -> Vec<u8> {
    let quoted = &packet[..28.min(packet.len())];
    let [high, low] = mtu.to_be_bytes();
    let mut message = [&[3, 4, 0, 0, 0, 0, high, low], quoted].concat();
    let checksum = internet_checksum(&[&message]).to_be_bytes();
    message[2..4].copy_from_slice(&checksum);
    let header = Ipv4Header {
        tos: 0,
        id: 1,
        df: false,
        ttl: 60,
        protocol: IpProtocol::ICMP,
        src: [203, 0, 113, 1].into(),
        dst: GATEWAYS[0].into(),
    };
    [&header.emit(20 + message.len() as u16)[..], &message].concat()
}

#[test]
fn what_a_router_says_about_our_packets_reaches_their_senders() {
    let pair = Pair::new(SecurityProtocol::Esp, Mode::Tunnel, ["10.0.0.0/24", "10.1.0.0/24"]);
    let [mut a, mut b] = pair.stacks(whole);
    let sealed = seal(&mut a, &udp(HOSTS[0], HOSTS[1], true, 1400)).unwrap();
    // Somebody who does not know the SPI changes nothing.
    let mut wrong = sealed.clone();
    wrong[23] ^= 1;
    assert!(matches!(a.handle_packet(NOW, &mut too_big_about(&wrong, 600)), Received::Dropped(_)));
    let received = a.handle_packet(NOW, &mut too_big_about(&sealed, 1000));
    let Received::PathMtu { sa, inner } = received else { panic!("{received:?}") };
    assert_eq!((sa, a.inner_mtu(NOW, sa)), (Spi(0x1001), Some(inner)));

    // As long as that goes, and fills the path exactly; one more does not.
    let fits = udp(HOSTS[0], HOSTS[1], true, inner - 28);
    let longest = seal(&mut a, &fits).unwrap();
    assert!(longest.len() <= 1000 && longest.len() + 4 > 1000, "{}", longest.len());
    assert_eq!(open(&mut b, &longest).unwrap(), fits);
    let long = udp(HOSTS[0], HOSTS[1], true, inner - 27);
    assert_eq!(seal(&mut a, &long), Err(Verdict::Dropped(DropReason::TooBig)));
    let told = outputs(&mut a);
    let [Output::Deliver(message)] = &told[..] else { panic!("{told:?}") };
    let view = IpView::parse(message).unwrap();
    assert_eq!((view.src(), view.dst(), view.icmp()), (HOSTS[1].into(), HOSTS[0].into(), Some((3, 4))));
    assert_eq!(message[26..28], (inner as u16).to_be_bytes());
    assert_eq!(a.stats().dropped(&DropReason::TooBig), 1);

    // What may be cut is cut before it is sealed, and the receiver's hosts put it together.
    let cut = udp(HOSTS[0], HOSTS[1], false, 2500);
    let (mut buf, ip) = with_room(&cut);
    assert_eq!(a.handle_ip(NOW, &mut buf, ip), Verdict::Fragmented { packets: 3 });
    let mut host = Reassembly::new(ReassemblyLimits::default());
    let mut arrived = None;
    for output in outputs(&mut a) {
        let Output::Transmit { data, .. } = output else { panic!("{output:?}") };
        assert!(data.len() <= 1000);
        let inner = open(&mut b, &data).unwrap();
        if let Reassembled::Complete(whole) = host.insert(NOW, &inner).unwrap() {
            arrived = Some(whole);
        }
    }
    assert_eq!(arrived, Some(cut));

    // Ten minutes later the path may have become wider (RFC 1191 §6.3).
    let later = Instant::from_secs(1000 + 601);
    assert!(a.inner_mtu(later, sa).unwrap() > 60_000);
}

#[test]
fn routers_are_not_believed_where_that_is_not_wanted() {
    let pair = Pair::new(SecurityProtocol::Esp, Mode::Tunnel, ["10.0.0.0/24", "10.1.0.0/24"]);
    let [mut a, _] = pair.stacks(|| {
        let mut config = whole();
        config.heed_too_big = false;
        config
    });
    let sealed = seal(&mut a, &udp(HOSTS[0], HOSTS[1], true, 1400)).unwrap();
    let before = a.inner_mtu(NOW, Spi(0x1001));
    let received = a.handle_packet(NOW, &mut too_big_about(&sealed, 1000));
    assert_eq!(received, Received::Dropped(DropReason::Clear));
    assert_eq!(a.inner_mtu(NOW, Spi(0x1001)), before);
}

#[test]
fn ipv6_packets_up_to_1280_octets_always_go() {
    let mut pair = Pair::new(SecurityProtocol::Esp, Mode::Tunnel, ["2001:db8:1::/64", "2001:db8:2::/64"]);
    pair.number = 0x3000;
    let mut config = whole();
    config.link_mtu = 1280;
    let mut a = stack(config);
    a.add_policy(pair.policy(0)).unwrap();
    pair.install(0, &mut a);
    let packet = |len: usize| {
        let header = Ipv6Header {
            traffic_class: 0,
            flow_label: 0,
            next_header: IpProtocol(253),
            hop_limit: 64,
            src: "2001:db8:1::1".parse().unwrap(),
            dst: "2001:db8:2::1".parse().unwrap(),
        };
        [&header.emit((len - 40) as u16)[..], &vec![0; len - 40]].concat()
    };
    assert!(seal(&mut a, &packet(1280)).unwrap().len() > 1280);
    assert_eq!(seal(&mut a, &packet(1281)), Err(Verdict::Dropped(DropReason::TooBig)));
    let told = outputs(&mut a);
    let [Output::Deliver(message)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((message[40], &message[44..48]), (2, &1280u32.to_be_bytes()[..]));
}

fn syn(mss: u16) -> Vec<u8> {
    let header = Ipv4Header {
        tos: 0,
        id: 7,
        df: true,
        ttl: 61,
        protocol: IpProtocol::TCP,
        src: HOSTS[0].into(),
        dst: HOSTS[1].into(),
    };
    let [high, low] = mss.to_be_bytes();
    let mut segment =
        vec![0, 1, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, high, low];
    let checksum = transport_checksum(HOSTS[0].into(), HOSTS[1].into(), IpProtocol::TCP, &segment).unwrap();
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    [&header.emit(44)[..], &segment].concat()
}

#[test]
fn a_connection_announces_no_more_than_fits() {
    let pair = Pair::new(SecurityProtocol::Esp, Mode::Tunnel, ["10.0.0.0/24", "10.1.0.0/24"]);
    let [mut a, mut b] = pair.stacks(|| {
        let mut config = whole();
        (config.clamp_mss, config.link_mtu) = (true, 1500);
        config
    });
    let inner = a.inner_mtu(NOW, Spi(0x1001)).unwrap();
    for (mss, expected) in [(1460, inner as u16 - 40), (1000, 1000)] {
        let sealed = seal(&mut a, &syn(mss)).unwrap();
        assert_eq!(open(&mut b, &sealed).unwrap(), syn(expected));
    }
}

#[test]
fn each_resource_has_its_own_sa() {
    let mut pair = Pair::new(SecurityProtocol::Esp, Mode::Tunnel, ["10.0.0.0/24", "10.1.0.0/24"]);
    let [mut a, mut b] = pair.stacks(whole);
    for resource in [0, 1] {
        (pair.number, pair.resource) = (0x2000 + 0x1000 * resource, Some(resource));
        pair.install(0, &mut a);
        pair.install(1, &mut b);
    }
    let packet = udp(HOSTS[0], HOSTS[1], true, 50);
    for (resource, expected) in [(None, 0x1000), (Some(0), 0x2000), (Some(1), 0x3000), (Some(7), 0x1000)] {
        let (mut buf, ip) = with_room(&packet);
        let route = Route { resource, ..Route::default() };
        let Verdict::Send { range, .. } = a.handle_ip_on(NOW, &mut buf, ip, route) else { panic!("sealed") };
        let mut sealed = buf[range].to_vec();
        let received = b.handle_packet(NOW, &mut sealed);
        assert!(matches!(received, Received::Inner { sa, .. } if sa == Spi(expected)), "{received:?}");
    }
}

#[test]
fn the_interface_that_a_packet_is_routed_to_decides() {
    let pair = Pair::new(SecurityProtocol::Esp, Mode::Tunnel, ["0.0.0.0/0", "0.0.0.0/0"]);
    let mut stacks = [0, 1].map(|side| {
        let mut stack = stack(whole());
        for number in [1, 2] {
            let mut pair = pair.clone();
            (pair.number, pair.policy) = (0x1000 * number, number);
            stack.add_policy(pair.policy(side).with_interface(InterfaceId(number))).unwrap();
            pair.install(side, &mut stack);
        }
        stack
    });
    let packet = udp(HOSTS[0], HOSTS[1], true, 50);
    for (number, expected) in [(1, 0x1000), (2, 0x2000)] {
        let (mut buf, ip) = with_room(&packet);
        let route = Route { interface: Some(InterfaceId(number)), ..Route::default() };
        let Verdict::Send { range, .. } = stacks[0].handle_ip_on(NOW, &mut buf, ip, route) else {
            panic!("sealed")
        };
        let mut sealed = buf[range].to_vec();
        let received = stacks[1].handle_packet(NOW, &mut sealed);
        let Received::Inner { sa, .. } = received else { panic!("{received:?}") };
        assert_eq!(sa, Spi(expected));
        let info = stacks[1].children().find(|child| child.inbound == sa).unwrap();
        assert_eq!(info.interface, Some(InterfaceId(number)));
    }
    // A packet of no interface, and one of another, meet no policy.
    assert_eq!(seal(&mut stacks[0], &packet), Err(Verdict::Dropped(DropReason::NoPolicy)));
    let (mut buf, ip) = with_room(&packet);
    let route = Route { interface: Some(InterfaceId(3)), ..Route::default() };
    let verdict = stacks[0].handle_ip_on(NOW, &mut buf, ip, route);
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoPolicy));
}

#[test]
fn ah_is_not_taken_where_headers_are_not_written() {
    let pair = Pair::new(SecurityProtocol::Ah, Mode::Transport, ["192.0.2.1", "192.0.2.2"]);
    let mut stack = stack(StackConfig::default());
    let outbound = pair.params(0, Direction::Outbound);
    let refused = stack.add_manual(NOW, pair.params(0, Direction::Inbound), &outbound);
    assert_eq!(refused, Err(ipsec::InstallError::NoHeaders));
    assert!(refused.unwrap_err().to_string().ends_with("StackConfig::outer must be OuterHeader::Ip"));
    assert_eq!(stack.add_policy(pair.policy(0)), Err(ipsec::PolicyRefused::Unsupported));
    assert_eq!(stack.children().count(), 0);
}

#[test]
fn no_octets_from_the_outside_make_a_stack_panic() {
    let [mut a, mut b] = bundle();
    let sealed = seal(&mut a, &udp(HOSTS[0], HOSTS[1], true, 60)).unwrap();
    for len in 0..sealed.len() {
        let _ = b.handle_packet(NOW, &mut sealed[..len].to_vec());
    }
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut other = sealed.clone();
            other[at] ^= 1 << bit;
            let received = b.handle_packet(NOW, &mut other);
            // TTL, TOS and flags may change on the way; nothing else opens.
            assert!(
                !matches!(received, Received::Inner { .. }) || (1..12).contains(&at),
                "{at}.{bit}: {received:?}"
            );
        }
    }
}
