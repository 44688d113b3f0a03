//! Finding SAs and policies, and following sequence numbers, allocates nothing: an allocator that counts says so.

use core::net::IpAddr;

use ipsec_sa::{
    Direction, Flow, Instant, Lifetime, LifetimeState, Lifetimes, Meter, MulticastKey, Policy, PolicyAction,
    PolicyId, ProtectSpec, ReplayWindow, SaDatabase, SecurityPolicyDatabase, SequenceCounter,
    TrafficSelector,
};
use ipsec_wire::Spi;
use ipsec_wire::ike::SnId;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

#[test]
fn finding_an_sa_allocates_nothing() {
    let (mut sad, mut rng) = (SaDatabase::new(200), ChaCha8Rng::seed_from_u64(1));
    let own: Vec<Spi> = (0..100)
        .map(|number| {
            let spi = sad.reserve(&mut rng).unwrap();
            sad.insert(spi, number).unwrap();
            spi
        })
        .collect();
    for number in 0..50 {
        sad.insert_foreign(Spi(0x7000_0000 + number * 3), number).unwrap();
    }
    let (group, sender) = (IpAddr::from([224, 0, 0, 9]), IpAddr::from([10, 0, 0, 1]));
    sad.insert_multicast(MulticastKey { spi: Spi(0x5000), dst: group, src: Some(sender) }, 7).unwrap();
    let count = tally::calls(|| {
        for spi in &own {
            assert!(sad.lookup(*spi).is_some() && sad.lookup_mut(*spi).is_some());
            assert!(sad.lookup(Spi(spi.0 ^ 0x8000_0000)).is_none());
        }
        for number in 0..50 {
            assert!(sad.lookup(Spi(0x7000_0000 + number * 3)).is_some());
            assert!(sad.lookup_mut(Spi(0x7000_0001 + number * 3)).is_none());
        }
        assert!(sad.lookup_packet(Spi(0x5000), group, sender).is_some());
        assert!(sad.lookup_packet_mut(Spi(0x5000), sender, group).is_none());
        // Out and in again: places that are there are used again.
        let sa = sad.remove(Spi(0x7000_0000)).unwrap();
        sad.insert_foreign(Spi(0x7000_0000), sa).unwrap();
    });
    // The list of free places may have grown once.
    assert!(count <= 1, "{count}");
}

fn policies(count: u32) -> SecurityPolicyDatabase {
    let mut spd = SecurityPolicyDatabase::new();
    for number in 0..count {
        let remote = TrafficSelector::prefix([172, 16, number as u8, 0].into(), 24).unwrap();
        let action = PolicyAction::Protect(ProtectSpec::tunnel(number));
        spd.insert(Policy::new(PolicyId(number), "", vec![TrafficSelector::any_v4()], vec![remote], action))
            .unwrap();
    }
    spd
}

fn flow(number: u32, port: u16) -> Flow {
    Flow {
        src: [10, 0, 0, 1].into(),
        dst: [172, 16, number as u8, 9].into(),
        protocol: 17,
        src_port: Some(port),
        dst_port: Some(53),
    }
}

#[test]
fn deciding_about_a_packet_allocates_nothing() {
    for (count, compiled) in [(5, false), (200, false), (200, true)] {
        let mut spd = policies(count);
        if compiled {
            spd.compile();
        }
        // The cache is made by the first decision.
        assert!(spd.lookup(Direction::Outbound, &flow(0, 0)).is_some());
        let seen = tally::calls(|| {
            // Fewer new flows than scans after which policies are compiled.
            for number in 0..50 {
                let expected = (number < count).then_some(PolicyId(number));
                for _ in 0..3 {
                    // Searched or scanned once, remembered twice.
                    let found = spd.lookup(Direction::Outbound, &flow(number, 1)).map(|policy| policy.id);
                    assert_eq!(found, expected);
                }
                let turned = Flow { src: flow(number, 1).dst, dst: flow(number, 1).src, ..flow(number, 1) };
                assert_eq!(spd.inbound(&turned).map(|policy| policy.id), expected);
                assert_eq!(spd.outbound(&flow(number, 2)).map(|policy| policy.id), expected);
            }
        });
        assert_eq!(seen, 0, "{count} {compiled}");
    }
}

#[test]
fn following_numbers_and_lifetimes_allocates_nothing() {
    let hard = Lifetime { packets: Some(1000), ..Lifetime::default() };
    let lifetimes = Lifetimes { soft: Lifetime::default(), hard };
    for size in [0, 64, 1024, 65536] {
        let mut window = ReplayWindow::new(size);
        let mut counter = SequenceCounter::new(SnId::SEQUENTIAL_64, 0);
        let (mut meter, mut state) = (Meter::new(&hard), LifetimeState::new(lifetimes, Instant::ZERO));
        let count = tally::calls(|| {
            for _ in 0..300 {
                let number = counter.reserve().unwrap().value();
                let inferred = window.infer(number as u32);
                assert!(window.check(inferred).is_ok() && window.accept(inferred).is_ok());
                assert_eq!(window.accept(inferred).is_err(), size != 0);
                meter.check(100).unwrap();
                meter.count(100);
                assert_eq!(state.poll(Instant::ZERO, &meter), None);
            }
            // Over the whole ring at once.
            window.accept(1 << 40).unwrap();
        });
        assert_eq!(count, 0, "{size}");
    }
}
