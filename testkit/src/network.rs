//! A network between addresses that loses, delays, doubles and reorders datagrams, all of it out of one seed.

use alloc::collections::BTreeMap;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ipsec_sa::Instant;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What the way from one address to another does to datagrams. Chances are in thousandths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Least time on the way.
    pub latency: Duration,
    /// Up to this much is added at random. More than the time between two datagrams reorders them.
    pub jitter: Duration,
    /// Chance of being lost.
    pub loss: u16,
    /// Chance of arriving twice.
    pub duplication: u16,
    /// Chance of being held up for [`Link::held_up`], so that later datagrams overtake.
    pub reordering: u16,
    /// How long a datagram is held up.
    pub held_up: Duration,
}

impl Link {
    /// Ten milliseconds and no mishaps.
    pub const GOOD: Self = Self {
        latency: Duration::from_millis(10),
        jitter: Duration::ZERO,
        loss: 0,
        duplication: 0,
        reordering: 0,
        held_up: Duration::from_millis(50),
    };

    /// Every mishap, often: a fifth lost, a tenth doubled, a fifth held up.
    pub const AWFUL: Self = Self {
        latency: Duration::from_millis(10),
        jitter: Duration::from_millis(40),
        loss: 200,
        duplication: 100,
        reordering: 200,
        held_up: Duration::from_millis(400),
    };

    /// The same with another chance of loss, in thousandths.
    #[must_use]
    pub const fn with_loss(mut self, thousandths: u16) -> Self {
        self.loss = thousandths;
        self
    }
}

/// A UDP datagram on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// Source.
    pub from: SocketAddr,
    /// Destination.
    pub to: SocketAddr,
    /// ECN field of the IP header (0..=3).
    pub ecn: u8,
    /// UDP payload.
    pub data: Vec<u8>,
}

/// What a test does to one datagram, before chance has its turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Goes its way.
    Pass,
    /// Is lost.
    Drop,
    /// Arrives twice.
    Twice,
    /// Arrives so much later.
    Late(Duration),
    /// Arrives with other octets.
    Changed(Vec<u8>),
}

/// What became of the datagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Handed in.
    pub sent: u64,
    /// Lost, on purpose or by chance.
    pub lost: u64,
    /// Copies made.
    pub doubled: u64,
    /// Held up.
    pub held_up: u64,
    /// Refused by a NAT: nobody inside has opened the port.
    pub unsolicited: u64,
    /// Delivered, copies included.
    pub delivered: u64,
}

/// A port-translating NAT: each inside address and port gets an outside port of its own on first use.
#[derive(Clone, Debug)]
struct Nat {
    outside: IpAddr,
    next_port: u16,
    /// How long a mapping lasts that nothing goes through.
    patience: Option<Duration>,
    /// Inside address and port to outside port, and when something last went out through it.
    mappings: BTreeMap<SocketAddr, (u16, Instant)>,
}

type Interceptor = Box<dyn FnMut(&Datagram) -> Fate + Send>;

/// The network. The same seed and the same calls give the same deliveries.
pub struct Network {
    rng: ChaCha8Rng,
    default: Link,
    links: BTreeMap<(IpAddr, IpAddr), Link>,
    nats: Vec<Nat>,
    /// Which of them an address is behind.
    behind: BTreeMap<IpAddr, usize>,
    interceptor: Option<Interceptor>,
    /// By arrival, then by the order of sending.
    queue: BTreeMap<(Instant, u64), Datagram>,
    counter: u64,
    stats: Stats,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("on_the_way", &self.queue.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl Network {
    /// A network in which every way is `default`.
    #[must_use]
    pub fn new(seed: u64, default: Link) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            default,
            links: BTreeMap::new(),
            nats: Vec::new(),
            behind: BTreeMap::new(),
            interceptor: None,
            queue: BTreeMap::new(),
            counter: 0,
            stats: Stats::default(),
        }
    }

    /// Changes every way that has no link of its own, for datagrams sent from now on.
    pub fn set_default(&mut self, link: Link) {
        self.default = link;
    }

    /// Gives the way from one address to another a link of its own; the way back keeps its own.
    pub fn set_link(&mut self, from: IpAddr, to: IpAddr, link: Link) {
        self.links.insert((from, to), link);
    }

    /// Puts a NAT in front of `inside`: its datagrams come from `outside` and ports from 10000 on, and only ports it
    /// has opened lead back in. Addresses with the same `outside` are behind the same NAT.
    pub fn put_nat(&mut self, inside: IpAddr, outside: IpAddr) {
        let place = self.nats.iter().position(|nat| nat.outside == outside).unwrap_or_else(|| {
            self.nats.push(Nat { outside, next_port: 10_000, patience: None, mappings: BTreeMap::new() });
            self.nats.len() - 1
        });
        self.behind.insert(inside, place);
    }

    /// Has the NAT in front of `inside` forget each mapping that nothing goes out through for so long.
    pub fn nat_timeout(&mut self, inside: IpAddr, patience: Duration) {
        if let Some(nat) = self.nat_of(inside) {
            nat.patience = Some(patience);
        }
    }

    fn nat_of(&mut self, inside: IpAddr) -> Option<&mut Nat> {
        self.nats.get_mut(*self.behind.get(&inside)?)
    }

    /// Has the NAT in front of `inside` forget its mappings, as after a restart: the next datagrams come from new
    /// ports, and from `outside` where that has changed.
    pub fn rebind_nat(&mut self, inside: IpAddr, outside: IpAddr) {
        if let Some(nat) = self.nat_of(inside) {
            nat.outside = outside;
            nat.mappings.clear();
        }
    }

    /// Has `interceptor` decide on each datagram, as its sender wrote it, before chance does.
    pub fn intercept(&mut self, interceptor: impl FnMut(&Datagram) -> Fate + Send + 'static) {
        self.interceptor = Some(Box::new(interceptor));
    }

    /// Leaves all to chance again.
    pub fn stop_intercepting(&mut self) {
        self.interceptor = None;
    }

    /// Takes a datagram.
    pub fn send(&mut self, now: Instant, mut datagram: Datagram) {
        self.stats.sent += 1;
        let fate = self.interceptor.as_mut().map_or(Fate::Pass, |decide| decide(&datagram));
        let link = self.links.get(&(datagram.from.ip(), datagram.to.ip())).copied().unwrap_or(self.default);
        // Chance is asked the same number of times whatever it says, so that one seed stays comparable.
        let lost = self.chance(link.loss);
        let mut twice = self.chance(link.duplication);
        let held_up = self.chance(link.reordering);
        let (jitter, copy_jitter) = (self.up_to(link.jitter), self.up_to(link.jitter));
        let mut late = Duration::ZERO;
        match fate {
            Fate::Pass => {}
            Fate::Drop => {
                self.stats.lost += 1;
                return;
            }
            Fate::Twice => twice = true,
            Fate::Late(by) => late = by,
            Fate::Changed(data) => datagram.data = data,
        }
        if lost {
            self.stats.lost += 1;
            return;
        }
        let Some(datagram) = self.translate(now, datagram) else {
            self.stats.unsolicited += 1;
            return;
        };
        if held_up {
            self.stats.held_up += 1;
            late += link.held_up;
        }
        if twice {
            self.stats.doubled += 1;
            self.enqueue(now + link.latency + copy_jitter, datagram.clone());
        }
        self.enqueue(now + link.latency + jitter + late, datagram);
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out the next datagram that has arrived by `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<Datagram> {
        let entry = self.queue.first_entry().filter(|entry| entry.key().0 <= now)?;
        self.stats.delivered += 1;
        Some(entry.remove())
    }

    /// How many datagrams are on their way.
    #[must_use]
    pub fn on_the_way(&self) -> usize {
        self.queue.len()
    }

    /// What became of the datagrams so far.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    fn enqueue(&mut self, at: Instant, datagram: Datagram) {
        self.counter += 1;
        self.queue.insert((at, self.counter), datagram);
    }

    /// Out through the sender's NAT, in through the receiver's; `None` where no port is open.
    fn translate(&mut self, now: Instant, mut datagram: Datagram) -> Option<Datagram> {
        for nat in &mut self.nats {
            if let Some(patience) = nat.patience {
                nat.mappings.retain(|_, (_, used)| now.saturating_since(*used) <= patience);
            }
        }
        if let Some(nat) = self.nat_of(datagram.from.ip()) {
            let (port, used) = nat.mappings.entry(datagram.from).or_insert_with(|| {
                // After the last port the first one again, which nobody has kept that long.
                nat.next_port = nat.next_port.checked_add(1).unwrap_or(10_001);
                (nat.next_port, now)
            });
            *used = now;
            datagram.from = SocketAddr::new(nat.outside, *port);
        }
        if let Some(nat) = self.nats.iter().find(|nat| nat.outside == datagram.to.ip()) {
            let inside = nat.mappings.iter().find(|(_, (port, _))| *port == datagram.to.port());
            datagram.to = *inside?.0;
        } else if self.behind.contains_key(&datagram.to.ip()) {
            // An address behind a NAT cannot be reached from outside.
            return None;
        }
        Some(datagram)
    }

    fn chance(&mut self, thousandths: u16) -> bool {
        self.rng.next_u32() % 1000 < u32::from(thousandths)
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let drawn = self.rng.next_u64();
        match u64::try_from(most.as_micros()).unwrap_or(u64::MAX) {
            0 => Duration::ZERO,
            most => Duration::from_micros(drawn % most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], port))
    }

    fn datagram(number: u8) -> Datagram {
        Datagram { from: address(1, 500), to: address(2, 500), ecn: 0, data: vec![number] }
    }

    fn drain(network: &mut Network) -> Vec<(u64, u8)> {
        let mut arrived = Vec::new();
        while let Some(at) = network.next_arrival() {
            assert_eq!(network.pop_due(Instant::from_micros(at.as_micros() - 1)), None);
            arrived.push((at.as_micros(), network.pop_due(at).unwrap().data[0]));
        }
        arrived
    }

    fn run(seed: u64, link: Link) -> (Vec<(u64, u8)>, Stats) {
        let mut network = Network::new(seed, link);
        for number in 0..200 {
            network.send(Instant::from_millis(u64::from(number)), datagram(number));
        }
        (drain(&mut network), network.stats())
    }

    #[test]
    fn a_good_link_delivers_all_in_order_after_its_latency() {
        let (arrived, stats) = run(1, Link::GOOD);
        let expected: Vec<_> = (0..200u8).map(|n| (10_000 + u64::from(n) * 1_000, n)).collect();
        assert_eq!(arrived, expected);
        assert_eq!(stats, Stats { sent: 200, delivered: 200, ..Stats::default() });
    }

    #[test]
    fn an_awful_link_does_everything_and_repeats_it_for_a_seed() {
        let (arrived, stats) = run(7, Link::AWFUL);
        assert_eq!((arrived.clone(), stats), run(7, Link::AWFUL));
        assert_ne!(arrived, run(8, Link::AWFUL).0);
        assert!(stats.lost > 20 && stats.doubled > 5 && stats.held_up > 10, "{stats:?}");
        assert_eq!(stats.delivered, 200 - stats.lost + stats.doubled);
        assert!(arrived.windows(2).any(|pair| pair[0].1 > pair[1].1), "nothing was reordered");
    }

    #[test]
    fn ways_differ_by_direction() {
        let mut network = Network::new(1, Link::GOOD);
        network.set_link(address(1, 0).ip(), address(2, 0).ip(), Link::GOOD.with_loss(1000));
        network.send(Instant::ZERO, datagram(1));
        let back = Datagram { from: address(2, 500), to: address(1, 500), ecn: 0, data: vec![2] };
        network.send(Instant::ZERO, back);
        assert_eq!(drain(&mut network), [(10_000, 2)]);
    }

    #[test]
    fn a_test_can_decide_on_each_datagram() {
        let mut network = Network::new(1, Link::GOOD);
        network.intercept(|datagram| match datagram.data[0] {
            0 => Fate::Drop,
            1 => Fate::Twice,
            2 => Fate::Late(Duration::from_secs(1)),
            3 => Fate::Changed(vec![33]),
            _ => Fate::Pass,
        });
        for number in 0..5 {
            network.send(Instant::ZERO, datagram(number));
        }
        assert_eq!(
            drain(&mut network),
            [(10_000, 1), (10_000, 1), (10_000, 33), (10_000, 4), (1_010_000, 2)]
        );
        network.stop_intercepting();
        network.send(Instant::ZERO, datagram(0));
        assert_eq!(drain(&mut network), [(10_000, 0)]);
    }

    #[test]
    fn a_nat_translates_lets_answers_in_and_forgets() {
        let mut network = Network::new(1, Link::GOOD);
        let (inside, outside) = (address(1, 500), address(9, 0).ip());
        network.put_nat(inside.ip(), outside);
        let at = Instant::from_secs(1);
        let cross = |network: &mut Network, from, to| {
            network.send(Instant::ZERO, Datagram { from, to, ecn: 0, data: vec![] });
            network.pop_due(at)
        };
        let out = cross(&mut network, inside, address(2, 500)).unwrap();
        assert_eq!((out.from.ip(), out.to), (outside, address(2, 500)));
        assert_ne!(out.from.port(), 500);
        assert_eq!(cross(&mut network, inside, address(3, 500)).unwrap().from, out.from);
        assert_eq!(cross(&mut network, address(2, 500), out.from).unwrap().to, inside);
        // A port nobody opened, and the inside address itself.
        assert_eq!(cross(&mut network, address(2, 500), SocketAddr::new(outside, 4)), None);
        assert_eq!(cross(&mut network, address(2, 500), inside), None);
        network.rebind_nat(inside.ip(), outside);
        assert_eq!(cross(&mut network, address(2, 500), out.from), None);
        assert_ne!(cross(&mut network, inside, address(2, 500)).unwrap().from, out.from);
        assert_eq!(network.stats().unsolicited, 3);
    }

    #[test]
    fn two_behind_one_nat_have_ports_of_their_own_and_lose_them_when_they_are_silent() {
        let mut network = Network::new(1, Link::GOOD);
        let outside = address(9, 0).ip();
        let (one, two, server) = (address(1, 4500), address(2, 4500), address(3, 4500));
        network.put_nat(one.ip(), outside);
        network.put_nat(two.ip(), outside);
        network.nat_timeout(one.ip(), Duration::from_secs(30));
        let cross = |network: &mut Network, at, from, to| {
            network.send(Instant::from_secs(at), Datagram { from, to, ecn: 0, data: vec![] });
            network.pop_due(Instant::from_secs(at + 1))
        };
        let first = cross(&mut network, 0, one, server).unwrap().from;
        let second = cross(&mut network, 20, two, server).unwrap().from;
        assert!(first.ip() == outside && second.ip() == outside && first.port() != second.port());
        assert_eq!(cross(&mut network, 30, server, first).unwrap().to, one);
        assert_eq!(cross(&mut network, 32, server, first), None);
        assert_eq!(cross(&mut network, 32, server, second).unwrap().to, two);
        assert_ne!(cross(&mut network, 33, one, server).unwrap().from, first);
    }
}
