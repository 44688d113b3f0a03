//! What an endpoint tells its caller.

use alloc::boxed::Box;
use alloc::string::String;

use ipsec_sa::{Instant, SaParams, SaUpdate};
use ipsec_wire::ike::ExchangeType;
use ipsec_wire::{IkeSpi, Spi};

use crate::config::ConnectionId;
use crate::error::Error;
use crate::identity::Identity;
use crate::io::IkeHandle;
use crate::job::{OpId, Request};
use crate::path::Path;

/// One event of one IKE SA.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A slow or outside step, to be answered by [`crate::Endpoint::answer`] before `deadline`.
    Needs {
        /// Names the step in the answer.
        op: OpId,
        /// After this time the answer is of no use.
        deadline: Instant,
        /// The step.
        what: Request,
    },
    /// The peer has proven its identity.
    IkeEstablished(Box<IkeEstablished>),
    /// A new IKE SA has taken over this one's children; this one goes away by itself.
    IkeRekeyed {
        /// The new IKE SA.
        replaced_by: IkeHandle,
    },
    /// The IKE SA is gone, and its children with it (each got its own [`Event::ChildClosed`] before).
    IkeClosed {
        /// Why.
        reason: CloseReason,
    },
    /// A Child SA is to be used from now on.
    ChildInstalled(Box<ChildInstall>),
    /// A Child SA is not to be used any more.
    ChildClosed {
        /// SPI of packets to us.
        inbound: Spi,
        /// SPI of packets from us.
        outbound: Spi,
        /// Why.
        reason: CloseReason,
    },
    /// A Child SA that was asked for did not come about, or a rekey failed for good; the IKE SA stays.
    ChildFailed {
        /// The child's name in the configuration, or the connection's where the peer asked for none of its children.
        child: String,
        /// Why.
        error: Box<Error>,
    },
    /// The peer says that packets of this Child SA of ours reach it and that it does not have it (INVALID_SPI, RFC 7296
    /// §1.5). Nothing has changed: it may be a packet that was late, or the SA may have to be made anew.
    PeerLacksChild {
        /// SPI of packets from us.
        outbound: Spi,
    },
    /// The peer is reached at another address from now on; packets of this Child SA as well.
    ChildMoved(SaUpdate),
    /// An SPI from the pool was not needed after all.
    SpiReleased(Spi),
    /// A message was sent or received ([`crate::EndpointConfig::trace`]).
    Exchange(Box<ExchangeTrace>),
    /// Secrets in Wireshark's format ([`crate::EndpointConfig::key_log`]).
    Keys(KeyLogLine),
}

/// What was agreed with an authenticated peer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IkeEstablished {
    /// The connection it belongs to.
    pub connection: ConnectionId,
    /// Who we said we are.
    pub local_id: Identity,
    /// Who the peer has proven to be.
    pub remote_id: Identity,
    /// Whether we started it.
    pub initiated: bool,
    /// The initiator's SPI.
    pub spi_i: IkeSpi,
    /// The responder's SPI.
    pub spi_r: IkeSpi,
    /// The path it is on.
    pub path: Path,
    /// Whether a NAT stands before us.
    pub local_behind_nat: bool,
    /// Whether a NAT stands before the peer.
    pub remote_behind_nat: bool,
    /// The algorithms, as a proposal string.
    pub suite: String,
}

/// From when on the outbound SA may carry packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutboundUse {
    /// At once: the peer already has its inbound side.
    Now,
    /// From the first packet that arrives on the inbound SA, or when the SA it replaces is closed: the peer may
    /// not have the answer yet (RFC 7296 §2.8).
    AfterFirstInbound,
    /// Never: both sides replaced the same SA at once, this one lost and is about to be deleted (RFC 7296 §2.8.1).
    /// Packets may still come in on it.
    Never,
}

/// A new Child SA: two directions, and what it replaces.
#[derive(Debug)]
#[non_exhaustive]
pub struct ChildInstall {
    /// The child's name in the configuration.
    pub child: String,
    /// Packets to us.
    pub inbound: SaParams,
    /// Packets from us.
    pub outbound: SaParams,
    /// The inbound SPI of the Child SA that this one replaces.
    pub replaces: Option<Spi>,
    /// From when on the outbound SA may be used.
    pub outbound_use: OutboundUse,
    /// The algorithms, as a proposal string.
    pub suite: String,
    /// Whether more of the offered selectors could have come about in another Child SA: the responder says so
    /// (ADDITIONAL_TS_POSSIBLE, RFC 7296 §2.9).
    pub additional_ts: bool,
}

/// Why an SA is gone.
#[derive(Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// We were told to.
    Local,
    /// The peer deleted it.
    Peer,
    /// Another has taken its place.
    Rekeyed,
    /// It lost against the one that the peer made at the same time (RFC 7296 §2.8.1).
    Redundant,
    /// Its hard lifetime is over.
    Expired,
    /// Its IKE SA is gone.
    IkeClosed,
    /// Something went wrong.
    Failed(Box<Error>),
}

impl core::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Local => f.write_str("closed by us"),
            Self::Peer => f.write_str("closed by the peer"),
            Self::Rekeyed => f.write_str("replaced by a rekey"),
            Self::Redundant => f.write_str("redundant after a simultaneous rekey"),
            Self::Expired => f.write_str("lifetime over"),
            Self::IkeClosed => f.write_str("its IKE SA is gone"),
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}

/// One message, as a ladder diagram shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExchangeTrace {
    /// When.
    pub at: Instant,
    /// Whether we sent it.
    pub outbound: bool,
    /// Exchange type.
    pub exchange: ExchangeType,
    /// Whether it is a response.
    pub response: bool,
    /// Message id.
    pub message_id: u32,
    /// Payload names in order, such as `SA KE Ni N(COOKIE)`; those inside SK in braces.
    pub payloads: String,
    /// Length in octets, marker left out.
    pub octets: usize,
    /// Whether the same octets were sent before.
    pub retransmission: bool,
    /// The initiator's SPI.
    pub spi_i: IkeSpi,
    /// The responder's SPI.
    pub spi_r: IkeSpi,
}

/// A line of one of the two tables that Wireshark reads. It holds secrets: its `Debug` does not print them.
#[derive(Clone)]
pub enum KeyLogLine {
    /// For the file `ikev2_decryption_table`.
    Ikev2(String),
    /// For the file `esp_sa`.
    Esp(String),
}

impl core::fmt::Debug for KeyLogLine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Ikev2(_) => "Ikev2(..)",
            Self::Esp(_) => "Esp(..)",
        })
    }
}
