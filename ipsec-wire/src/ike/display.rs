//! Messages for people: an indented tree with names and numbers, and a one-line list of payload names.
//!
//! `{}` cuts long octet strings after 32, `{:#}` prints them whole. The data of EAP packets is never
//! printed: it can hold passwords.

use core::fmt::{self, Display, Formatter};
use core::str;

use super::header::Header;
use super::message::{Message, MessageView};
use super::notify::NotifyView;
use super::payload::{PayloadChain, PayloadKind, PayloadView, Payloads};
use super::registry::{
    AttributeType, AuthMethod, CertEncoding, CfgAttributeType, CfgType, EapType, ExchangeType, HashId,
    IdType, KeId, NotifyType, PayloadType, ProtocolId, TransformType, TsType,
};
use super::sa::{AttributeValueView, ProposalView, TransformView};
use super::ts::{TrafficSelectorView, TsView};
use crate::ip::IpProtocol;
use crate::octets::{u16_at, u32_at};

/// Octets of a string that `{}` prints.
const CUT: usize = 32;

/// A registry's name with its number.
struct Named<N>(Option<&'static str>, N);

impl<N: Display> Display for Named<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "{name} ({})", self.1),
            None => write!(f, "unknown ({})", self.1),
        }
    }
}

macro_rules! named {
    ($($registry:ident)*) => { $(
        impl From<$registry> for Named<u32> {
            fn from(value: $registry) -> Self {
                Self(value.name(), value.value().into())
            }
        }
    )* };
}

named! {
    AttributeType AuthMethod CertEncoding CfgAttributeType CfgType EapType ExchangeType HashId IdType KeId
    NotifyType PayloadType ProtocolId TransformType TsType IpProtocol
}

fn named(value: impl Into<Named<u32>>) -> Named<u32> {
    value.into()
}

/// Octets in hexadecimal.
struct Hex<'a> {
    octets: &'a [u8],
    whole: bool,
}

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shown = if self.whole { self.octets } else { self.octets.get(..CUT).unwrap_or(self.octets) };
        shown.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
        match self.octets.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, "… {more} more"),
        }
    }
}

/// Text of the peer's, with everything escaped that a terminal could take for a command.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_debug())
    }
}

/// Writes the lines of a tree: a line break between them, none behind the last.
struct Tree<'f, 'b> {
    f: &'f mut Formatter<'b>,
    first: bool,
}

impl<'f, 'b> Tree<'f, 'b> {
    const fn new(f: &'f mut Formatter<'b>) -> Self {
        Self { f, first: true }
    }

    fn line(&mut self, depth: usize, what: fmt::Arguments<'_>) -> fmt::Result {
        if !self.first {
            self.f.write_str("\n")?;
        }
        self.first = false;
        (0..depth).try_for_each(|_| self.f.write_str("  "))?;
        self.f.write_fmt(what)
    }

    fn octets(&mut self, depth: usize, octets: &[u8]) -> fmt::Result {
        if octets.is_empty() {
            return Ok(());
        }
        let whole = self.f.alternate();
        self.line(depth, format_args!("{}", Hex { octets, whole }))
    }

    fn header(&mut self, header: Header) -> fmt::Result {
        let direction = if header.flags.is_response() { "response" } else { "request" };
        let (major, minor) = (header.major_version(), header.minor_version());
        self.line(
            0,
            format_args!(
                "{} {direction}, IKE {major}.{minor}, message id {}, flags {} ({:#04x}), {} octets",
                named(header.exchange_type),
                header.message_id,
                header.flags,
                header.flags.0,
                header.length,
            ),
        )?;
        self.line(1, format_args!("initiator SPI {}", header.initiator_spi))?;
        self.line(1, format_args!("responder SPI {}", header.responder_spi))
    }

    fn payloads(&mut self, depth: usize, payloads: Payloads<'_>) -> fmt::Result {
        let mut payloads = payloads;
        payloads.try_for_each(|payload| self.payload(depth, payload))
    }

    fn payload(&mut self, depth: usize, payload: PayloadView<'_>) -> fmt::Result {
        let critical = if payload.critical() { ", critical" } else { "" };
        let (name, length) = (named(payload.payload_type), payload.body.len() + 4);
        self.line(depth, format_args!("{name}{critical}, {length} octets"))?;
        let depth = depth + 1;
        match payload.kind() {
            PayloadKind::Sa(sa) => sa.proposals().try_for_each(|proposal| self.proposal(depth, proposal)),
            PayloadKind::Ke(ke) => {
                self.line(depth, format_args!("method {}", named(ke.method)))?;
                self.octets(depth, ke.data)
            }
            PayloadKind::IdI(id) | PayloadKind::IdR(id) => {
                self.line(depth, format_args!("type {}", named(id.id_type)))?;
                match (id.address(), id.text()) {
                    (Some(address), _) => self.line(depth, format_args!("{address}")),
                    (None, Some(text)) => self.line(depth, format_args!("{}", Text(text))),
                    (None, None) => self.octets(depth, id.data),
                }
            }
            PayloadKind::Cert(cert) => {
                self.line(depth, format_args!("encoding {}", named(cert.encoding)))?;
                self.octets(depth, cert.data)
            }
            PayloadKind::CertReq(request) => {
                self.line(depth, format_args!("encoding {}", named(request.encoding)))?;
                self.octets(depth, request.data)
            }
            PayloadKind::Auth(auth) => {
                self.line(depth, format_args!("method {}", named(auth.method)))?;
                self.octets(depth, auth.data)
            }
            PayloadKind::Notify(notify) => self.notify(depth, notify),
            PayloadKind::Delete(delete) => {
                self.line(depth, format_args!("protocol {}", named(delete.protocol)))?;
                delete.spis().try_for_each(|spi| {
                    self.line(depth, format_args!("SPI {}", Hex { octets: spi, whole: true }))
                })
            }
            PayloadKind::Vendor(vendor) => match str::from_utf8(vendor) {
                Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => {
                    self.line(depth, format_args!("{}", Text(text)))
                }
                _ => self.octets(depth, vendor),
            },
            PayloadKind::TsI(ts) | PayloadKind::TsR(ts) => self.selectors(depth, ts),
            PayloadKind::Sk(sk) => {
                self.line(depth, format_args!("first inside {}", named(sk.next)))?;
                self.octets(depth, sk.body)
            }
            PayloadKind::Skf(skf) => {
                let (number, total) = (skf.fragment_number, skf.total_fragments);
                self.line(
                    depth,
                    format_args!("fragment {number} of {total}, first inside {}", named(skf.next)),
                )?;
                self.octets(depth, skf.body)
            }
            PayloadKind::Cp(cp) => {
                self.line(depth, format_args!("type {}", named(cp.cfg_type)))?;
                cp.attributes().try_for_each(|(kind, value)| {
                    self.line(depth, format_args!("attribute {}", named(kind)))?;
                    self.octets(depth + 1, value)
                })
            }
            PayloadKind::Eap(eap) => self.eap(depth, eap),
            PayloadKind::Nonce(octets) | PayloadKind::Unknown(octets) => self.octets(depth, octets),
        }
    }

    fn proposal(&mut self, depth: usize, proposal: ProposalView<'_>) -> fmt::Result {
        let (number, protocol) = (proposal.number, named(proposal.protocol));
        if proposal.spi.is_empty() {
            self.line(depth, format_args!("proposal {number}, protocol {protocol}"))?;
        } else {
            let spi = Hex { octets: proposal.spi, whole: true };
            self.line(depth, format_args!("proposal {number}, protocol {protocol}, SPI {spi}"))?;
        }
        proposal.transforms().try_for_each(|transform| self.transform(depth + 1, transform))
    }

    fn transform(&mut self, depth: usize, transform: TransformView<'_>) -> fmt::Result {
        let kind = named(transform.transform_type);
        let id = Named(transform.transform_type.id_name(transform.id), transform.id);
        self.line(depth, format_args!("{kind}: {id}"))?;
        let whole = self.f.alternate();
        transform.attributes().try_for_each(|attribute| match (attribute.attribute_type, attribute.value) {
            (AttributeType::KEY_LENGTH, AttributeValueView::Tv(bits)) => {
                write!(self.f, ", {bits} bits")
            }
            (kind, AttributeValueView::Tv(value)) => {
                write!(self.f, ", attribute {} = {value}", named(kind))
            }
            (kind, AttributeValueView::Tlv(octets)) => {
                write!(self.f, ", attribute {} = {}", named(kind), Hex { octets, whole })
            }
        })
    }

    fn notify(&mut self, depth: usize, notify: NotifyView<'_>) -> fmt::Result {
        self.line(depth, format_args!("{}", named(notify.notify_type)))?;
        if notify.protocol != ProtocolId::NONE || !notify.spi.is_empty() {
            let spi = Hex { octets: notify.spi, whole: true };
            self.line(depth, format_args!("protocol {}, SPI {spi}", named(notify.protocol)))?;
        }
        match (notify.notify_type, notify.data.len()) {
            (NotifyType::INVALID_KE_PAYLOAD, 2) => {
                let method = KeId(u16_at(notify.data, 0).unwrap_or_default());
                self.line(depth, format_args!("wanted {}", named(method)))
            }
            (NotifyType::SET_WINDOW_SIZE, 4) => {
                self.line(depth, format_args!("{}", u32_at(notify.data, 0).unwrap_or_default()))
            }
            (NotifyType::SIGNATURE_HASH_ALGORITHMS, length) if length % 2 == 0 => {
                let mut hashes = notify.data.chunks_exact(2);
                hashes.try_for_each(|hash| {
                    self.line(depth, format_args!("{}", named(HashId(u16_at(hash, 0).unwrap_or_default()))))
                })
            }
            _ => self.octets(depth, notify.data),
        }
    }

    fn selectors(&mut self, depth: usize, ts: TsView<'_>) -> fmt::Result {
        ts.selectors().try_for_each(|selector| self.line(depth, format_args!("{selector}")))
    }

    fn eap(&mut self, depth: usize, packet: &[u8]) -> fmt::Result {
        let code = match packet.first() {
            Some(1) => "request",
            Some(2) => "response",
            Some(3) => "success",
            Some(4) => "failure",
            _ => "unknown code",
        };
        match (packet.get(1), packet.get(4)) {
            (Some(id), Some(&kind)) => {
                self.line(depth, format_args!("{code}, id {id}, type {}", named(EapType(kind))))
            }
            (Some(id), None) => self.line(depth, format_args!("{code}, id {id}")),
            _ => self.line(depth, format_args!("{code}")),
        }
    }
}

impl Display for MessageView<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut tree = Tree::new(f);
        tree.header(self.header())?;
        tree.payloads(1, self.payloads())
    }
}

impl<B: AsRef<[u8]>> Display for Message<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

impl Display for PayloadChain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Tree::new(f).payloads(0, self.payloads())
    }
}

impl Display for PayloadView<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Tree::new(f).payload(0, *self)
    }
}

impl Display for TrafficSelectorView<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some((start, end)) = self.addresses() else {
            let octets = Hex { octets: self.body, whole: f.alternate() };
            return write!(f, "{}, protocol {}: {octets}", named(self.ts_type), self.protocol);
        };
        if start == end {
            write!(f, "{start}")?;
        } else {
            write!(f, "{start}-{end}")?;
        }
        match self.protocol {
            0 => f.write_str(", any protocol")?,
            protocol => write!(f, ", protocol {}", named(IpProtocol(protocol)))?,
        }
        match (self.start_port, self.end_port) {
            (0, u16::MAX) => Ok(()),
            (u16::MAX, 0) => f.write_str(", ports opaque"),
            (start, end) if start == end => write!(f, ", port {start}"),
            (start, end) => write!(f, ", ports {start}-{end}"),
        }
    }
}

/// The names of a chain's payloads in the notation of RFC 7296 §1.2, such as
/// `SA KE Ni N(NAT_DETECTION_SOURCE_IP)`.
#[derive(Debug, Clone)]
pub struct Summary<'a> {
    payloads: Payloads<'a>,
    response: bool,
}

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, payload) in self.payloads.clone().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            match payload.kind() {
                PayloadKind::Notify(notify) => write!(f, "N({})", notify.notify_type)?,
                PayloadKind::Nonce(_) => f.write_str(if self.response { "Nr" } else { "Ni" })?,
                PayloadKind::Skf(skf) => {
                    write!(f, "SKF({}/{})", skf.fragment_number, skf.total_fragments)?;
                }
                PayloadKind::Cp(cp) => write!(f, "CP({})", cp.cfg_type)?,
                _ => write!(f, "{}", payload.payload_type)?,
            }
        }
        Ok(())
    }
}

impl<'a> MessageView<'a> {
    /// The names of the payloads on one line.
    #[must_use]
    pub fn summary(&self) -> Summary<'a> {
        Summary { payloads: self.payloads(), response: self.header().flags.is_response() }
    }
}

impl<'a> PayloadChain<'a> {
    /// The names of the payloads on one line, for a chain from a response or from a request.
    #[must_use]
    pub const fn summary(&self, is_response: bool) -> Summary<'a> {
        Summary { payloads: self.payloads(), response: is_response }
    }
}
