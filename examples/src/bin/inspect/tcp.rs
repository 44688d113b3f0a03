//! TCP connections that carry IKE and ESP (RFC 9329): which ones do, who opened them, and what each side sent.
//!
//! A connection counts when its server's port says so, or when its first octets are the prefix. One whose beginning was
//! not captured is tried from a segment on that begins with a frame, and only where a port says so.

use alloc::collections::BTreeMap;
use core::net::SocketAddr;

use ipsec_wire::tcp_encap::{Framed, LENGTH_LEN, STREAM_PREFIX, read_frame};
use ipsec_wire::{TcpEncapError, UdpEncap, classify_udp_encap};

use crate::stream::{Broken, Found, Stream};

/// Connections that are followed at once.
const MAX_CONNECTIONS: usize = 1024;
/// Octets that all of them may hold.
const MAX_HELD: usize = 64 << 20;

/// A segment (RFC 9293 §3.1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'a> {
    seq: u32,
    ack: Option<u32>,
    syn: bool,
    fin: bool,
    rst: bool,
    payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// `None` for what is shorter than its header.
    pub(crate) fn parse(octets: &'a [u8]) -> Option<Self> {
        let header = octets.first_chunk::<20>()?;
        let word =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let header_len = usize::from(header[12] >> 4) * 4;
        let payload = octets.get(header_len..).filter(|_| header_len >= header.len())?;
        let flag = |bit: u8| header[13] & bit != 0;
        Some(Self {
            seq: word(4),
            ack: flag(0x10).then(|| word(8)),
            syn: flag(0x02),
            fin: flag(0x01),
            rst: flag(0x04),
            payload,
        })
    }
}

/// What was found, and who sent it to whom.
pub(crate) struct Sent {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) found: Found,
}

/// Tells a frame's beginning: the octets there are of its contents, and how many there will be.
type Recognise<'r> = dyn Fn(UdpEncap<'_>, usize) -> bool + 'r;

struct Connection {
    /// The lower address first.
    ends: [SocketAddr; 2],
    streams: [Stream; 2],
    /// A port says what it carries.
    by_port: bool,
    /// The prefix was seen.
    by_prefix: bool,
    /// When it was last heard of.
    used: u64,
}

/// All connections.
#[derive(Default)]
pub(crate) struct Connections {
    by_ends: BTreeMap<[SocketAddr; 2], Connection>,
    held: usize,
    clock: u64,
}

impl Connections {
    /// Takes in a segment; `server` says of a port whether it is one that carries IKE and ESP.
    pub(crate) fn segment(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        segment: &Segment<'_>,
        server: impl Fn(u16) -> bool,
        recognise: &Recognise<'_>,
    ) -> Vec<Sent> {
        let mut sent = Vec::new();
        let ends = if from <= to { [from, to] } else { [to, from] };
        let side = usize::from(from > to);
        self.clock += 1;
        if self.begins_anew(ends, side, segment) {
            self.remove(ends, Stream::close, &mut sent);
        }
        if !self.by_ends.contains_key(&ends) {
            // Who opened it is the one that its server answers; without SYN either port may be the server's.
            let by_port = match (segment.syn, segment.ack) {
                (true, None) => server(to.port()),
                (true, Some(_)) => server(from.port()),
                (false, _) => server(from.port()) || server(to.port()),
            };
            if segment.rst || !(segment.syn || by_port || segment.payload.starts_with(&STREAM_PREFIX)) {
                return sent;
            }
            self.make_room(&mut sent);
            self.by_ends.insert(ends, Connection::new(ends, by_port));
        }
        let Some(connection) = self.by_ends.get_mut(&ends) else { return sent };
        connection.used = self.clock;
        let before = connection.held();
        let keep = connection.segment(side, segment, recognise, &mut sent);
        self.held = self.held.saturating_sub(before) + connection.held();
        if !keep {
            self.remove(ends, Stream::forget, &mut sent);
        }
        if self.held > MAX_HELD {
            self.make_less(&mut sent);
        }
        sent
    }

    /// The capture is over.
    pub(crate) fn finish(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        for (_, mut connection) in core::mem::take(&mut self.by_ends) {
            connection.both(Stream::finish, &mut sent);
        }
        self.held = 0;
        sent
    }

    /// Whether a SYN opens another connection between the same ports.
    fn begins_anew(&self, ends: [SocketAddr; 2], side: usize, segment: &Segment<'_>) -> bool {
        let Some(connection) = self.by_ends.get(&ends).filter(|_| segment.syn) else { return false };
        if segment.ack.is_none() && connection.streams.iter().all(Stream::is_over) {
            return true;
        }
        let [own, other] = [side, 1 - side].map(|side| connection.streams.get(side));
        let own_syn = own.and_then(Stream::syn);
        // The second SYN of a connection comes after the first, and before there are octets.
        let second = own_syn.is_none()
            && own.is_some_and(|stream| !stream.has_begun())
            && other.is_some_and(|stream| stream.syn().is_some());
        own_syn != Some(segment.seq) && !second
    }

    fn remove(
        &mut self,
        ends: [SocketAddr; 2],
        how: impl Fn(&mut Stream, &mut Vec<Found>),
        sent: &mut Vec<Sent>,
    ) {
        if let Some(mut connection) = self.by_ends.remove(&ends) {
            self.held = self.held.saturating_sub(connection.held());
            connection.both(how, sent);
        }
    }

    /// Room for one connection.
    fn make_room(&mut self, sent: &mut Vec<Sent>) {
        if self.by_ends.len() >= MAX_CONNECTIONS {
            self.make_less(sent);
        }
    }

    /// Forgets half of the connections: first those that may carry anything, then those not heard of for long.
    fn make_less(&mut self, sent: &mut Vec<Sent>) {
        let key = |connection: &Connection| (connection.is_ours(), connection.used);
        let mut order: Vec<_> = self.by_ends.iter().map(|(ends, it)| (key(it), *ends)).collect();
        order.sort_unstable();
        for (_, ends) in order.iter().take(order.len().div_ceil(2)) {
            self.remove(*ends, Stream::forget, sent);
        }
    }
}

impl Connection {
    const fn new(ends: [SocketAddr; 2], by_port: bool) -> Self {
        let streams = [Stream::seeking(), Stream::seeking()];
        Self { ends, streams, by_port, by_prefix: false, used: 0 }
    }

    fn held(&self) -> usize {
        self.streams.iter().map(Stream::held).sum()
    }

    /// Does something to both streams.
    fn both(&mut self, how: impl Fn(&mut Stream, &mut Vec<Found>), sent: &mut Vec<Sent>) {
        for side in [0, 1] {
            self.on(side, &how, sent);
        }
    }

    /// Whether it is known to carry IKE and ESP.
    const fn is_ours(&self) -> bool {
        self.by_port || self.by_prefix
    }

    /// Does something to one, and says who sent what it brought to light. What others do on their connections is not
    /// told.
    fn on(&mut self, side: usize, how: impl FnOnce(&mut Stream, &mut Vec<Found>), sent: &mut Vec<Sent>) {
        let [low, high] = self.ends;
        let (from, to) = if side == 0 { (low, high) } else { (high, low) };
        let Some(stream) = self.streams.get_mut(side) else { return };
        let mut found = Vec::new();
        how(stream, &mut found);
        self.by_prefix |= found.contains(&Found::Prefix);
        if self.is_ours() {
            sent.extend(found.into_iter().map(|found| Sent { from, to, found }));
        }
    }

    /// Both streams, the one of this side first.
    const fn streams(&mut self, side: usize) -> (&mut Stream, &mut Stream) {
        let [low, high] = &mut self.streams;
        if side == 0 { (low, high) } else { (high, low) }
    }

    /// Whether the connection is still of interest.
    fn segment(
        &mut self,
        side: usize,
        segment: &Segment<'_>,
        recognise: &Recognise<'_>,
        sent: &mut Vec<Sent>,
    ) -> bool {
        if segment.rst {
            if self.streams(side).0.may_reset(segment.seq) {
                self.both(Stream::close, sent);
            }
            return self.is_ours();
        }
        let first = if segment.syn { segment.seq.wrapping_add(1) } else { segment.seq };
        if segment.syn {
            self.begin(side, segment);
        } else if !segment.payload.is_empty() {
            self.begin_late(side, segment, recognise);
        }
        // A port says what the other side sends, the prefix does as well.
        if self.by_port {
            self.both(Stream::decide, sent);
        }
        let news = sent.len();
        self.on(side, |stream, found| stream.take(first, segment.payload, found), sent);
        if self.by_prefix {
            self.both(Stream::decide, sent);
        }
        let no_prefix = Found::Broken(Broken::Framing(TcpEncapError::BadPrefix));
        if sent.iter().skip(news).any(|sent| sent.found == no_prefix) {
            self.both(|stream, _| stream.forget(&mut Vec::new()), sent);
        }
        if segment.fin {
            let end = first.wrapping_add(u32::try_from(segment.payload.len()).unwrap_or(u32::MAX));
            self.on(side, |stream, found| stream.end(end, found), sent);
        }
        self.is_ours() || !self.streams.iter().any(Stream::is_over)
    }

    /// A SYN: whoever sent the one without ACK opened the connection, and sends the prefix.
    fn begin(&mut self, side: usize, segment: &Segment<'_>) {
        let (own, other) = self.streams(side);
        if own.syn().is_some() {
            return;
        }
        own.begin(segment.seq);
        match segment.ack {
            // Of two that open at once it is the first.
            None if other.syn().is_some() => {}
            None => own.begin_with_prefix(None),
            Some(_) if other.has_begun() => {}
            Some(ack) => {
                other.begin(ack.wrapping_sub(1));
                other.begin_with_prefix(None);
            }
        }
    }

    /// The first segment that the capture has of a side, if it can be a beginning.
    fn begin_late(&mut self, side: usize, segment: &Segment<'_>, recognise: &Recognise<'_>) {
        let ours = self.is_ours();
        let (own, other) = self.streams(side);
        if !own.has_begun() {
            if segment.payload.starts_with(&STREAM_PREFIX) {
                own.begin_with_prefix(Some(segment.seq));
            } else if ours && begins_with_frame(segment.payload, recognise) {
                own.begin_with_frame(segment.seq);
            }
        }
        // Before the prefix is there the other side sends nothing: its first octet is the one that is acknowledged.
        if let (true, false, Some(ack)) =
            (own.wants_prefix() && own.is_next(segment.seq), other.has_begun(), segment.ack)
        {
            other.begin(ack.wrapping_sub(1));
        }
    }
}

/// Whether a frame begins with this segment: one that is recognised, or several that fill the segment.
fn begins_with_frame(payload: &[u8], recognise: &Recognise<'_>) -> bool {
    let Some((length, rest)) = payload.split_first_chunk::<LENGTH_LEN>() else { return false };
    let Some(len) = usize::from(u16::from_be_bytes(*length)).checked_sub(LENGTH_LEN) else { return false };
    if recognise(classify_udp_encap(rest.get(..len).unwrap_or(rest)), len) {
        return true;
    }
    let mut left = payload;
    while let Ok(Framed::Frame { content, len }) = read_frame(left) {
        if matches!(content, UdpEncap::TooShort(_)) {
            return false;
        }
        left = left.get(len..).unwrap_or_default();
    }
    left.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], port))
    }

    fn segment(flags: &str, seq: u32, ack: u32, payload: &'static [u8]) -> Segment<'static> {
        let has = |flag| flags.contains(flag);
        Segment { seq, ack: has('A').then_some(ack), syn: has('S'), fin: has('F'), rst: has('R'), payload }
    }

    /// Feeds segments of a client (`true`) and its server, and says what each sent.
    fn feed(
        connections: &mut Connections,
        port: u16,
        segments: &[(bool, Segment<'static>)],
    ) -> Vec<(bool, Found)> {
        let (client, server) = (at(1, 40_000), at(2, port));
        let mut all = Vec::new();
        for (from_client, segment) in segments {
            let (from, to) = if *from_client { (client, server) } else { (server, client) };
            let recognise = |content: UdpEncap<'_>, _| content == UdpEncap::Esp(b"known");
            let sent = connections.segment(from, to, segment, |port| port == 4500, &recognise);
            all.extend(sent.into_iter().map(|sent| (sent.from == client, sent.found)));
        }
        all
    }

    fn frame(from_client: bool, content: &[u8]) -> (bool, Found) {
        (from_client, Found::Frame(content.to_vec()))
    }

    const CLIENT: (bool, Found) = (true, Found::Prefix);

    #[test]
    fn by_the_prefix_on_any_port() {
        for port in [443, 4500] {
            let connection = [
                (true, segment("S", 99, 0, b"")),
                (false, segment("SA", 499, 100, b"")),
                // The capture has the answer before the question.
                (false, segment("A", 500, 110, b"\0\x06pong")),
                (true, segment("A", 100, 500, b"IKETCP\0\x06ping")),
            ];
            let mut connections = Connections::default();
            let mut found = feed(&mut connections, port, &connection);
            found.sort_by_key(|(from_client, _)| !from_client);
            assert_eq!(found, [CLIENT, frame(true, b"ping"), frame(false, b"pong")]);
            assert_eq!(connections.held, 0);
            // Without the server's SYN, and without both: its first octet is the one that the prefix acknowledges.
            for start in [1, 2] {
                let mut order = connection[start..].to_vec();
                order.retain(|(from_client, segment)| *from_client || !segment.syn);
                order.reverse();
                let found = feed(&mut Connections::default(), port, &order);
                assert_eq!(found, [CLIENT, frame(true, b"ping"), frame(false, b"pong")], "{port} {start}");
            }
        }
    }

    #[test]
    fn what_others_send_is_not_told() {
        let mut connections = Connections::default();
        let web = [
            (true, segment("S", 99, 0, b"")),
            (false, segment("SA", 499, 100, b"")),
            (true, segment("A", 104, 500, b"/ HTTP")),
            (true, segment("A", 100, 500, b"GET ")),
            (false, segment("FA", 500, 110, b"\0\x06pong")),
        ];
        assert_eq!(feed(&mut connections, 443, &web), []);
        assert!(connections.by_ends.is_empty());
        // A gap, and the connection breaks off.
        assert_eq!(feed(&mut connections, 443, &web[..3]), []);
        assert_eq!(feed(&mut connections, 443, &[(true, segment("R", 110, 0, b""))]), []);
        // On a port of ours it is said, and once.
        let found = feed(&mut connections, 4500, &web);
        assert_eq!(found, [(true, Found::Broken(Broken::Framing(TcpEncapError::BadPrefix)))]);
    }

    #[test]
    fn a_connection_whose_beginning_is_missing() {
        let middle = [
            (true, segment("A", 100, 500, b"of a frame\0\x07known")),
            (true, segment("A", 117, 500, b"another\0\x07known")),
            (true, segment("A", 131, 500, b"\0\x07known\0\x09part")),
            (true, segment("A", 144, 500, b"ing")),
            // Nothing but whole frames.
            (false, segment("A", 500, 147, b"\0\x06abcd\0\x03\xff")),
            (false, segment("A", 509, 147, b"\0\x02\0\x06efgh")),
        ];
        let expected = [
            (true, Found::Unaligned),
            frame(true, b"known"),
            frame(true, b"parting"),
            frame(false, b"abcd"),
            frame(false, b"\xff"),
            frame(false, b""),
            frame(false, b"efgh"),
        ];
        assert_eq!(feed(&mut Connections::default(), 4500, &middle), expected);
        assert_eq!(feed(&mut Connections::default(), 443, &middle), []);
    }

    #[test]
    fn ports_used_again() {
        let once = [
            (true, segment("S", 99, 0, b"")),
            (false, segment("SA", 499, 100, b"")),
            (true, segment("A", 100, 500, b"IKETCP\0\x06ping\0\x0a")),
        ];
        let mut again = once;
        again[0].1.seq = 1_000_000_099;
        again[1].1.ack = Some(1_000_000_100);
        again[2].1.seq = 1_000_000_100;
        let mut connections = Connections::default();
        assert_eq!(feed(&mut connections, 443, &once), [CLIENT, frame(true, b"ping")]);
        // A SYN that comes twice is no other connection, and neither are octets that do.
        assert_eq!(feed(&mut connections, 443, &once), []);
        let broken = (true, Found::Broken(Broken::Ends { octets: 2 }));
        assert_eq!(feed(&mut connections, 443, &again), [broken.clone(), CLIENT, frame(true, b"ping")]);
        // One that is refused, and tried again with the same number.
        let refused = [
            (true, segment("S", 7, 0, b"")),
            (false, segment("RA", 0, 8, b"")),
            (true, segment("S", 7, 0, b"")),
            (true, segment("A", 8, 1, b"IKETCP")),
        ];
        assert_eq!(feed(&mut connections, 443, &refused), [broken, CLIENT]);
    }

    #[test]
    fn a_reset_ends_both_directions() {
        let mut connections = Connections::default();
        let found = feed(
            &mut connections,
            443,
            &[
                (true, segment("S", 99, 0, b"")),
                (false, segment("SA", 499, 100, b"")),
                (true, segment("A", 100, 500, b"IKETCP\0\x06pi")),
                (false, segment("A", 502, 110, b"late")),
                // Of the past, and so none.
                (false, segment("R", 480, 0, b"")),
                (false, segment("R", 506, 0, b"")),
                (true, segment("A", 110, 500, b"ng")),
            ],
        );
        let lost = Found::Broken(Broken::Lost { seq: 500, behind: 4 });
        assert_eq!(found, [CLIENT, (true, Found::Broken(Broken::Ends { octets: 4 })), (false, lost)]);
        assert!(connections.finish().is_empty());
    }

    #[test]
    fn there_is_a_cap_on_connections() {
        let mut connections = Connections::default();
        let ours = [(true, segment("S", 99, 0, b"")), (true, segment("A", 100, 500, b"IKETCP"))];
        assert_eq!(feed(&mut connections, 4500, &ours), [CLIENT]);
        for port in 1000..9000 {
            let syn = segment("S", 99, 0, b"");
            let none = connections.segment(at(3, port), at(4, 443), &syn, |port| port == 4500, &|_, _| false);
            assert!(none.is_empty() && connections.by_ends.len() <= MAX_CONNECTIONS);
        }
        // Of those the ones that are known to be ours stay longest.
        let more = [(true, segment("A", 106, 500, b"\0\x06ping"))];
        assert_eq!(feed(&mut connections, 4500, &more), [frame(true, b"ping")]);
    }

    #[test]
    fn segments_by_chance_stay_within_the_caps() {
        let mut state = 1u64;
        let mut chance = move |below: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from((state >> 33) % u64::from(below)).unwrap()
        };
        let payloads: [&[u8]; 6] = [b"", b"IKETCP", b"\0\x06abcd\0\x03\xff", b"\0", b"\0\x01", &[0xee; 3000]];
        let mut connections = Connections::default();
        let mut frames = 0;
        for _ in 0..40_000 {
            let flags = ["A", "A", "A", "A", "A", "S", "SA", "FA", "RA", ""][chance(10) as usize];
            let seq = [0u32, u32::MAX - 20][chance(2) as usize].wrapping_add(chance(60));
            let segment = segment(flags, seq, chance(90), payloads[chance(6) as usize]);
            let port = [4500, 443][chance(2) as usize];
            let found = feed(&mut connections, port, &[(chance(2) == 0, segment)]);
            frames += found.iter().filter(|(_, found)| matches!(found, Found::Frame(_))).count();
            let held: usize = connections.by_ends.values().map(Connection::held).sum();
            assert_eq!(held, connections.held);
        }
        assert!(frames > 100, "{frames}");
    }
}
