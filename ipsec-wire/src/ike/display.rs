//! Messages for people: an indented tree with names and numbers, and a one-line list of payload names.
//!
//! `{}` cuts long octet strings after 32, `{:#}` prints them whole. The data of EAP packets is never
//! printed: it can hold passwords.

use core::fmt::{self, Display, Formatter};
use core::str;

use super::algorithm::AlgorithmIdentifier;
use super::auth::AuthView;
use super::cert::CertView;
use super::cfg_value::CfgValue;
use super::eap::{EapCode, EapMethod, EapView, MsChapV2OpCode, SimAkaSubtype};
use super::header::Header;
use super::message::{Message, MessageView};
use super::notify::NotifyView;
use super::notify_data::{Gateway, GatewayType, NotifyData, PpkIdType};
use super::payload::{CRITICAL, PayloadChain, PayloadKind, PayloadView, Payloads};
use super::registry::{
    AttributeType, AuthMethod, CertEncoding, CfgAttributeType, CfgType, EapType, ExchangeType, HashId,
    IdType, IpCompTransform, KeId, NotifyType, PayloadType, PrfId, ProtocolId, SecurePasswordMethod,
    TransformType, TsType,
};
use super::sa::{AttributeValueView, ProposalView, TransformView};
use super::ts::{TrafficSelectorView, TsView};
use super::vendor::vendor_name;
use crate::ip::IpProtocol;

/// Octets of a string that `{}` prints.
const CUT: usize = 32;

/// A registry's name with its number.
pub(crate) struct Named<N>(pub(crate) Option<&'static str>, pub(crate) N);

impl<N: Display> Display for Named<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "{name} ({})", self.1),
            None => write!(f, "unknown ({})", self.1),
        }
    }
}

macro_rules! display_names {
    ($($registry:ident)*) => { $(
        impl From<$registry> for $crate::ike::display::Named<u32> {
            fn from(value: $registry) -> Self {
                Self(value.name(), value.value().into())
            }
        }
    )* };
}

pub(crate) use display_names;

display_names! {
    AttributeType AuthMethod CertEncoding CfgAttributeType CfgType EapType ExchangeType HashId IdType KeId
    NotifyType PayloadType ProtocolId TransformType TsType IpProtocol IpCompTransform PrfId EapCode
    SecurePasswordMethod GatewayType PpkIdType SimAkaSubtype MsChapV2OpCode
}

pub(crate) fn named(value: impl Into<Named<u32>>) -> Named<u32> {
    value.into()
}

/// Octets in hexadecimal.
pub(crate) struct Hex<'a> {
    pub(crate) octets: &'a [u8],
    pub(crate) whole: bool,
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

/// Reserved octets, where one is not zero: whoever sends them is to set none (RFC 7296 §2.5).
struct Reserved<'a>(&'a [u8]);

impl Display for Reserved<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.iter().all(|octet| *octet == 0) {
            true => Ok(()),
            false => write!(f, ", reserved 0x{}", Hex { octets: self.0, whole: true }),
        }
    }
}

/// Text of the peer's, with everything escaped that a terminal could take for a command.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_debug())
    }
}

/// Writes the lines of a tree: a line break between them, none behind the last.
pub(crate) struct Tree<'f, 'b> {
    f: &'f mut Formatter<'b>,
    first: bool,
}

impl<'f, 'b> Tree<'f, 'b> {
    pub(crate) const fn new(f: &'f mut Formatter<'b>) -> Self {
        Self { f, first: true }
    }

    pub(crate) fn line(&mut self, depth: usize, what: fmt::Arguments<'_>) -> fmt::Result {
        if !self.first {
            self.f.write_str("\n")?;
        }
        self.first = false;
        (0..depth).try_for_each(|_| self.f.write_str("  "))?;
        self.f.write_fmt(what)
    }

    /// Goes on with the line that was written last.
    pub(crate) fn append(&mut self, what: fmt::Arguments<'_>) -> fmt::Result {
        self.f.write_fmt(what)
    }

    /// Whether octet strings are to be printed whole.
    pub(crate) fn whole(&self) -> bool {
        self.f.alternate()
    }

    pub(crate) fn octets(&mut self, depth: usize, octets: &[u8]) -> fmt::Result {
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
        let reserved = [payload.flags & !CRITICAL];
        let reserved = Reserved(&reserved);
        self.line(depth, format_args!("{name}{critical}{reserved}, {length} octets"))?;
        let depth = depth + 1;
        match payload.kind() {
            PayloadKind::Sa(sa) => sa.proposals().try_for_each(|proposal| self.proposal(depth, proposal)),
            PayloadKind::Ke(ke) => {
                self.line(depth, format_args!("method {}{}", named(ke.method), Reserved(&ke.reserved)))?;
                self.octets(depth, ke.data)
            }
            PayloadKind::IdI(id) | PayloadKind::IdR(id) => {
                self.line(depth, format_args!("type {}{}", named(id.id_type), Reserved(&id.reserved)))?;
                match (id.address(), id.text()) {
                    (Some(address), _) => self.line(depth, format_args!("{address}")),
                    (None, Some(text)) => self.line(depth, format_args!("{}", Text(text))),
                    (None, None) => self.octets(depth, id.data),
                }
            }
            PayloadKind::Cert(cert) => self.certificate(depth, cert),
            PayloadKind::CertReq(request) => {
                self.line(depth, format_args!("encoding {}", named(request.encoding)))?;
                match request.authorities() {
                    Some(mut authorities) => authorities.try_for_each(|hash| {
                        self.line(depth, format_args!("authority {}", Hex { octets: hash, whole: true }))
                    }),
                    None => self.octets(depth, request.data),
                }
            }
            PayloadKind::Auth(auth) => self.auth(depth, auth),
            PayloadKind::Notify(notify) => self.notify(depth, notify),
            PayloadKind::Delete(delete) => {
                self.line(depth, format_args!("protocol {}", named(delete.protocol)))?;
                if delete.spi_size != 0 && delete.spis().len() == 0 {
                    write!(self.f, ", no SPIs of {} octets", delete.spi_size)?;
                }
                delete.spis().try_for_each(|spi| {
                    self.line(depth, format_args!("SPI {}", Hex { octets: spi, whole: true }))
                })
            }
            PayloadKind::Vendor(vendor) => self.vendor(depth, vendor),
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
                self.line(depth, format_args!("type {}{}", named(cp.cfg_type), Reserved(&cp.reserved)))?;
                cp.fields().try_for_each(|(kind, reserved, value)| {
                    let reserved = if reserved { ", reserved bit" } else { "" };
                    self.line(depth, format_args!("attribute {}{reserved}", named(kind)))?;
                    self.cfg_value(depth + 1, CfgValue::read(kind, value))
                })
            }
            PayloadKind::Eap(eap) => self.eap(depth, eap),
            PayloadKind::Ps(solution) => match solution.keys() {
                Some(keys) => keys.into_iter().try_for_each(|key| {
                    self.line(depth, format_args!("key {}", Hex { octets: key, whole: true }))
                }),
                None => self.octets(depth, solution.data),
            },
            PayloadKind::Nonce(octets) | PayloadKind::Gspm(octets) | PayloadKind::Unknown(octets) => {
                self.octets(depth, octets)
            }
        }
    }

    fn proposal(&mut self, depth: usize, proposal: ProposalView<'_>) -> fmt::Result {
        let (number, protocol) = (proposal.number, named(proposal.protocol));
        self.line(depth, format_args!("proposal {number}, protocol {protocol}"))?;
        if !proposal.spi.is_empty() {
            write!(self.f, ", SPI {}", Hex { octets: proposal.spi, whole: true })?;
        }
        write!(self.f, "{}", Reserved(&[proposal.reserved]))?;
        proposal.transforms().try_for_each(|transform| self.transform(depth + 1, transform))
    }

    fn transform(&mut self, depth: usize, transform: TransformView<'_>) -> fmt::Result {
        let kind = named(transform.transform_type);
        let id = Named(transform.transform_type.id_name(transform.id), transform.id);
        self.line(depth, format_args!("{kind}: {id}{}", Reserved(&transform.reserved)))?;
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
            self.line(depth, format_args!("protocol {}", named(notify.protocol)))?;
            if !notify.spi.is_empty() {
                write!(self.f, ", SPI {}", Hex { octets: notify.spi, whole: true })?;
            }
        }
        self.notify_data(depth, notify.content())
    }

    fn notify_data(&mut self, depth: usize, data: NotifyData<'_>) -> fmt::Result {
        match data {
            NotifyData::Empty => Ok(()),
            NotifyData::CriticalPayload(kind) => self.line(depth, format_args!("payload {}", named(kind))),
            NotifyData::MessageId(id) => self.line(depth, format_args!("message id {id}")),
            NotifyData::KeMethod(method) => self.line(depth, format_args!("wanted {}", named(method))),
            NotifyData::WindowSize(size) => self.line(depth, format_args!("{size}")),
            NotifyData::IpComp { cpi, transform, attributes } => {
                self.line(depth, format_args!("CPI {cpi:#06x}, {}", named(transform)))?;
                self.octets(depth, attributes)
            }
            NotifyData::Address(address) => self.line(depth, format_args!("{address}")),
            NotifyData::NoNats { source, destination } => {
                self.line(depth, format_args!("from {source} to {destination}"))
            }
            NotifyData::AuthLifetime(seconds) => self.line(depth, format_args!("{seconds} s")),
            NotifyData::Redirect { gateway, nonce } => {
                self.gateway(depth, gateway)?;
                self.octets(depth, nonce)
            }
            NotifyData::RedirectedFrom(gateway) => self.gateway(depth, gateway),
            NotifyData::TicketWithLifetime { lifetime, ticket } => {
                self.line(depth, format_args!("{lifetime} s"))?;
                self.octets(depth, ticket)
            }
            NotifyData::MessageIdSync { nonce, expected_send, expected_receive } => {
                let nonce = Hex { octets: &nonce, whole: true };
                self.line(
                    depth,
                    format_args!("nonce {nonce}, will send {expected_send}, expects {expected_receive}"),
                )
            }
            NotifyData::ReplayCounterSync32(delta) => self.line(depth, format_args!("by {delta}")),
            NotifyData::ReplayCounterSync64(delta) => self.line(depth, format_args!("by {delta} (64 bits)")),
            NotifyData::PasswordMethods(methods) => methods
                .iter::<SecurePasswordMethod>()
                .try_for_each(|method| self.line(depth, format_args!("{}", named(method)))),
            NotifyData::Domain(domain) => self.line(depth, format_args!("{}", Text(domain))),
            NotifyData::SignatureHashes(hashes) => {
                hashes.iter::<HashId>().try_for_each(|hash| self.line(depth, format_args!("{}", named(hash))))
            }
            NotifyData::Puzzle { prf, difficulty } => {
                self.line(depth, format_args!("{}, difficulty {difficulty}", named(prf)))
            }
            NotifyData::PpkIdentity { id_type, id } => {
                self.line(depth, format_args!("{}", named(id_type)))?;
                self.text_or_octets(depth, id)
            }
            NotifyData::PpkIdentityKey { id_type, id, confirmation } => {
                let confirmation = Hex { octets: &confirmation, whole: true };
                self.line(depth, format_args!("{}, confirmation {confirmation}", named(id_type)))?;
                self.text_or_octets(depth, id)
            }
            NotifyData::UseAggfrag(flags) => {
                let split = flags.contains(super::notify_data::AggfragFlags::DONT_FRAGMENT);
                let control = flags.contains(super::notify_data::AggfragFlags::CONGESTION_CONTROL);
                let (split, control) = (if split { 'D' } else { '-' }, if control { 'C' } else { '-' });
                self.line(depth, format_args!("flags {split}{control} ({:#04x})", flags.0))
            }
            NotifyData::AuthMethods(methods) => methods.iter().try_for_each(|announced| {
                self.line(depth, format_args!("{}", named(announced.method)))?;
                if let Some(link) = announced.cert_link {
                    write!(self.f, ", authority {link}")?;
                }
                if announced.algorithm.is_empty() {
                    return Ok(());
                }
                self.algorithm(depth + 1, announced.algorithm, announced.algorithm_identifier())
            }),
            NotifyData::ResourceInfo(octets) => self.text_or_octets(depth, octets),
            NotifyData::NatDetection(hash) => self.octets(depth, hash),
            NotifyData::Malformed(octets) => {
                self.line(depth, format_args!("malformed, {} octets", octets.len()))?;
                self.octets(depth, octets)
            }
            NotifyData::Spi(octets)
            | NotifyData::Packet(octets)
            | NotifyData::Cookie(octets)
            | NotifyData::Ticket(octets)
            | NotifyData::LinkId(octets)
            | NotifyData::CrashToken(octets)
            | NotifyData::NoPpkAuth(octets)
            | NotifyData::KeyExchangeLink(octets)
            | NotifyData::Opaque(octets) => self.octets(depth, octets),
        }
    }

    fn gateway(&mut self, depth: usize, gateway: Gateway<'_>) -> fmt::Result {
        match (gateway.address(), gateway.fqdn()) {
            (Some(address), _) => self.line(depth, format_args!("gateway {address}")),
            (None, Some(name)) => self.line(depth, format_args!("gateway {}", Text(name))),
            (None, None) => {
                self.line(depth, format_args!("gateway by {}", named(gateway.gateway_type)))?;
                self.octets(depth, gateway.identity)
            }
        }
    }

    fn text_or_octets(&mut self, depth: usize, octets: &[u8]) -> fmt::Result {
        match str::from_utf8(octets) {
            Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => {
                self.line(depth, format_args!("{}", Text(text)))
            }
            _ => self.octets(depth, octets),
        }
    }

    pub(crate) fn vendor(&mut self, depth: usize, vendor: &[u8]) -> fmt::Result {
        let Some(known) = vendor_name(vendor) else { return self.text_or_octets(depth, vendor) };
        self.line(depth, format_args!("{}", known.name))?;
        self.text_or_octets(depth + 1, known.rest)
    }

    pub(crate) fn certificate(&mut self, depth: usize, cert: CertView<'_>) -> fmt::Result {
        self.line(depth, format_args!("encoding {}", named(cert.encoding)))?;
        let Some(found) = cert.hash_and_url() else { return self.octets(depth, cert.data) };
        self.line(depth, format_args!("SHA-1 {}", Hex { octets: found.hash, whole: true }))?;
        self.line(depth, format_args!("{}", Text(found.url)))
    }

    fn auth(&mut self, depth: usize, auth: AuthView<'_>) -> fmt::Result {
        self.line(depth, format_args!("method {}{}", named(auth.method), Reserved(&auth.reserved)))?;
        let Some(parts) = auth.digital_signature() else { return self.octets(depth, auth.data) };
        self.algorithm(depth, parts.algorithm, parts.algorithm_identifier())?;
        self.octets(depth, parts.signature)
    }

    fn algorithm(&mut self, depth: usize, der: &[u8], read: Option<AlgorithmIdentifier<'_>>) -> fmt::Result {
        let name = read.and_then(|algorithm| algorithm.name()).unwrap_or("unknown");
        self.line(depth, format_args!("algorithm {name}"))?;
        if let Some(hash) = read.and_then(|algorithm| algorithm.pss_hash()) {
            write!(self.f, " with {hash}")?;
        }
        if name == "unknown" {
            write!(self.f, " ({})", Hex { octets: der, whole: self.f.alternate() })?;
        }
        Ok(())
    }

    fn cfg_value(&mut self, depth: usize, value: CfgValue<'_>) -> fmt::Result {
        match value {
            CfgValue::Empty => Ok(()),
            CfgValue::Ipv4(address) => self.line(depth, format_args!("{address}")),
            CfgValue::Ipv6(address) => self.line(depth, format_args!("{address}")),
            CfgValue::Ipv6Prefix { address, prefix_len } => {
                self.line(depth, format_args!("{address}/{prefix_len}"))
            }
            CfgValue::Ipv4Subnet { address, netmask } => {
                self.line(depth, format_args!("{address} mask {netmask}"))
            }
            CfgValue::Text(text) => self.line(depth, format_args!("{}", Text(text))),
            CfgValue::Attributes(list) => list
                .iter::<CfgAttributeType>()
                .try_for_each(|kind| self.line(depth, format_args!("{}", named(kind)))),
            CfgValue::Seconds(seconds) => self.line(depth, format_args!("{seconds} s")),
            CfgValue::HomePrefix { lifetime, address, prefix_len } => {
                self.line(depth, format_args!("{address}/{prefix_len} for {lifetime} s"))
            }
            CfgValue::Ipv6Link { interface_id, link_id } => {
                let interface_id = Hex { octets: &interface_id, whole: true };
                self.line(depth, format_args!("interface id {interface_id}"))?;
                self.octets(depth, link_id)
            }
            CfgValue::TrustAnchor { key_tag, algorithm, digest_type, digest } => {
                self.line(
                    depth,
                    format_args!("key tag {key_tag}, algorithm {algorithm}, digest type {digest_type}"),
                )?;
                self.octets(depth, digest)
            }
            CfgValue::EncryptedDns(resolver) => {
                self.line(depth, format_args!("priority {}", resolver.service_priority))?;
                resolver.addresses().try_for_each(|a| self.line(depth, format_args!("address {a}")))?;
                self.text_or_octets(depth, resolver.adn)?;
                self.octets(depth, resolver.svc_params)
            }
            CfgValue::Opaque(octets) => self.octets(depth, octets),
            CfgValue::Malformed(octets) => {
                self.line(depth, format_args!("malformed, {} octets", octets.len()))?;
                self.octets(depth, octets)
            }
        }
    }

    fn selectors(&mut self, depth: usize, ts: TsView<'_>) -> fmt::Result {
        if ts.reserved != [0; 3] {
            self.line(depth, format_args!("reserved 0x{}", Hex { octets: &ts.reserved, whole: true }))?;
        }
        ts.selectors().try_for_each(|selector| self.line(depth, format_args!("{selector}")))
    }

    /// Headers only: data can hold passwords.
    fn eap(&mut self, depth: usize, packet: &[u8]) -> fmt::Result {
        let eap = match EapView::parse(packet, 0) {
            Ok(eap) => eap,
            Err(error) => return self.line(depth, format_args!("not an EAP packet: {error}")),
        };
        self.line(depth, format_args!("{}, id {}", named(eap.code), eap.identifier))?;
        let Some(method) = eap.method() else { return Ok(()) };
        write!(self.f, ", type {}", named(method.eap_type()))?;
        match method {
            EapMethod::Nak(wanted) => wanted
                .iter()
                .try_for_each(|&kind| self.line(depth + 1, format_args!("wanted {}", named(EapType(kind))))),
            EapMethod::Tls { flags, message_length, data, .. } => {
                self.line(depth + 1, format_args!("flags {:#04x}, {} octets", flags.0, data.len()))?;
                message_length.map_or(Ok(()), |length| write!(self.f, " of {length}"))
            }
            EapMethod::SimAka { subtype, attributes, .. } => {
                self.line(depth + 1, format_args!("{}", named(subtype)))?;
                write!(self.f, ", {} attributes", attributes.iter().count())
            }
            EapMethod::MsChapV2 { op_code, .. } => self.line(depth + 1, format_args!("{}", named(op_code))),
            EapMethod::Expanded { vendor, vendor_type, .. } => {
                self.line(depth + 1, format_args!("vendor {vendor}, type {vendor_type}"))
            }
            _ => Ok(()),
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
        if let Some(label) = self.security_label() {
            return match str::from_utf8(label.strip_suffix(&[0]).unwrap_or(label)) {
                Ok(text) if !text.is_empty() => write!(f, "{}, label {}", named(self.ts_type), Text(text)),
                _ => write!(
                    f,
                    "{}, label {}",
                    named(self.ts_type),
                    Hex { octets: label, whole: f.alternate() }
                ),
            };
        }
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
