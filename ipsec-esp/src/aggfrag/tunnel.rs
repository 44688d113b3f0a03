//! AGGFRAG beside the two directions of an SA: what to send at a moment, and what came in.

use core::ops::Range;
use core::time::Duration;

use ipsec_sa::Instant;
use ipsec_sa::tunnel::Ecn;
use ipsec_wire::IpProtocol;
use ipsec_wire::aggfrag::AggfragHeader;

use super::{AggfragError, AggfragReceiver, AggfragSender, AggfragStats, Congestion, Pace};
use crate::pmtu::PacketLayout;
use crate::{EspInbound, EspOutbound, OpenError, Opened, SealError};

/// How payloads are made and sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AggfragConfig {
    /// Octets of each payload, its header included: the same for all (RFC 9347 §2.4.1).
    pub payload_len: usize,
    /// Time from one payload to the next.
    pub interval: Duration,
    /// How many payloads may go at once after a late call.
    pub burst: u32,
    /// Octets of packets that may wait.
    pub capacity: usize,
    /// Whether the peer puts packets together (it did not set flag D of USE_AGGFRAG).
    pub fragments: bool,
    /// Whether the peer wants the congestion-control sub-type (it set flag C of USE_AGGFRAG).
    pub congestion_control: bool,
}

impl AggfragConfig {
    /// Payloads that fill packets of `mtu` octets, sent at `rate` bits of such packets a second: with fragments, without the
    /// congestion-control sub-type, and with 256 payloads' worth of waiting room. `None`: no payload fits.
    #[must_use]
    pub fn for_path(layout: &PacketLayout, mtu: usize, rate: u64) -> Option<Self> {
        let payload_len = layout.largest_payload(mtu)?;
        if payload_len <= AggfragHeader::CONGESTION_CONTROL_LEN {
            return None;
        }
        let bits = layout.sealed_len(payload_len) as u64 * 8;
        Some(Self {
            payload_len,
            interval: Duration::from_micros(bits.saturating_mul(1_000_000) / rate.max(1)),
            burst: 4,
            capacity: payload_len * 256,
            fragments: true,
            congestion_control: false,
        })
    }
}

/// The sending side of an SA with AGGFRAG.
#[derive(Clone, Debug)]
pub struct AggfragOutbound {
    sender: AggfragSender,
    pace: Pace,
    payload_len: usize,
    congestion_control: bool,
}

impl AggfragOutbound {
    /// Nothing waiting; the first payload goes at `start`.
    #[must_use]
    pub fn new(config: &AggfragConfig, start: Instant) -> Self {
        let header = if config.congestion_control {
            AggfragHeader::CONGESTION_CONTROL_LEN
        } else {
            AggfragHeader::BASIC_LEN
        };
        // Whole packets have so much less room as the longer header takes.
        let whole = config.payload_len.saturating_sub(header - AggfragHeader::BASIC_LEN);
        Self {
            sender: AggfragSender::new(config.capacity, (!config.fragments).then_some(whole)),
            pace: Pace::new(start, config.interval, config.burst),
            payload_len: config.payload_len,
            congestion_control: config.congestion_control,
        }
    }

    /// Takes an IP packet to be sent in its turn.
    ///
    /// # Errors
    /// [`AggfragError`], with nothing taken.
    pub fn push(&mut self, packet: &[u8]) -> Result<(), AggfragError> {
        self.sender.push(packet)
    }

    /// What is to be sent at `now`: a payload with what waits, or padding alone, sealed into `buf`; `None` where nothing is
    /// due before [`AggfragOutbound::deadline`]. To be called until then. When a payload goes and how long it is does not
    /// depend on what waits.
    ///
    /// # Errors
    /// [`SealError`]; nothing that waits is lost, and the payload is still due.
    pub fn poll(
        &mut self,
        now: Instant,
        esp: &mut EspOutbound,
        congestion: Option<&Congestion>,
        buf: &mut [u8],
    ) -> Result<Option<Range<usize>>, SealError> {
        if !self.pace.is_due(now) {
            return Ok(None);
        }
        let control = congestion.filter(|_| self.congestion_control).map(|congestion| congestion.header(now));
        let head = esp.room(self.payload_len).head;
        let payload = head..head + self.payload_len;
        let seq = esp.admit(buf, &payload, IpProtocol::AGGFRAG)?;
        let out = buf.get_mut(payload.clone()).ok_or(SealError::Range)?;
        self.sender.fill(out, control);
        self.pace.take(now);
        let transform = esp.transform();
        transform.seal_admitted(&seq, None, None, buf, payload, IpProtocol::AGGFRAG).map(Some)
    }

    /// When the next payload is due.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.pace.deadline()
    }

    /// Goes on at another pace, as congestion asks for (RFC 9347 §2.4.2), from the next payload on.
    pub fn set_interval(&mut self, interval: Duration) {
        self.pace.set_interval(interval);
    }

    /// Octets of packets that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.sender.octets()
    }

    /// A payload without any packet, which only tells the peer of congestion, for an SA whose own direction has no
    /// AGGFRAG (RFC 9347 §2.4.2).
    ///
    /// # Errors
    /// [`SealError`].
    pub fn report(
        now: Instant,
        esp: &mut EspOutbound,
        congestion: &Congestion,
        buf: &mut [u8],
    ) -> Result<Range<usize>, SealError> {
        let header =
            AggfragHeader { congestion_control: Some(congestion.header(now)), ..AggfragHeader::basic(0) };
        let (octets, len) = header.to_octets();
        let head = esp.room(len).head;
        let payload = buf.get_mut(head..head + len).ok_or(SealError::Range)?;
        payload.copy_from_slice(octets.get(..len).ok_or(SealError::Range)?);
        esp.seal_in_place(buf, head..head + len, IpProtocol::AGGFRAG)
    }
}

/// The receiving side of an SA with AGGFRAG.
#[derive(Clone, Debug)]
pub struct AggfragInbound {
    receiver: AggfragReceiver,
    patience: Duration,
    /// Since when payloads are held that wait for others.
    waiting_since: Option<Instant>,
}

/// What an ESP packet was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AggfragOpened {
    /// An AGGFRAG payload: what was whole has been delivered.
    Payload {
        /// The whole sequence number.
        seq: u64,
    },
    /// Something else, which lies in the packet as ESP left it: an IP packet or a dummy.
    Other(Opened),
}

impl AggfragInbound {
    /// Waits for payloads that others have overtaken by up to `window` numbers, and for none longer than `patience`
    /// (RFC 9347 §2.2.3).
    #[must_use]
    pub fn new(window: u16, patience: Duration) -> Self {
        Self { receiver: AggfragReceiver::new(window), patience, waiting_since: None }
    }

    /// Opens a packet, from its SPI on, and hands the inner packets that became whole to `deliver`, in order.
    /// `ecn` is the outer header's; marks are told to the peer, and not written into inner packets.
    ///
    /// # Errors
    /// [`OpenError`], [`OpenError::Inner`] for a malformed payload among them.
    pub fn open(
        &mut self,
        now: Instant,
        esp: &mut EspInbound,
        packet: &mut [u8],
        ecn: Ecn,
        congestion: Option<&mut Congestion>,
        deliver: &mut dyn FnMut(&[u8]),
    ) -> Result<AggfragOpened, OpenError> {
        let opened = esp.open_in_place(packet)?;
        if opened.next_header != IpProtocol::AGGFRAG {
            return Ok(AggfragOpened::Other(opened));
        }
        let payload = packet.get(opened.payload.clone()).unwrap_or_default();
        let inserted = self.receiver.insert(opened.seq, payload, deliver);
        if let Some(congestion) = congestion {
            let control = inserted.as_ref().ok().and_then(Option::as_ref);
            congestion.received(now, opened.seq, ecn == Ecn::Ce, control);
        }
        self.note_waiting(now);
        match inserted {
            Ok(_) => Ok(AggfragOpened::Payload { seq: opened.seq }),
            Err(_) => {
                esp.count(OpenError::Inner);
                Err(OpenError::Inner)
            }
        }
    }

    /// When what is missing is given up, if anything is.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting_since.map(|since| since + self.patience)
    }

    /// Gives up what has been missing for too long at `now`, and hands out what waited for it.
    pub fn handle_timeout(&mut self, now: Instant, deliver: &mut dyn FnMut(&[u8])) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.receiver.flush(deliver);
            self.waiting_since = None;
        }
    }

    /// What happened so far.
    #[must_use]
    pub const fn stats(&self) -> &AggfragStats {
        self.receiver.stats()
    }

    fn note_waiting(&mut self, now: Instant) {
        self.waiting_since = match (self.receiver.is_waiting(), self.waiting_since) {
            (false, _) => None,
            (true, since) => since.or(Some(now)),
        };
    }
}
