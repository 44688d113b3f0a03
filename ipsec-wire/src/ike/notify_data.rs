//! What the data of a Notify payload says, by the notification's type.
//!
//! Reading is total: data of the wrong form for its type is [`NotifyData::Malformed`], data of a type whose
//! form is not known is [`NotifyData::Opaque`]. `notify.content().to_vec() == notify.data` for any octets.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str;

use nom::bytes::complete::take;
use nom::number::complete::u8 as octet;
use nom::{IResult, Parser};

use super::algorithm::AlgorithmIdentifier;
use super::notify::{Notify, NotifyView};
use super::registry::{
    AuthMethod, HashId, IpCompTransform, KeId, NotifyType, PayloadType, PrfId, ProtocolId,
    SecurePasswordMethod,
};
use crate::newtype_enum;
use crate::octets::{array_at, put16, saturate8, u16_at, u32_at};

newtype_enum! {
    /// How a REDIRECT notification names a gateway (RFC 5685 §9.2).
    pub struct GatewayType(u8) {
        IPV4 = 1 => "IPv4 address",
        IPV6 = 2 => "IPv6 address",
        FQDN = 3 => "FQDN",
    }
}

newtype_enum! {
    /// How a post-quantum preshared key is named (RFC 8784 §5.1).
    pub struct PpkIdType(u8) {
        OPAQUE = 1 => "PPK_ID_OPAQUE",
        FIXED = 2 => "PPK_ID_FIXED",
    }
}

/// The flags of USE_AGGFRAG (RFC 9347 §5.1), each about what their sender wants to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AggfragFlags(pub u8);

impl AggfragFlags {
    /// D: the sender cannot receive inner packets that are split over payloads.
    pub const DONT_FRAGMENT: Self = Self(0x01);
    /// C: the sender wants congestion control information.
    pub const CONGESTION_CONTROL: Self = Self(0x02);

    /// Whether all bits of the other are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where a REDIRECT points or comes from (RFC 5685 §9.2, §9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gateway<'a> {
    /// How the gateway is named.
    pub gateway_type: GatewayType,
    /// Its name: an address's octets or a domain name; at most 255 octets.
    pub identity: &'a [u8],
}

impl<'a> Gateway<'a> {
    fn read(input: &'a [u8]) -> IResult<&'a [u8], Self> {
        let (input, (gateway_type, length)) = (octet, octet).parse(input)?;
        let (input, identity) = take(length)(input)?;
        Ok((input, Self { gateway_type: GatewayType(gateway_type), identity }))
    }

    /// The address, where it is named by one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.gateway_type {
            GatewayType::IPV4 | GatewayType::IPV6 => address(self.identity),
            _ => None,
        }
    }

    /// The domain name, where it is named by one that is UTF-8.
    #[must_use]
    pub fn fqdn(&self) -> Option<&'a str> {
        (self.gateway_type == GatewayType::FQDN).then(|| str::from_utf8(self.identity).ok()).flatten()
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.gateway_type.0, saturate8(self.identity.len())]);
        out.extend_from_slice(self.identity);
    }
}

/// A list of numbers of two octets each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers<'a> {
    octets: &'a [u8],
}

impl<'a> Numbers<'a> {
    /// The list in these octets; `None` for an odd number of them.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Option<Self> {
        if octets.len().is_multiple_of(2) { Some(Self { octets }) } else { None }
    }

    /// The numbers.
    pub fn iter<T: From<u16>>(&self) -> impl Iterator<Item = T> + use<'a, T> {
        self.octets.chunks_exact(2).filter_map(|pair| u16_at(pair, 0)).map(T::from)
    }

    /// The octets of the list.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }
}

/// The authentication methods of SUPPORTED_AUTH_METHODS (RFC 9593 §3.2). The three forms of an announcement were checked
/// against libreswan's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthAnnouncements<'a> {
    octets: &'a [u8],
}

/// One method that the sender accepts from its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthAnnouncement<'a> {
    /// The method.
    pub method: AuthMethod,
    /// Which authority of the CERTREQ payloads of the same message it goes with, from 1; 0 for any. `None`
    /// in the two-octet form.
    pub cert_link: Option<u8>,
    /// The signature algorithm, as DER; empty but for the Digital Signature method.
    pub algorithm: &'a [u8],
}

impl<'a> AuthAnnouncement<'a> {
    fn read(input: &'a [u8]) -> IResult<&'a [u8], Self> {
        let (input, length) = octet(input)?;
        let (rest, body) = take(usize::from(length).saturating_sub(1))(input)?;
        let (body, method) = octet(body)?;
        let (cert_link, algorithm) =
            body.split_first().map_or((None, body), |(link, rest)| (Some(*link), rest));
        Ok((rest, Self { method: AuthMethod(method), cert_link, algorithm }))
    }

    /// The signature algorithm, where it is there and readable.
    #[must_use]
    pub fn algorithm_identifier(&self) -> Option<AlgorithmIdentifier<'a>> {
        AlgorithmIdentifier::parse(self.algorithm, 0).ok()
    }

    /// Appends the announcement to the data of a notification.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let link = usize::from(self.cert_link.is_some() || !self.algorithm.is_empty());
        out.extend_from_slice(&[saturate8(2 + link + self.algorithm.len()), self.method.0]);
        if link == 1 {
            out.push(self.cert_link.unwrap_or_default());
        }
        out.extend_from_slice(self.algorithm);
    }
}

impl<'a> AuthAnnouncements<'a> {
    /// Reads the data of a notification; `None` when announcements do not fill it.
    #[must_use]
    pub fn new(octets: &'a [u8]) -> Option<Self> {
        let mut rest = octets;
        while !rest.is_empty() {
            rest = AuthAnnouncement::read(rest).ok()?.0;
        }
        Some(Self { octets })
    }

    /// The announcements, the most wanted first.
    pub fn iter(&self) -> impl Iterator<Item = AuthAnnouncement<'a>> + use<'a> {
        let mut rest = self.octets;
        core::iter::from_fn(move || {
            let (after, announcement) = AuthAnnouncement::read(rest).ok()?;
            rest = after;
            Some(announcement)
        })
    }
}

/// What the data of a notification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotifyData<'a> {
    /// Nothing: the type is all there is to say.
    Empty,
    /// UNSUPPORTED_CRITICAL_PAYLOAD: the payload that was not understood.
    CriticalPayload(PayloadType),
    /// INVALID_MESSAGE_ID: the id that was out of the window.
    MessageId(u32),
    /// INVALID_SPI: the SPI of the packet. Most senders use four octets.
    Spi(&'a [u8]),
    /// INVALID_KE_PAYLOAD: the method that is wanted instead.
    KeMethod(KeId),
    /// INVALID_SELECTORS: the start of the offending packet.
    Packet(&'a [u8]),
    /// SET_WINDOW_SIZE: how many requests the sender takes at once.
    WindowSize(u32),
    /// IPCOMP_SUPPORTED: the sender's CPI for a compression, and the compression's attributes.
    IpComp {
        /// The CPI that packets to the sender carry.
        cpi: u16,
        /// The compression.
        transform: IpCompTransform,
        /// Its attributes.
        attributes: &'a [u8],
    },
    /// NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP: SHA-1 of SPIs, address and port.
    NatDetection(&'a [u8; 20]),
    /// COOKIE and COOKIE2: to be returned unchanged.
    Cookie(&'a [u8]),
    /// ADDITIONAL_IP4_ADDRESS and ADDITIONAL_IP6_ADDRESS.
    Address(IpAddr),
    /// NO_NATS_ALLOWED: the addresses the packet was sent from and to (RFC 4555 §4.2.6).
    NoNats {
        /// Where it was sent from.
        source: SocketAddr,
        /// Where it was sent to.
        destination: SocketAddr,
    },
    /// AUTH_LIFETIME: seconds until authentication is to be repeated (RFC 4478 §3).
    AuthLifetime(u32),
    /// REDIRECT: where to go, and in an answer to IKE_SA_INIT the initiator's nonce (RFC 5685 §9.2).
    Redirect {
        /// The new gateway.
        gateway: Gateway<'a>,
        /// The initiator's nonce; empty in other exchanges.
        nonce: &'a [u8],
    },
    /// REDIRECTED_FROM: which gateway sent the initiator here (RFC 5685 §9.3).
    RedirectedFrom(Gateway<'a>),
    /// TICKET_LT_OPAQUE: a ticket and for how many seconds it is good (RFC 5723 §7.1).
    TicketWithLifetime {
        /// Seconds.
        lifetime: u32,
        /// The ticket.
        ticket: &'a [u8],
    },
    /// TICKET_OPAQUE: a ticket that is presented (RFC 5723 §7.2).
    Ticket(&'a [u8]),
    /// LINK_ID: the virtual link a Child SA belongs to (RFC 5739 §5.3).
    LinkId(&'a [u8]),
    /// QUICK_CRASH_DETECTION: the token that proves a lost IKE SA (RFC 6290 §4.1).
    CrashToken(&'a [u8]),
    /// IKEV2_MESSAGE_ID_SYNC (RFC 6311 §6.3).
    MessageIdSync {
        /// The same in request and response.
        nonce: [u8; 4],
        /// The message id of the sender's next request.
        expected_send: u32,
        /// The message id that the sender expects of its peer's next request.
        expected_receive: u32,
    },
    /// IPSEC_REPLAY_COUNTER_SYNC for 32-bit sequence numbers: by how much they jump (RFC 6311 §6.4).
    ReplayCounterSync32(u32),
    /// IPSEC_REPLAY_COUNTER_SYNC for 64-bit sequence numbers.
    ReplayCounterSync64(u64),
    /// SECURE_PASSWORD_METHODS: [`SecurePasswordMethod`]s (RFC 6467 §2).
    PasswordMethods(Numbers<'a>),
    /// ERX_SUPPORTED: the domain of the re-authentication server (RFC 6867 §4).
    Domain(&'a str),
    /// SIGNATURE_HASH_ALGORITHMS: [`HashId`]s (RFC 7427 §4).
    SignatureHashes(Numbers<'a>),
    /// PUZZLE (RFC 8019 §8.1).
    Puzzle {
        /// The PRF whose keys are sought.
        prf: PrfId,
        /// How many trailing zero bits each result must have; 0 leaves it to the initiator.
        difficulty: u8,
    },
    /// PPK_IDENTITY: the key's name (RFC 8784 §5.1); in an answer it may be empty, and then it is [`Self::Empty`].
    PpkIdentity {
        /// The form of the name.
        id_type: PpkIdType,
        /// The name.
        id: &'a [u8],
    },
    /// NO_PPK_AUTH: the authentication data as it were without the key (RFC 8784 §3).
    NoPpkAuth(&'a [u8]),
    /// PPK_IDENTITY_KEY: a key's name and a proof that the sender has it (RFC 9867 §3.1). What the proof is made of was
    /// checked against libreswan's; strongSwan 6.1 does not have the notification.
    PpkIdentityKey {
        /// The form of the name.
        id_type: PpkIdType,
        /// The name.
        id: &'a [u8],
        /// The first octets of a PRF over nonces and SPIs.
        confirmation: [u8; 8],
    },
    /// ADDITIONAL_KEY_EXCHANGE: ties exchanges together (RFC 9370 §2.2.4).
    KeyExchangeLink(&'a [u8]),
    /// USE_AGGFRAG (RFC 9347 §5.1).
    UseAggfrag(AggfragFlags),
    /// SUPPORTED_AUTH_METHODS (RFC 9593 §3.2).
    AuthMethods(AuthAnnouncements<'a>),
    /// SA_RESOURCE_INFO: opaque, for a person's eyes (RFC 9611 §5.1).
    ResourceInfo(&'a [u8]),
    /// Data of a type whose form is not known here, or that needs none.
    Opaque(&'a [u8]),
    /// Data that does not have the form its type demands.
    Malformed(&'a [u8]),
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => array_at::<4>(octets, 0).map(|a| Ipv4Addr::from(a).into()),
        16 => array_at::<16>(octets, 0).map(|a| Ipv6Addr::from(a).into()),
        _ => None,
    }
}

/// The number that fills the octets.
fn exactly<const N: usize>(data: &[u8]) -> Option<[u8; N]> {
    data.try_into().ok()
}

impl<'a> NotifyView<'a> {
    /// What the data says, by the notification's type.
    #[must_use]
    pub fn content(&self) -> NotifyData<'a> {
        NotifyData::read(self.notify_type, self.data)
    }

    /// The SA that REKEY_SA, CHILD_SA_NOT_FOUND and the like are about: its protocol and the SPI that the
    /// notification's sender receives on.
    #[must_use]
    pub fn child_sa(&self) -> Option<(ProtocolId, crate::Spi)> {
        crate::Spi::from_slice(self.spi).map(|spi| (self.protocol, spi))
    }
}

impl<'a> NotifyData<'a> {
    /// What data of a type says.
    #[must_use]
    pub fn read(notify_type: NotifyType, data: &'a [u8]) -> Self {
        Self::typed(notify_type, data).unwrap_or(Self::Malformed(data))
    }

    fn typed(notify_type: NotifyType, data: &'a [u8]) -> Option<Self> {
        use NotifyType as N;
        Some(match notify_type {
            N::UNSUPPORTED_CRITICAL_PAYLOAD => {
                let [kind] = exactly(data)?;
                Self::CriticalPayload(PayloadType(kind))
            }
            N::INVALID_MESSAGE_ID => Self::MessageId(u32::from_be_bytes(exactly(data)?)),
            N::INVALID_SPI => Self::Spi(data),
            N::INVALID_KE_PAYLOAD => Self::KeMethod(KeId(u16::from_be_bytes(exactly(data)?))),
            N::INVALID_SELECTORS => Self::Packet(data),
            N::SET_WINDOW_SIZE => Self::WindowSize(u32::from_be_bytes(exactly(data)?)),
            N::IPCOMP_SUPPORTED => {
                let (&[c0, c1, transform], attributes) = data.split_first_chunk()?;
                let cpi = u16::from_be_bytes([c0, c1]);
                Self::IpComp { cpi, transform: IpCompTransform(transform), attributes }
            }
            N::NAT_DETECTION_SOURCE_IP | N::NAT_DETECTION_DESTINATION_IP => {
                Self::NatDetection(data.try_into().ok()?)
            }
            N::COOKIE | N::COOKIE2 => Self::Cookie(data),
            N::ADDITIONAL_IP4_ADDRESS => Self::Address(Ipv4Addr::from(exactly::<4>(data)?).into()),
            N::ADDITIONAL_IP6_ADDRESS => Self::Address(Ipv6Addr::from(exactly::<16>(data)?).into()),
            N::NO_NATS_ALLOWED => Self::no_nats(data)?,
            N::AUTH_LIFETIME => Self::AuthLifetime(u32::from_be_bytes(exactly(data)?)),
            N::REDIRECT => {
                let (nonce, gateway) = Gateway::read(data).ok()?;
                Self::Redirect { gateway, nonce }
            }
            N::REDIRECTED_FROM => match Gateway::read(data).ok()? {
                ([], gateway) => Self::RedirectedFrom(gateway),
                _ => return None,
            },
            N::TICKET_LT_OPAQUE => {
                let (lifetime, ticket) = data.split_first_chunk()?;
                Self::TicketWithLifetime { lifetime: u32::from_be_bytes(*lifetime), ticket }
            }
            N::TICKET_OPAQUE => Self::Ticket(data),
            N::LINK_ID => Self::LinkId(data),
            N::QUICK_CRASH_DETECTION => Self::CrashToken(data),
            N::IKEV2_MESSAGE_ID_SYNC if data.len() == 12 => Self::MessageIdSync {
                nonce: array_at(data, 0)?,
                expected_send: u32_at(data, 4)?,
                expected_receive: u32_at(data, 8)?,
            },
            N::IKEV2_MESSAGE_ID_SYNC => return None,
            N::IPSEC_REPLAY_COUNTER_SYNC if data.len() == 8 => {
                Self::ReplayCounterSync64(u64::from_be_bytes(exactly(data)?))
            }
            N::IPSEC_REPLAY_COUNTER_SYNC => Self::ReplayCounterSync32(u32::from_be_bytes(exactly(data)?)),
            N::SECURE_PASSWORD_METHODS => Self::PasswordMethods(Numbers::new(data)?),
            N::ERX_SUPPORTED => Self::Domain(str::from_utf8(data).ok()?),
            N::SIGNATURE_HASH_ALGORITHMS => Self::SignatureHashes(Numbers::new(data)?),
            N::PUZZLE => {
                let [p0, p1, difficulty] = exactly(data)?;
                Self::Puzzle { prf: PrfId(u16::from_be_bytes([p0, p1])), difficulty }
            }
            // A responder's says that the key is used, and nothing else (RFC 8784 §3).
            N::PPK_IDENTITY if data.is_empty() => Self::Empty,
            N::PPK_IDENTITY => {
                let (&id_type, id) = data.split_first()?;
                Self::PpkIdentity { id_type: PpkIdType(id_type), id }
            }
            N::NO_PPK_AUTH => Self::NoPpkAuth(data),
            N::PPK_IDENTITY_KEY => {
                let (rest, confirmation) = data.split_last_chunk()?;
                let (&id_type, id) = rest.split_first()?;
                Self::PpkIdentityKey { id_type: PpkIdType(id_type), id, confirmation: *confirmation }
            }
            N::ADDITIONAL_KEY_EXCHANGE => Self::KeyExchangeLink(data),
            N::USE_AGGFRAG => {
                let [flags] = exactly(data)?;
                Self::UseAggfrag(AggfragFlags(flags))
            }
            N::SUPPORTED_AUTH_METHODS => Self::AuthMethods(AuthAnnouncements::new(data)?),
            N::SA_RESOURCE_INFO => Self::ResourceInfo(data),
            _ if data.is_empty() => Self::Empty,
            _ => Self::Opaque(data),
        })
    }

    fn no_nats(data: &[u8]) -> Option<Self> {
        let (addresses, ports) = data.split_last_chunk::<4>()?;
        if addresses.len() != 8 && addresses.len() != 32 {
            return None;
        }
        let (source, destination) = addresses.split_at_checked(addresses.len() / 2)?;
        let [s0, s1, d0, d1] = *ports;
        Some(Self::NoNats {
            source: SocketAddr::new(address(source)?, u16::from_be_bytes([s0, s1])),
            destination: SocketAddr::new(address(destination)?, u16::from_be_bytes([d0, d1])),
        })
    }

    /// Appends the octets of the data.
    pub fn emit(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Empty => {}
            Self::CriticalPayload(kind) => out.push(kind.0),
            Self::MessageId(value) | Self::WindowSize(value) | Self::AuthLifetime(value) => {
                out.extend_from_slice(&value.to_be_bytes());
            }
            Self::KeMethod(method) => put16(out, method.0),
            Self::IpComp { cpi, transform, attributes } => {
                put16(out, cpi);
                out.push(transform.0);
                out.extend_from_slice(attributes);
            }
            Self::NatDetection(hash) => out.extend_from_slice(hash),
            Self::Address(address) => put_address(out, address),
            Self::NoNats { source, destination } => {
                put_address(out, source.ip());
                put_address(out, destination.ip());
                put16(out, source.port());
                put16(out, destination.port());
            }
            Self::Redirect { gateway, nonce } => {
                gateway.emit(out);
                out.extend_from_slice(nonce);
            }
            Self::RedirectedFrom(gateway) => gateway.emit(out),
            Self::TicketWithLifetime { lifetime, ticket } => {
                out.extend_from_slice(&lifetime.to_be_bytes());
                out.extend_from_slice(ticket);
            }
            Self::MessageIdSync { nonce, expected_send, expected_receive } => {
                out.extend_from_slice(&nonce);
                out.extend_from_slice(&expected_send.to_be_bytes());
                out.extend_from_slice(&expected_receive.to_be_bytes());
            }
            Self::ReplayCounterSync32(delta) => out.extend_from_slice(&delta.to_be_bytes()),
            Self::ReplayCounterSync64(delta) => out.extend_from_slice(&delta.to_be_bytes()),
            Self::PasswordMethods(numbers) | Self::SignatureHashes(numbers) => {
                out.extend_from_slice(numbers.octets);
            }
            Self::Domain(domain) => out.extend_from_slice(domain.as_bytes()),
            Self::Puzzle { prf, difficulty } => {
                put16(out, prf.0);
                out.push(difficulty);
            }
            Self::PpkIdentity { id_type, id } => {
                out.push(id_type.0);
                out.extend_from_slice(id);
            }
            Self::PpkIdentityKey { id_type, id, confirmation } => {
                out.push(id_type.0);
                out.extend_from_slice(id);
                out.extend_from_slice(&confirmation);
            }
            Self::UseAggfrag(flags) => out.push(flags.0),
            Self::AuthMethods(announcements) => out.extend_from_slice(announcements.octets),
            Self::Spi(octets)
            | Self::Packet(octets)
            | Self::Cookie(octets)
            | Self::Ticket(octets)
            | Self::LinkId(octets)
            | Self::CrashToken(octets)
            | Self::NoPpkAuth(octets)
            | Self::KeyExchangeLink(octets)
            | Self::ResourceInfo(octets)
            | Self::Opaque(octets)
            | Self::Malformed(octets) => out.extend_from_slice(octets),
        }
    }

    /// The octets of the data.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.emit(&mut out);
        out
    }
}

fn put_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
    }
}

impl Notify {
    /// A notification about no particular SA, with its data in typed form.
    #[must_use]
    pub fn with_data(notify_type: NotifyType, data: NotifyData<'_>) -> Self {
        Self::new(notify_type, data.to_vec())
    }

    /// SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4).
    #[must_use]
    pub fn signature_hashes(hashes: &[HashId]) -> Self {
        let data: Vec<u8> = hashes.iter().flat_map(|hash| hash.0.to_be_bytes()).collect();
        Self::new(NotifyType::SIGNATURE_HASH_ALGORITHMS, data)
    }

    /// SECURE_PASSWORD_METHODS (RFC 6467 §2).
    #[must_use]
    pub fn password_methods(methods: &[SecurePasswordMethod]) -> Self {
        let data: Vec<u8> = methods.iter().flat_map(|method| method.0.to_be_bytes()).collect();
        Self::new(NotifyType::SECURE_PASSWORD_METHODS, data)
    }

    /// SUPPORTED_AUTH_METHODS (RFC 9593 §3.2).
    #[must_use]
    pub fn auth_methods(announcements: &[AuthAnnouncement<'_>]) -> Self {
        let mut data = Vec::new();
        announcements.iter().for_each(|announcement| announcement.emit(&mut data));
        Self::new(NotifyType::SUPPORTED_AUTH_METHODS, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn both_ways(notify_type: NotifyType, octets: &str, data: NotifyData<'_>) {
        let octets = hex::decode(octets).unwrap();
        assert_eq!(NotifyData::read(notify_type, &octets), data, "{notify_type}");
        assert_eq!(Notify::with_data(notify_type, data).data, octets, "{notify_type}");
    }

    #[test]
    fn every_form() {
        use NotifyData as D;
        use NotifyType as N;
        both_ways(N::INITIAL_CONTACT, "", D::Empty);
        both_ways(N::MOBIKE_SUPPORTED, "0102", D::Opaque(&[1, 2]));
        both_ways(N::UNSUPPORTED_CRITICAL_PAYLOAD, "31", D::CriticalPayload(PayloadType::GSPM));
        both_ways(N::INVALID_MESSAGE_ID, "00000007", D::MessageId(7));
        both_ways(N::INVALID_SPI, "c0de0001", D::Spi(&[0xc0, 0xde, 0, 1]));
        both_ways(N::INVALID_KE_PAYLOAD, "001f", D::KeMethod(KeId::CURVE25519));
        both_ways(N::INVALID_SELECTORS, "45", D::Packet(&[0x45]));
        both_ways(N::SET_WINDOW_SIZE, "00000004", D::WindowSize(4));
        let deflate = D::IpComp { cpi: 0x1234, transform: IpCompTransform::DEFLATE, attributes: &[] };
        both_ways(N::IPCOMP_SUPPORTED, "123402", deflate);
        both_ways(N::NAT_DETECTION_SOURCE_IP, &"ab".repeat(20), D::NatDetection(&[0xab; 20]));
        both_ways(N::NAT_DETECTION_DESTINATION_IP, "ab", D::Malformed(&[0xab]));
        both_ways(N::COOKIE2, "0102", D::Cookie(&[1, 2]));
        both_ways(N::ADDITIONAL_IP4_ADDRESS, "c0000201", D::Address("192.0.2.1".parse().unwrap()));
        let v6 = "20010db8000000000000000000000001";
        both_ways(N::ADDITIONAL_IP6_ADDRESS, v6, D::Address("2001:db8::1".parse().unwrap()));
        both_ways(
            N::NO_NATS_ALLOWED,
            "c0000201c633640201f41194",
            D::NoNats {
                source: "192.0.2.1:500".parse().unwrap(),
                destination: "198.51.100.2:4500".parse().unwrap(),
            },
        );
        both_ways(N::AUTH_LIFETIME, "00000e10", D::AuthLifetime(3600));
        let gateway = Gateway { gateway_type: GatewayType::IPV4, identity: &[192, 0, 2, 1] };
        both_ways(N::REDIRECT, "0104c0000201aabb", D::Redirect { gateway, nonce: &[0xaa, 0xbb] });
        both_ways(N::REDIRECTED_FROM, "0104c0000201", D::RedirectedFrom(gateway));
        both_ways(N::REDIRECTED_FROM, "0103c0000201", D::Malformed(&[1, 3, 192, 0, 2, 1]));
        assert_eq!((gateway.address(), gateway.fqdn()), (Some("192.0.2.1".parse().unwrap()), None));
        let named = Gateway { gateway_type: GatewayType::FQDN, identity: b"gw.example" };
        assert_eq!((named.address(), named.fqdn()), (None, Some("gw.example")));
        let ticket = D::TicketWithLifetime { lifetime: 60, ticket: &[9] };
        both_ways(N::TICKET_LT_OPAQUE, "0000003c09", ticket);
        both_ways(N::TICKET_OPAQUE, "09", D::Ticket(&[9]));
        both_ways(N::LINK_ID, "09", D::LinkId(&[9]));
        both_ways(N::QUICK_CRASH_DETECTION, "09", D::CrashToken(&[9]));
        let sync = D::MessageIdSync { nonce: [1, 2, 3, 4], expected_send: 5, expected_receive: 6 };
        both_ways(N::IKEV2_MESSAGE_ID_SYNC, "010203040000000500000006", sync);
        both_ways(N::IKEV2_MESSAGE_ID_SYNC, "01", D::Malformed(&[1]));
        both_ways(N::IPSEC_REPLAY_COUNTER_SYNC, "00000005", D::ReplayCounterSync32(5));
        both_ways(N::IPSEC_REPLAY_COUNTER_SYNC, "0000000000000005", D::ReplayCounterSync64(5));
        both_ways(N::ERX_SUPPORTED, "6578", D::Domain("ex"));
        let puzzle = D::Puzzle { prf: PrfId::HMAC_SHA2_256, difficulty: 20 };
        both_ways(N::PUZZLE, "000514", puzzle);
        both_ways(N::PPK_IDENTITY, "026b", D::PpkIdentity { id_type: PpkIdType::FIXED, id: b"k" });
        // The responder's: the initiator's key is used (RFC 8784 §3).
        both_ways(N::PPK_IDENTITY, "", D::Empty);
        both_ways(N::NO_PPK_AUTH, "09", D::NoPpkAuth(&[9]));
        let key = D::PpkIdentityKey { id_type: PpkIdType::FIXED, id: b"k", confirmation: [7; 8] };
        both_ways(N::PPK_IDENTITY_KEY, "026b0707070707070707", key);
        both_ways(N::PPK_IDENTITY_KEY, "07070707", D::Malformed(&[7; 4]));
        both_ways(N::ADDITIONAL_KEY_EXCHANGE, "09", D::KeyExchangeLink(&[9]));
        both_ways(N::USE_AGGFRAG, "03", D::UseAggfrag(AggfragFlags(3)));
        assert!(AggfragFlags(3).contains(AggfragFlags::CONGESTION_CONTROL));
        both_ways(N::SA_RESOURCE_INFO, "63", D::ResourceInfo(b"c"));
    }

    #[test]
    fn lists() {
        let hashes = Notify::signature_hashes(&[HashId::SHA2_256, HashId::IDENTITY]);
        let NotifyData::SignatureHashes(list) = NotifyData::read(hashes.notify_type, &hashes.data) else {
            panic!("{hashes:?}")
        };
        assert!(list.iter::<HashId>().eq([HashId::SHA2_256, HashId::IDENTITY]));
        let odd = NotifyData::read(NotifyType::SIGNATURE_HASH_ALGORITHMS, &[0, 2, 0]);
        assert_eq!(odd, NotifyData::Malformed(&[0, 2, 0]));
        let pace = Notify::password_methods(&[SecurePasswordMethod::PACE]);
        assert_eq!(pace.data, [0, 1]);
    }

    #[test]
    fn announced_methods_in_their_three_forms() {
        // Ed25519's AlgorithmIdentifier, RFC 8420 appendix A.
        let ed25519 = hex::decode("300506032b6570").unwrap();
        let announced = [
            AuthAnnouncement { method: AuthMethod::SHARED_KEY_MIC, cert_link: None, algorithm: &[] },
            AuthAnnouncement { method: AuthMethod::RSA_SIGNATURE, cert_link: Some(2), algorithm: &[] },
            AuthAnnouncement {
                method: AuthMethod::DIGITAL_SIGNATURE,
                cert_link: Some(0),
                algorithm: &ed25519,
            },
        ];
        let notify = Notify::auth_methods(&announced);
        assert_eq!(hex::encode(&notify.data), "02020301020a0e00300506032b6570");
        let NotifyData::AuthMethods(list) = NotifyData::read(notify.notify_type, &notify.data) else {
            panic!("{notify:?}")
        };
        assert!(list.iter().eq(announced));
        let named = list.iter().nth(2).and_then(|last| last.algorithm_identifier()).and_then(|a| a.name());
        assert_eq!(named, Some("Ed25519"));
        for broken in [vec![0], vec![1], vec![3, 2], vec![2, 2, 4, 1, 0]] {
            let read = NotifyData::read(NotifyType::SUPPORTED_AUTH_METHODS, &broken);
            assert_eq!(read, NotifyData::Malformed(&broken));
        }
    }
}
