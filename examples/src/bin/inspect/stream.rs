//! One direction of a TCP connection: segments go in in any order, frames come out (RFC 9329 §3, §4).

use alloc::collections::BTreeMap;

use ipsec_wire::TcpEncapError;
use ipsec_wire::tcp_encap::{Framed, LENGTH_LEN, STREAM_PREFIX, read_frame};

/// Octets that may wait for others in front of them: more than most receivers announce as their window.
const MAX_AHEAD: usize = 4 << 20;
/// Pieces that may.
const MAX_PIECES: usize = 8192;
/// Octets that a side without a beginning may send before it is known what the connection carries.
const MAX_UNDECIDED: usize = 64 << 10;

/// What comes out of a stream, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// IKETCP.
    Prefix,
    /// The contents of a frame, without its length.
    Frame(Vec<u8>),
    /// Octets that do not begin with a frame, of a stream whose beginning is not known: said once.
    Unaligned,
    /// The rest of the stream is not shown.
    Broken(Broken),
}

/// Why a stream ends before its connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It does not begin with the prefix, or a length does not cover itself.
    Framing(TcpEncapError),
    /// Octets were not captured, so that nobody can say where the next frame begins.
    Lost {
        /// The sequence number of the first that is missing.
        seq: u32,
        /// Octets that have come behind it.
        behind: usize,
    },
    /// The connection was closed inside a frame, which counts for nothing (RFC 9329 §6.1).
    Ends {
        /// Octets of it that came.
        octets: usize,
    },
    /// It was made room for others.
    Forgotten,
}

impl core::fmt::Display for Broken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Framing(error) => error.fmt(f),
            Self::Lost { seq, behind } => write!(
                f,
                "what the sender sent from sequence number {seq} on is not in the capture: \
                 where frames begin in the {behind} octets behind it and in what follows cannot be told"
            ),
            Self::Ends { octets } => write!(f, "the connection ends after {octets} octets of a frame"),
            Self::Forgotten => f.write_str("too many streams with gaps at once: this one is given up"),
        }
    }
}

/// What the next octets in order are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its beginning was not captured: a segment that begins with a frame is waited for.
    Seeking,
    /// The prefix comes first.
    Prefix,
    /// Whether the other side sends the prefix is not known yet.
    Undecided,
    Frames,
    /// Nothing more is looked at.
    Over,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Stream {
    phase: Phase,
    /// Octets without a beginning were spoken of.
    unaligned: bool,
    /// The sequence number of its SYN.
    syn: Option<u32>,
    /// The sequence number that the next octet in order has.
    next: u32,
    /// Where in the stream that is.
    at: u64,
    /// Where in the stream its FIN is.
    fin: Option<u64>,
    /// Octets in order that are not shown yet.
    octets: Vec<u8>,
    /// Octets that have come before others in front of them, by where in the stream they are.
    ahead: BTreeMap<u64, Vec<u8>>,
    ahead_octets: usize,
}

impl Stream {
    /// A stream whose beginning was not captured, so far.
    pub(crate) const fn seeking() -> Self {
        Self {
            phase: Phase::Seeking,
            unaligned: false,
            syn: None,
            next: 0,
            at: 0,
            fin: None,
            octets: Vec::new(),
            ahead: BTreeMap::new(),
            ahead_octets: 0,
        }
    }

    /// The sequence number of its SYN, if that was captured.
    pub(crate) const fn syn(&self) -> Option<u32> {
        self.syn
    }

    /// Whether it has a place where it began.
    pub(crate) fn has_begun(&self) -> bool {
        self.phase != Phase::Seeking
    }

    /// Whether it waits for the prefix.
    pub(crate) fn wants_prefix(&self) -> bool {
        self.phase == Phase::Prefix
    }

    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Octets that it holds.
    pub(crate) fn held(&self) -> usize {
        self.octets.len() + self.ahead_octets
    }

    /// Its SYN was captured: the stream begins with the octet behind it (RFC 9293 §3.4).
    pub(crate) fn begin(&mut self, syn: u32) {
        (self.syn, self.next, self.phase) = (Some(syn), syn.wrapping_add(1), Phase::Undecided);
    }

    /// The next octet is this one, and the prefix comes first.
    pub(crate) fn begin_with_prefix(&mut self, seq: Option<u32>) {
        self.next = seq.unwrap_or(self.next);
        self.phase = Phase::Prefix;
    }

    /// The next octet is this one, and a frame begins there.
    pub(crate) fn begin_with_frame(&mut self, seq: u32) {
        (self.next, self.phase) = (seq, Phase::Frames);
    }

    /// The other side has sent the prefix. A stream without a beginning still waits for one.
    pub(crate) fn decide(&mut self, found: &mut Vec<Found>) {
        if self.phase == Phase::Undecided {
            self.phase = Phase::Frames;
            self.read(found);
        }
    }

    /// Where in the stream a sequence number is; negative in front of it.
    fn position(&self, seq: u32) -> i128 {
        i128::from(self.at) + i128::from(seq.wrapping_sub(self.next).cast_signed())
    }

    /// Whether a segment with this sequence number holds the next octet in order as its first.
    pub(crate) fn is_next(&self, seq: u32) -> bool {
        seq == self.next
    }

    /// Whether a RST with this sequence number can be meant for this stream (RFC 9293 §3.5.3).
    pub(crate) fn may_reset(&self, seq: u32) -> bool {
        !self.has_begun() || self.position(seq) >= i128::from(self.at)
    }

    /// Takes in the octets of a segment. Of octets that come twice the first to come counts.
    pub(crate) fn take(&mut self, seq: u32, payload: &[u8], found: &mut Vec<Found>) {
        match self.phase {
            Phase::Over => return,
            Phase::Seeking => {
                if !(payload.is_empty() || core::mem::replace(&mut self.unaligned, true)) {
                    found.push(Found::Unaligned);
                }
                return;
            }
            Phase::Prefix | Phase::Undecided | Phase::Frames => {}
        }
        let at = i128::from(self.at);
        let position = self.position(seq);
        if position <= at {
            let old = usize::try_from(at - position).unwrap_or(usize::MAX);
            self.append(payload.get(old..).unwrap_or_default());
            while let Some(first) = self.ahead.first_entry() {
                let Some(old) = self.at.checked_sub(*first.key()) else { break };
                let piece = first.remove();
                self.ahead_octets -= piece.len();
                let old = usize::try_from(old).unwrap_or(usize::MAX);
                self.append(piece.get(old..).unwrap_or_default());
            }
            self.read(found);
        } else if let (Ok(position), false) = (u64::try_from(position), payload.is_empty()) {
            let piece = self.ahead.entry(position).or_default();
            if piece.len() < payload.len() {
                self.ahead_octets += payload.len() - piece.len();
                *piece = payload.to_vec();
            }
            if self.ahead_octets > MAX_AHEAD || self.ahead.len() > MAX_PIECES {
                self.give_up(found);
            }
        }
    }

    /// Notes a FIN, whose sequence number is the one behind the segment's octets.
    pub(crate) fn end(&mut self, seq: u32, found: &mut Vec<Found>) {
        if let (true, Ok(position)) = (self.has_begun(), u64::try_from(self.position(seq))) {
            self.fin.get_or_insert(position);
            self.read(found);
        } else {
            self.over();
        }
    }

    /// The connection is broken off, or the capture: what has come of it is all.
    pub(crate) fn close(&mut self, found: &mut Vec<Found>) {
        match (self.phase, self.ahead.is_empty()) {
            (Phase::Prefix | Phase::Frames, false) => self.give_up(found),
            (Phase::Frames, true) if !self.octets.is_empty() => {
                self.fail(Broken::Ends { octets: self.octets.len() }, found);
            }
            _ => self.over(),
        }
    }

    /// The capture ends: what has not been captured is lost, what is still to come is not.
    pub(crate) fn finish(&mut self, found: &mut Vec<Found>) {
        if self.ahead.is_empty() { self.over() } else { self.close(found) }
    }

    /// Makes room; only a stream that has something to lose says so.
    pub(crate) fn forget(&mut self, found: &mut Vec<Found>) {
        match self.phase {
            Phase::Frames if self.held() > 0 => self.fail(Broken::Forgotten, found),
            _ => self.over(),
        }
    }

    fn give_up(&mut self, found: &mut Vec<Found>) {
        self.fail(Broken::Lost { seq: self.next, behind: self.ahead_octets }, found);
    }

    fn fail(&mut self, why: Broken, found: &mut Vec<Found>) {
        found.push(Found::Broken(why));
        self.over();
    }

    fn over(&mut self) {
        self.phase = Phase::Over;
        (self.octets, self.ahead, self.ahead_octets) = (Vec::new(), BTreeMap::new(), 0);
    }

    fn append(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
        // No segment is longer than 65535 octets.
        let len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        self.next = self.next.wrapping_add(len);
        self.at = self.at.saturating_add(len.into());
    }

    /// Takes the prefix and whole frames from the front.
    fn read(&mut self, found: &mut Vec<Found>) {
        if self.phase == Phase::Prefix {
            let seen = self.octets.len().min(STREAM_PREFIX.len());
            if self.octets.get(..seen) != STREAM_PREFIX.get(..seen) {
                return self.fail(Broken::Framing(TcpEncapError::BadPrefix), found);
            }
            if seen == STREAM_PREFIX.len() {
                self.octets.drain(..seen);
                self.phase = Phase::Frames;
                found.push(Found::Prefix);
            }
        }
        if self.phase == Phase::Frames {
            let mut start = 0;
            let broken = loop {
                match read_frame(self.octets.get(start..).unwrap_or_default()) {
                    Ok(Framed::Frame { len, .. }) => {
                        let content = self.octets.get(start + LENGTH_LEN..start + len).unwrap_or_default();
                        found.push(Found::Frame(content.to_vec()));
                        start += len;
                    }
                    Ok(Framed::Missing(_)) => break None,
                    Err(error) => break Some(error),
                }
            };
            self.octets.drain(..start);
            if let Some(error) = broken {
                return self.fail(Broken::Framing(error), found);
            }
        }
        if self.phase == Phase::Undecided && self.octets.len() > MAX_UNDECIDED {
            self.over();
        }
        if self.fin.is_some_and(|fin| fin <= self.at) {
            self.close(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that began at a sequence number just below the wrap.
    fn begun() -> Stream {
        let mut stream = Stream::seeking();
        stream.begin(u32::MAX - 9);
        stream.begin_with_prefix(None);
        stream
    }

    const OCTETS: &[u8] = b"IKETCP\x00\x06abcd\x00\x03\xff\x00\x07vwxyz";

    fn frames() -> Vec<Found> {
        let frame = |octets: &[u8]| Found::Frame(octets.to_vec());
        vec![Found::Prefix, frame(b"abcd"), frame(b"\xff"), frame(b"vwxyz")]
    }

    /// The segment that holds these octets of the stream.
    fn segment(stream: &mut Stream, range: core::ops::Range<usize>) -> Vec<Found> {
        let mut found = Vec::new();
        let seq = (u32::MAX - 8).wrapping_add(u32::try_from(range.start).unwrap());
        stream.take(seq, &OCTETS[range], &mut found);
        found
    }

    #[test]
    fn segments_of_every_size_in_every_order_across_the_wrap() {
        for size in 1..=OCTETS.len() {
            let starts: Vec<usize> = (0..OCTETS.len()).step_by(size).collect();
            for turn in 0..starts.len() {
                for backwards in [false, true] {
                    let (mut stream, mut found) = (begun(), Vec::new());
                    let mut order = starts.clone();
                    order.rotate_left(turn);
                    if backwards {
                        order.reverse();
                    }
                    for start in order {
                        // Each twice, and with some octets of the next.
                        found.extend(segment(&mut stream, start..(start + size).min(OCTETS.len())));
                        found.extend(segment(&mut stream, start..(start + 2 * size - 1).min(OCTETS.len())));
                    }
                    assert_eq!(found, frames(), "{size} {turn} {backwards}");
                    assert_eq!((stream.held(), stream.is_over()), (0, false));
                }
            }
        }
    }

    #[test]
    fn a_gap_is_said_once() {
        let mut stream = begun();
        assert_eq!(segment(&mut stream, 0..8), [Found::Prefix]);
        assert_eq!(segment(&mut stream, 10..14), []);
        assert_eq!(stream.held(), 2 + 4);
        let mut found = Vec::new();
        stream.finish(&mut found);
        let lost = Found::Broken(Broken::Lost { seq: u32::MAX, behind: 4 });
        assert_eq!((found.as_slice(), stream.held()), (&[lost][..], 0));
        assert_eq!(segment(&mut stream, 8..OCTETS.len()), []);
        stream.close(&mut found);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn what_waits_has_a_cap() {
        let (mut stream, mut found) = (begun(), Vec::new());
        let piece = [7; 60_000];
        let mut seq = 1000u32;
        while found.is_empty() {
            stream.take(seq, &piece, &mut found);
            seq += 60_000;
            assert!(stream.held() <= MAX_AHEAD);
        }
        assert!(matches!(found[..], [Found::Broken(Broken::Lost { seq: 0xffff_fff7, .. })]), "{found:?}");
        let (mut stream, mut found) = (begun(), Vec::new());
        for seq in (1000..).step_by(2).take(MAX_PIECES + 1) {
            assert!(found.is_empty());
            stream.take(seq, &[1], &mut found);
        }
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn ends() {
        let (mut stream, mut found) = (begun(), segment(&mut begun(), 0..12));
        assert_eq!(found.len(), 2);
        found.clear();
        segment(&mut stream, 0..14);
        // A FIN that overtakes the last octets waits for them.
        stream.end((u32::MAX - 8).wrapping_add(15), &mut found);
        assert_eq!((found.as_slice(), stream.is_over()), (&[][..], false));
        assert_eq!(segment(&mut stream, 14..15), [Found::Frame(vec![0xff])]);
        assert!(stream.is_over());

        let mut stream = begun();
        segment(&mut stream, 0..14);
        stream.end((u32::MAX - 8).wrapping_add(14), &mut found);
        assert_eq!(found, [Found::Broken(Broken::Ends { octets: 2 })]);
    }

    #[test]
    fn what_is_none() {
        let (mut stream, mut found) = (begun(), Vec::new());
        stream.take(u32::MAX - 8, b"GET", &mut found);
        assert_eq!(found, [Found::Broken(Broken::Framing(TcpEncapError::BadPrefix))]);
        let (mut stream, mut found) = (begun(), Vec::new());
        stream.take(u32::MAX - 8, b"IKETCP\x00\x01", &mut found);
        assert_eq!(found, [Found::Prefix, Found::Broken(Broken::Framing(TcpEncapError::BadLength(1)))]);
    }

    #[test]
    fn resets_of_the_past_count_for_nothing() {
        let mut stream = begun();
        segment(&mut stream, 0..12);
        let at = (u32::MAX - 8).wrapping_add(12);
        assert!(stream.may_reset(at) && stream.may_reset(at.wrapping_add(5000)));
        assert!(!stream.may_reset(at.wrapping_sub(1)));
    }
}
