//! Ladder diagrams: who sent which message of which exchange, and whether the other side took it (it may have been
//! lost, or dropped as one that came too late).

use core::fmt;

use ipsec_sa::Instant;
use ipsec_wire::IkeSpi;
use ipsec_wire::ike::ExchangeType;

/// One of the two sides of a ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// On the left.
    Left,
    /// On the right.
    Right,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// A message as one side saw it go or come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// Whether this side sent it.
    pub outbound: bool,
    /// Exchange type.
    pub exchange: ExchangeType,
    /// Whether it is a response.
    pub response: bool,
    /// Message id.
    pub message_id: u32,
    /// Payload names in order.
    pub payloads: String,
    /// Length in octets.
    pub octets: usize,
    /// Whether the same octets were sent before.
    pub retransmission: bool,
    /// The initiator's SPI.
    pub spi_i: IkeSpi,
    /// The responder's SPI.
    pub spi_r: IkeSpi,
}

/// A line of the diagram.
#[derive(Clone, Debug)]
enum Rung {
    Message { from: Side, record: Record, arrived: bool },
    Note { at: Instant, text: String },
}

/// A diagram of what two sides said to each other. Print it with `{}`.
#[derive(Clone, Debug)]
pub struct Ladder {
    left: String,
    right: String,
    start: Option<Instant>,
    rungs: Vec<Rung>,
}

/// Columns between the two rails.
const WIDTH: usize = 84;

impl Ladder {
    /// A diagram between two named sides.
    #[must_use]
    pub fn new(left: &str, right: &str) -> Self {
        Self { left: left.to_owned(), right: right.to_owned(), start: None, rungs: Vec::new() }
    }

    /// Adds what one side saw. What is sent becomes a rung, what is received marks the rung it came by; a message of
    /// which the sender's record is missing becomes a rung of its own. Records of the two sides may come in any order
    /// between them.
    pub fn add(&mut self, side: Side, record: Record) {
        self.start = Some(self.start.map_or(record.at, |start| start.min(record.at)));
        if record.outbound {
            if record.response && record.retransmission {
                self.mark_asked_again(side, &record);
            }
            self.rungs.push(Rung::Message { from: side, record, arrived: false });
            return;
        }
        let same = |rung: &&mut Rung| match rung {
            Rung::Message { from, record: sent, arrived: false } => {
                *from == side.other() && is_same_message(sent, &record) && sent.at <= record.at
            }
            _ => false,
        };
        // The youngest that fits: of several retransmissions the last one sent before it came.
        let sent = self.rungs.iter_mut().rev().find(same);
        match sent {
            Some(Rung::Message { arrived, .. }) => *arrived = true,
            _ => self.rungs.push(Rung::Message { from: side.other(), record, arrived: true }),
        }
    }

    /// Who answers again says thereby that the request came again: that is answered without being read, and leaves no
    /// record of its own.
    fn mark_asked_again(&mut self, side: Side, answer: &Record) {
        let asked = self.rungs.iter_mut().rev().find_map(|rung| match rung {
            Rung::Message { from, record, arrived }
                if *from == side.other()
                    && !*arrived
                    && record.retransmission
                    && !record.response
                    && (record.exchange, record.message_id) == (answer.exchange, answer.message_id)
                    && record.spi_i == answer.spi_i =>
            {
                Some(arrived)
            }
            _ => None,
        });
        if let Some(arrived) = asked {
            *arrived = true;
        }
    }

    /// Adds a remark of the caller's.
    pub fn note(&mut self, at: Instant, text: &str) {
        self.start = Some(self.start.map_or(at, |start| start.min(at)));
        self.rungs.push(Rung::Note { at, text: text.to_owned() });
    }

    /// How many messages there are.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.rungs.iter().filter(|rung| matches!(rung, Rung::Message { .. })).count()
    }
}

fn is_same_message(one: &Record, other: &Record) -> bool {
    (one.exchange, one.response, one.message_id, one.octets, one.spi_i)
        == (other.exchange, other.response, other.message_id, other.octets, other.spi_i)
}

impl Rung {
    const fn at(&self) -> Instant {
        match self {
            Self::Message { record, .. } => record.at,
            Self::Note { at, .. } => *at,
        }
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start.unwrap_or_default();
        let gap = (WIDTH + 2).saturating_sub(self.left.chars().count());
        writeln!(f, "{:>10}  {}{:>gap$}", "seconds", self.left, self.right)?;
        let mut rungs: Vec<&Rung> = self.rungs.iter().collect();
        rungs.sort_by_key(|rung| rung.at());
        let mut spis = None;
        for rung in rungs {
            let seconds = rung.at().saturating_since(start).as_secs_f64();
            match rung {
                Rung::Note { text, .. } => line(f, &format!("{seconds:.6}"), &format!("* {text}"))?,
                Rung::Message { from, record, arrived } => {
                    if record.spi_i != IkeSpi::ZERO && spis != Some(record.spi_i) {
                        spis = Some(record.spi_i);
                        line(f, "", &format!("IKE SA {}", record.spi_i))?;
                    }
                    arrow(f, &format!("{seconds:.6}"), *from, record, *arrived)?;
                }
            }
        }
        Ok(())
    }
}

/// Text between the rails, as many lines of it as it takes.
fn line(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    let mut label = label;
    for row in wrap(text, WIDTH - 2) {
        writeln!(f, "{label:>10}  | {row:<width$} |", width = WIDTH - 2)?;
        label = "";
    }
    Ok(())
}

fn arrow(f: &mut fmt::Formatter<'_>, label: &str, from: Side, record: &Record, arrived: bool) -> fmt::Result {
    let Record { exchange, message_id, octets, .. } = record;
    let kind = if record.response { "response" } else { "request" };
    let again = if record.retransmission { ", again" } else { "" };
    let untaken = if arrived { "" } else { ", not taken" };
    let text = format!(" {exchange} {kind} {message_id}, {octets} octets{again}{untaken} ");
    let room = (WIDTH - 1).saturating_sub(text.chars().count());
    let (before, after) = ("-".repeat(room / 2), "-".repeat(room - room / 2));
    let shorter = |line: &str| line.get(1..).unwrap_or_default().to_owned();
    let row = match (from, arrived) {
        (Side::Left, true) => format!("{before}{text}{after}>"),
        (Side::Left, false) => format!("{before}{text}{}x ", shorter(&after)),
        (Side::Right, true) => format!("<{before}{text}{after}"),
        (Side::Right, false) => format!(" x{}{text}{after}", shorter(&before)),
    };
    writeln!(f, "{label:>10}  |{row}|")?;
    if record.retransmission || record.payloads.is_empty() {
        return Ok(());
    }
    line(f, "", &record.payloads)
}

/// Breaks at spaces where it can.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split(' ') {
        let row = rows.last_mut().map_or(0, |row| row.chars().count());
        match rows.last_mut() {
            Some(last) if row == 0 => last.push_str(word),
            Some(last) if row + 1 + word.chars().count() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => rows.push(word.to_owned()),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: u64, outbound: bool, response: bool) -> Record {
        Record {
            at: Instant::from_millis(at),
            outbound,
            exchange: ExchangeType::IKE_SA_INIT,
            response,
            message_id: 0,
            payloads: "SA KE Ni N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP) N(SOMETHING_ELSE)"
                .into(),
            octets: 240,
            retransmission: false,
            spi_i: IkeSpi([0xab; 8]),
            spi_r: IkeSpi::ZERO,
        }
    }

    #[test]
    fn a_lost_request_its_retransmission_and_the_answer() {
        let mut ladder = Ladder::new("alice", "bob");
        ladder.add(Side::Left, record(1_000, true, false));
        ladder.add(Side::Left, Record { retransmission: true, ..record(2_000, true, false) });
        ladder.add(Side::Right, record(2_010, false, false));
        ladder.add(Side::Right, Record { payloads: "SA KE Nr".into(), ..record(2_011, true, true) });
        ladder.add(Side::Left, Record { payloads: "SA KE Nr".into(), ..record(2_020, false, true) });
        ladder.note(Instant::from_millis(2_021), "keys derived");
        assert_eq!(ladder.messages(), 3);
        let expected = "   seconds  alice                                                                              bob
            | IKE SA abababababababab                                                            |
  0.000000  |------------------ IKE_SA_INIT request 0, 240 octets, not taken ------------------x |
            | SA KE Ni N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP)                |
            | N(SOMETHING_ELSE)                                                                  |
  1.000000  |-------------------- IKE_SA_INIT request 0, 240 octets, again --------------------->|
  1.011000  |<----------------------- IKE_SA_INIT response 0, 240 octets ------------------------|
            | SA KE Nr                                                                           |
  1.021000  | * keys derived                                                                     |
";
        assert_eq!(ladder.to_string(), expected);
    }

    #[test]
    fn who_answers_again_was_asked_again() {
        let mut ladder = Ladder::new("alice", "bob");
        let again = |record: Record| Record { retransmission: true, ..record };
        ladder.add(Side::Left, record(0, true, false));
        ladder.add(Side::Right, record(1, false, false));
        ladder.add(Side::Right, record(1, true, true));
        ladder.add(Side::Left, again(record(10, true, false)));
        ladder.add(Side::Left, again(record(20, true, false)));
        ladder.add(Side::Right, again(record(21, true, true)));
        ladder.add(Side::Left, record(22, false, true));
        let lost: Vec<String> =
            ladder.to_string().lines().filter(|line| line.contains("not taken")).map(str::to_owned).collect();
        assert_eq!(lost.len(), 2, "{ladder}");
        assert!(lost[0].contains(" response 0") && lost[1].contains("0.010000"), "{ladder}");
    }

    #[test]
    fn one_side_alone_is_enough() {
        let mut ladder = Ladder::new("we", "they");
        ladder.add(Side::Left, record(0, true, false));
        ladder.add(Side::Left, record(5, false, true));
        assert_eq!(ladder.messages(), 2);
        assert!(ladder.to_string().contains("|<"));
    }

    #[test]
    fn every_line_is_as_wide_as_the_first() {
        let mut ladder = Ladder::new("left side", "right side");
        for (index, payloads) in ["", "A", &"N(X) ".repeat(60)].into_iter().enumerate() {
            let at = u64::try_from(index).unwrap();
            let outbound = index % 2 == 0;
            ladder.add(Side::Left, Record { payloads: payloads.into(), ..record(at, outbound, !outbound) });
            ladder.add(Side::Right, Record { payloads: payloads.into(), ..record(at, true, false) });
        }
        let text = ladder.to_string();
        let widths: alloc::collections::BTreeSet<usize> =
            text.lines().map(|line| line.trim_end().chars().count()).collect();
        assert_eq!(widths.len(), 1, "{text}");
    }
}
