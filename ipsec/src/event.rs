//! What comes out of a stack: datagrams to send, events, and when to come again; and the verdicts of the data path.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::Range;

use ikev2_core::{
    CloseReason, ConnectionId, Error, ExchangeTrace, Identity, IkeEstablished, IkeHandle, KeyLogLine, OpId,
    Path, Request,
};
use ipsec_esp::tunnel::OuterFields;
use ipsec_sa::{Instant, PolicyId, SaUpdate, TrafficSelector, Unauthorized};
use ipsec_wire::{IpProtocol, Spi};

use crate::{DropReason, InstallError, Volume};

mod display;

pub(crate) use display::Listed;

/// Where a datagram came from and what its IP header said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meta {
    /// The way it came. Its transport says what may be in it: IKE alone ([`ikev2_core::Transport::Udp`]), IKE, ESP
    /// and keepalives ([`ikev2_core::Transport::UdpEncap`]), or ESP alone ([`ikev2_core::Transport::Ip`]).
    pub path: Path,
    /// The IP header's ECN field (0..=3); 0 where the socket does not tell.
    pub ecn: u8,
}

impl Meta {
    /// A datagram whose ECN field is not known.
    #[must_use]
    pub const fn new(path: Path) -> Self {
        Self { path, ecn: 0 }
    }
}

/// What became of a datagram or packet from the outside.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Received {
    /// The IKE endpoint took it.
    Ike,
    /// A NAT keepalive (RFC 3948 §2.3).
    Keepalive,
    /// An authentic inner packet that its SA is for; it may go on.
    Inner {
        /// Where it lies in the buffer.
        range: Range<usize>,
        /// The SPI of the SA that it came through.
        sa: Spi,
    },
    /// An authentic payload of transport or BEET mode that came as a datagram, so without an IP header.
    Upper {
        /// Where it lies in the buffer.
        range: Range<usize>,
        /// What it is.
        protocol: IpProtocol,
        /// Source that its IP header would have; behind a NAT not the one that a checksum in it counts (RFC 3948 §3.1.2).
        src: IpAddr,
        /// Destination that its IP header would have.
        dst: IpAddr,
        /// The SPI of the SA that it came through.
        sa: Spi,
    },
    /// A packet in clear that policy lets pass.
    Clear {
        /// Where it lies in the buffer.
        range: Range<usize>,
    },
    /// A fragment to one of our own addresses; once all are there the packet comes out as [`Output::Deliver`].
    Fragment,
    /// Somebody on the path says that our packets are too big.
    PathMtu {
        /// The Child SA, by its inbound SPI.
        sa: Spi,
        /// The longest IP packet that can go through it now.
        inner: usize,
    },
    /// It goes no further.
    Dropped(DropReason),
}

/// What becomes of an IP packet from the inside.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// It was sealed in place; to be sent.
    Send {
        /// Where the sealed packet lies in the buffer.
        range: Range<usize>,
        /// From where to where.
        path: Path,
        /// DSCP, ECN and DF for the outer IP header, where somebody else writes it.
        fields: OuterFields,
    },
    /// Policy lets it pass in clear, as it is.
    Bypass,
    /// A copy waits for an SA that is being set up.
    Queued,
    /// It was too long for the path, was cut, and each fragment sealed: they come out as [`Output::Transmit`].
    Fragmented {
        /// How many.
        packets: usize,
    },
    /// It goes no further.
    Dropped(DropReason),
}

/// One thing to do outside. Call [`crate::Stack::poll_output`] until it says [`Output::Timeout`].
#[derive(Debug)]
pub enum Output {
    /// Send this datagram.
    Transmit {
        /// From where to where.
        path: Path,
        /// What the socket is to send.
        data: Vec<u8>,
        /// DSCP, ECN and DF for the outer IP header.
        fields: OuterFields,
    },
    /// An IP packet for the inside: what was put together from fragments, or an ICMP message to a sender.
    Deliver(Vec<u8>),
    /// Something the caller wants to know or must do.
    Event(IkeHandle, Event),
    /// Nothing more now; call [`crate::Stack::handle_timeout`] at this time, if any.
    Timeout(Option<Instant>),
}

/// One event of one IKE SA. SAs are already installed, or gone, when the event tells of it. `Display` is a line for
/// people; of failures it says what did not match, ours against theirs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The peer has proven its identity.
    IkeEstablished(Box<IkeEstablished>),
    /// The peer has proven its identity, but the PAD does not let it in: its IKE SA is ended, and no Child SA of it
    /// carries anything.
    PeerRefused {
        /// Who it is.
        identity: Identity,
        /// Why.
        why: Unauthorized,
    },
    /// A new IKE SA has taken over this one's children.
    IkeRekeyed {
        /// The new IKE SA.
        replaced_by: IkeHandle,
    },
    /// The IKE SA is gone.
    IkeClosed {
        /// Why.
        reason: CloseReason,
    },
    /// A Child SA is in use from now on.
    ChildInstalled(Box<ChildInstalled>),
    /// A Child SA is gone.
    ChildClosed {
        /// SPI of packets to us.
        inbound: Spi,
        /// SPI of packets from us.
        outbound: Spi,
        /// Why.
        reason: CloseReason,
        /// What was sealed.
        sent: Volume,
        /// What was opened.
        received: Volume,
    },
    /// A Child SA did not come about, or its rekey failed for good; the IKE SA stays.
    ChildFailed {
        /// The child's name in the configuration, or the connection's where the peer asked for none of its children.
        child: String,
        /// Why.
        error: Box<Error>,
    },
    /// A Child SA was negotiated and cannot be used here; the peer is told so, or that it is gone.
    ChildRefused {
        /// SPI of packets to us.
        inbound: Spi,
        /// Why.
        error: Box<InstallError>,
    },
    /// The peer says that it does not have the Child SA that our packets come on (INVALID_SPI, RFC 7296 §1.5). Nothing
    /// has changed: it may be a packet that was late, or the SA may have to be made anew ([`crate::Stack::rekey_child`]).
    PeerLacksChild {
        /// SPI of packets to us, where we have the SA still.
        inbound: Option<Spi>,
        /// SPI of packets from us.
        outbound: Spi,
    },
    /// Packets of this Child SA travel another way from now on.
    ChildMoved(SaUpdate),
    /// Packets that waited for an SA were dropped: the set-up failed.
    QueueCleared {
        /// The policy that they waited under.
        policy: PolicyId,
        /// How many.
        packets: usize,
        /// Their octets.
        octets: usize,
        /// Until when packets of this policy are dropped without another try.
        until: Instant,
    },
    /// A slow or outside step, to be answered by [`crate::Stack::answer`] before `deadline`.
    Needs {
        /// Names the step in the answer.
        op: OpId,
        /// After this time the answer is of no use.
        deadline: Instant,
        /// The step.
        what: Request,
    },
    /// A message was sent or received ([`ikev2_core::EndpointConfig::trace`]).
    Exchange(Box<ExchangeTrace>),
    /// Secrets in Wireshark's format ([`ikev2_core::EndpointConfig::key_log`]).
    Keys(KeyLogLine),
}

/// A Child SA that was installed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildInstalled {
    /// The connection it belongs to.
    pub connection: Option<ConnectionId>,
    /// The child's name in the configuration.
    pub child: String,
    /// SPI of packets to us.
    pub inbound: Spi,
    /// SPI of packets from us.
    pub outbound: Spi,
    /// The inbound SPI of the Child SA that this one replaces.
    pub replaces: Option<Spi>,
    /// What may come from our side.
    pub local: Vec<TrafficSelector>,
    /// What may come from the peer's side.
    pub remote: Vec<TrafficSelector>,
    /// The way of its packets.
    pub path: Path,
    /// The algorithms, as a proposal string.
    pub suite: String,
}
