//! What a peer, or anybody, can make an endpoint keep: floods stay within what is configured. Each test prints its
//! figures (`cargo test -p testkit --test floods -- --nocapture`).

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ikev2_core::crypt::SkProtection;
use ikev2_core::{
    ConnectionId, CookiePolicy, Endpoint, EndpointConfig, Event, Input, KeyLogLine, Output, Path, Rate,
};
use ipsec_sa::{Instant, Role};
use ipsec_wire::ike::{ExchangeType, Flags, MessageBuilder, PayloadType};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use testkit::ike_keys::IkeKeys;
use testkit::pair::{Host, Setup};

fn address(side: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::from([192, 0, 2, if side == 0 { 1 } else { 2 }]), 500)
}

const START: Instant = Instant::from_secs(1);

/// Both sides of a pair, with insecure algorithms, changed as wanted.
fn endpoints(change: impl Fn(&mut EndpointConfig)) -> [Endpoint; 2] {
    let setup = Setup::psk(1, "aes128gcm16-prfsha256-x25519", "aes128gcm16").insecure();
    let mut number = 0;
    [setup.left, setup.right].map(|host| {
        let Host { mut endpoint, provider, mut connection, .. } = host;
        endpoint.trace = false;
        change(&mut endpoint);
        connection.remote = (number == 0).then(|| address(1).ip());
        // What is counted here is what is kept, not what comes in a second.
        connection.create_child_rate = Rate { per_second: u32::MAX, burst: u32::MAX };
        number += 1;
        let rng = Box::new(ChaCha8Rng::seed_from_u64(number));
        let mut endpoint = Endpoint::new(endpoint, provider, rng, START);
        endpoint.add_connection(connection).expect("the provider has it");
        endpoint
    })
}

/// What an endpoint wants sent, and its key log.
fn drain(endpoint: &mut Endpoint) -> (Vec<Vec<u8>>, Vec<String>) {
    let (mut sent, mut keys) = (Vec::new(), Vec::new());
    loop {
        match endpoint.poll_output() {
            Output::Transmit { data, .. } => sent.push(data),
            Output::Event(_, Event::Keys(KeyLogLine::Ikev2(line))) => keys.push(line),
            Output::Event(..) => {}
            Output::Timeout(_) => return (sent, keys),
        }
    }
}

fn hand_in(endpoint: &mut Endpoint, side: usize, from: SocketAddr, data: &mut [u8]) {
    let path = Path::udp(address(side), from);
    let _ = endpoint.handle_input(Input::Datagram { now: START, path, ecn: 0, data });
}

/// Takes messages from one to the other until both are silent. The second side's key log.
fn talk(ends: &mut [Endpoint; 2]) -> Vec<String> {
    let mut log = Vec::new();
    loop {
        let mut silent = true;
        for side in [0, 1] {
            let (sent, keys) = drain(&mut ends[side]);
            silent &= sent.is_empty();
            if side == 1 {
                log.extend(keys);
            }
            for mut data in sent {
                hand_in(&mut ends[1 - side], 1 - side, address(side), &mut data);
            }
        }
        if silent {
            return log;
        }
    }
}

#[test]
fn spoofed_set_ups_take_no_more_than_the_half_open_ones_that_are_allowed() {
    const FLOOD: u32 = 100_000;
    let [mut initiator, mut victim] = endpoints(|config| config.cookie = CookiePolicy::Never);
    initiator.connect(START, ConnectionId(0), Some(0), None).expect("it starts");
    let request = drain(&mut initiator).0.remove(0);
    let allowed = EndpointConfig::default().max_half_open;
    let before = tally::live();
    let (mut answered, mut longest) = (0, 0);
    for number in 0..FLOOD {
        let mut data = request.clone();
        data[..4].copy_from_slice(&number.to_be_bytes());
        let [_, a, b, c] = number.to_be_bytes();
        hand_in(&mut victim, 1, SocketAddr::from(([10, a, b, c], 500)), &mut data);
        for sent in drain(&mut victim).0 {
            (answered, longest) = (answered + 1, longest.max(sent.len()));
        }
    }
    let kept = (tally::live() - before).cast_unsigned();
    let each = kept / allowed;
    let messages = request.len() + longest;
    println!(
        "{FLOOD} spoofed IKE_SA_INIT: {answered} answered, {kept} octets kept: {each} for each of {allowed} half-open \
         IKE SAs, {messages} of them its two messages"
    );
    assert_eq!(answered, allowed);
    assert!(each - messages <= 1024, "{each}");
    let _ = victim.handle_input(Input::Timeout(START + Duration::from_secs(31)));
    let _ = drain(&mut victim);
    assert!(tally::live() - before < 64 * 1024, "{} octets stay", tally::live() - before);
}

#[test]
fn spoofed_set_ups_take_nothing_where_cookies_are_asked_for() {
    let [mut initiator, mut victim] = endpoints(|config| {
        config.cookie = CookiePolicy::Always;
        config.stateless_replies_per_second = u32::MAX;
    });
    initiator.connect(START, ConnectionId(0), Some(0), None).expect("it starts");
    let request = drain(&mut initiator).0.remove(0);
    let flood = |victim: &mut Endpoint, number: u32| {
        let mut data = request.clone();
        data[..4].copy_from_slice(&number.to_be_bytes());
        hand_in(victim, 1, SocketAddr::from(([10, 9, 8, 7], 500)), &mut data);
        drain(victim).0.into_iter().map(|sent| sent.len()).max()
    };
    let _ = flood(&mut victim, 0);
    let before = tally::live();
    let longest = (1..20_000).filter_map(|number| flood(&mut victim, number)).max();
    // What is printed is kept as well, by the test runner.
    let kept = tally::live() - before;
    println!("cookies: {kept} octets kept, {longest:?} octets for {}", request.len());
    assert_eq!(kept, 0);
    assert!(longest.is_some_and(|longest| longest < request.len()), "{longest:?}");
}

/// The peer's end of an IKE SA, from the victim's key log.
struct Forger {
    protection: SkProtection,
    keys: IkeKeys,
    rng: ChaCha8Rng,
}

impl Forger {
    fn new(line: &str) -> Self {
        let keys = IkeKeys::read(line).expect("a key log line");
        let protection = keys.protection(&testkit::insecure::provider(), Role::Initiator);
        let protection = protection.expect("keys of the right length");
        Self { protection, keys, rng: ChaCha8Rng::seed_from_u64(9) }
    }

    fn fragment(&mut self, id: u32, response: bool, place: (u16, u16), octets: &[u8]) -> Vec<u8> {
        let flags = Flags::INITIATOR.0 | if response { Flags::RESPONSE.0 } else { 0 };
        let exchange = ExchangeType::INFORMATIONAL;
        let builder = MessageBuilder::new(self.keys.spi_i, self.keys.spi_r, exchange, Flags(flags), id);
        let first = if place.0 == 1 { PayloadType::VENDOR } else { PayloadType::NONE };
        self.protection.seal_fragment(builder, first, place, octets, &mut self.rng).expect("it is sealed")
    }
}

#[test]
fn authentic_fragments_that_never_end_take_no_more_than_they_may() {
    let mut ends = endpoints(|config| config.key_log = true);
    ends[0].connect(START, ConnectionId(0), Some(0), None).expect("it starts");
    let log = talk(&mut ends);
    let mut forger = Forger::new(log.first().expect("a key log line"));
    let [_, victim] = &mut ends;
    assert_eq!(victim.ike_sas().count(), 1);
    let mut dice = ChaCha8Rng::seed_from_u64(3);
    let (before, mut most) = (tally::live(), 0);
    for round in 0..20_000 {
        // Ids in and out of the window, totals that grow, one number always missing.
        let id = 2 + dice.next_u32() % 6;
        let total = 2 + u16::try_from(dice.next_u32() % 300).unwrap_or(2);
        let number = 1 + u16::try_from(dice.next_u32() % 60_000).unwrap_or(1) % (total - 1);
        let mut message = forger.fragment(id, round % 7 == 0, (number, total), &[0; 1200]);
        hand_in(victim, 1, address(0), &mut message);
        assert!(drain(victim).0.is_empty(), "nothing was whole");
        drop(message);
        most = most.max(tally::live() - before);
    }
    println!("20000 authentic fragments: at most {most} octets kept");
    assert!(most > 1200 && most < 3 * 65_536, "{most}");
    assert_eq!(victim.ike_sas().count(), 1);
}

#[test]
fn children_made_in_a_flood_take_no_more_than_as_many_as_are_allowed() {
    let mut ends = endpoints(|_| ());
    ends[0].connect(START, ConnectionId(0), Some(0), None).expect("it starts");
    talk(&mut ends);
    let ike = ends[0].ike_sas().next().expect("an IKE SA").handle;
    let allowed = 64;
    let mut figures = Vec::new();
    let before = tally::live();
    for _ in 0..4 {
        for _ in 0..100 {
            let _ = ends[0].create_child(START, ike, 0, None);
            talk(&mut ends);
        }
        let children: usize = ends[1].ike_sas().map(|info| info.children.len()).sum();
        figures.push((children, tally::live() - before));
    }
    println!(
        "Child SAs of one peer and octets kept on both sides, after 100, 200, 300, 400 requests: {figures:?}"
    );
    assert!(figures.iter().all(|(children, _)| *children <= allowed), "{figures:?}");
    let (first, last) = (figures[0].1, figures[3].1);
    assert!(last < allowed as isize * 2 * 4096 && last - first < 4096, "{figures:?}");
}
