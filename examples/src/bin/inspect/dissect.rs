//! What a frame carries, as far as IPsec goes, and what is inside where there are keys.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ipsec_sa::{Instant, Reassembled, Reassembly, ReassemblyLimits};
use ipsec_wire::ike::{ExchangeType, Header, MessageView, PayloadChain, PayloadType};
use ipsec_wire::isakmp::IsakmpView;
use ipsec_wire::{
    AhView, EspView, IkeSpi, IpCompView, IpProtocol, IpView, Limits, NON_ESP_MARKER, UdpEncap,
    classify_udp_encap,
};

use crate::capture::Frame;
use crate::keys::KeyTables;
use crate::link;
use crate::stream::Found;
use crate::tcp::{Connections, Segment, Sent};

/// Which ports carry what; those of `encap` TCP's as well.
pub(crate) struct Ports {
    pub(crate) ike: Vec<u16>,
    pub(crate) encap: Vec<u16>,
}

/// What a pair of UDP ports carries.
#[derive(Clone, Copy)]
enum Carried {
    Ike,
    /// IKE behind the marker, ESP, and keepalives.
    Encapsulated,
}

/// One packet to show.
#[derive(Default)]
pub(crate) struct Packet {
    pub(crate) number: usize,
    pub(crate) time: Duration,
    pub(crate) addresses: Option<(IpAddr, IpAddr)>,
    pub(crate) ports: Option<(u16, u16)>,
    /// The packet was found in a TCP stream, and its last octets in this frame.
    pub(crate) over_tcp: bool,
    /// What it is: "IKEv2", "ESP".
    pub(crate) protocol: &'static str,
    /// On one line.
    pub(crate) summary: String,
    /// As a tree, and with octet strings whole.
    pub(crate) tree: Tree,
    /// What was decrypted, likewise.
    pub(crate) inside: Option<Tree>,
    /// Values for programs.
    pub(crate) values: serde_json::Map<String, serde_json::Value>,
    /// What did not parse or decrypt.
    pub(crate) error: Option<String>,
}

/// The same text twice.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) cut: String,
    pub(crate) whole: String,
}

impl Tree {
    fn of(what: &impl core::fmt::Display) -> Self {
        Self { cut: format!("{what}"), whole: format!("{what:#}") }
    }
}

impl Packet {
    /// A capture that breaks off.
    pub(crate) fn broken_capture(error: &str) -> Self {
        Self { protocol: "capture", error: Some(error.into()), ..Self::default() }
    }

    fn set(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.values.insert(name.into(), value.into());
    }

    fn fail(&mut self, what: impl core::fmt::Display) {
        self.error.get_or_insert_with(|| what.to_string());
    }
}

/// The pieces of a fragmented IKE message that have been decrypted: the first's payload type, and the octets.
type Pieces = BTreeMap<u16, (PayloadType, Vec<u8>)>;
/// Which message: its SA, who sent it, its id.
type MessageKey = (IkeSpi, IkeSpi, bool, bool, u32);

pub(crate) struct Dissector {
    ports: Ports,
    keys: KeyTables,
    /// Pairs of other ports, the lower first.
    recognised: BTreeMap<(u16, u16), Carried>,
    /// Of IKE messages.
    fragments: BTreeMap<MessageKey, Pieces>,
    /// Of IP packets.
    reassembly: Reassembly,
    connections: Connections,
    /// Number and time of the last frame.
    last: (usize, Duration),
}

impl Dissector {
    pub(crate) fn new(ports: Ports, keys: KeyTables) -> Self {
        let reassembly = Reassembly::new(ReassemblyLimits::default());
        Self {
            ports,
            keys,
            recognised: BTreeMap::new(),
            fragments: BTreeMap::new(),
            reassembly,
            connections: Connections::default(),
            last: Default::default(),
        }
    }

    /// What a frame carries: nothing when it is none of IPsec's, and several packets when they end in the same TCP segment.
    pub(crate) fn packets(&mut self, frame: &Frame) -> Vec<Packet> {
        self.last = (frame.number, frame.time);
        let mut packets = Vec::new();
        let packet = self.packet(frame, &mut packets);
        packets.extend(packet);
        packets
    }

    /// What is to be said at the end of the capture.
    pub(crate) fn finish(&mut self) -> Vec<Packet> {
        let sent = self.connections.finish();
        sent.into_iter().map(|sent| self.of_stream(sent)).collect()
    }

    /// What a frame carries besides what a stream brings to light.
    fn packet(&mut self, frame: &Frame, streams: &mut Vec<Packet>) -> Option<Packet> {
        let octets = link::ip_packet(frame.link, &frame.octets)?;
        let mut packet = Packet { number: frame.number, time: frame.time, ..Packet::default() };
        let cut_off = frame.octets.len() < frame.wire_len;
        let ip = match IpView::parse(octets) {
            Ok(ip) => ip,
            Err(error) => {
                packet.protocol = "IP";
                packet.fail(if cut_off {
                    format!("{error}: the capture cut it off")
                } else {
                    error.to_string()
                });
                return Some(packet);
            }
        };
        packet.addresses = Some((ip.src(), ip.dst()));
        match self.put_together(&mut packet, &ip) {
            Some(whole) => {
                packet.set("reassembled_octets", whole.len());
                match IpView::parse(&whole) {
                    Ok(ip) => return self.upper(&mut packet, &ip, streams).then_some(packet),
                    Err(error) => packet.fail(error),
                }
                Some(packet)
            }
            None => self.upper(&mut packet, &ip, streams).then_some(packet),
        }
    }

    /// The IP packet of which this is the last fragment to come.
    fn put_together(&mut self, packet: &mut Packet, ip: &IpView<'_>) -> Option<Vec<u8>> {
        let upper = ip.upper_layer();
        upper.fragment.filter(|fragment| fragment.more || !fragment.is_first())?;
        let cut = [IpProtocol::ESP, IpProtocol::AH, IpProtocol::UDP, IpProtocol::TCP];
        if !cut.contains(&upper.protocol) {
            return None;
        }
        let at = u64::try_from(packet.time.as_micros()).unwrap_or(u64::MAX);
        match self.reassembly.insert(Instant::from_micros(at), ip.packet()) {
            Ok(Reassembled::Complete(whole)) => Some(whole),
            Ok(_) => None,
            Err(error) => {
                packet.fail(error);
                None
            }
        }
    }

    /// Whether the packet is one of IPsec's.
    fn upper(&mut self, packet: &mut Packet, ip: &IpView<'_>, streams: &mut Vec<Packet>) -> bool {
        let upper = ip.upper_layer();
        if let Some(fragment) = upper.fragment.filter(|fragment| fragment.more || !fragment.is_first()) {
            packet.protocol = "IP fragment";
            packet.summary = format!(
                "{} from octet {}, shown whole with the last that comes",
                upper.protocol, fragment.offset
            );
            let ours = matches!(upper.protocol, IpProtocol::ESP | IpProtocol::AH);
            let udp = upper.protocol == IpProtocol::UDP;
            return ours || udp && ip.ports().is_some_and(|ports| self.carries(ports, &self.ports.ike));
        }
        match upper.protocol {
            IpProtocol::ESP => self.esp(packet, ip.upper_payload()),
            IpProtocol::AH => self.ah(packet, ip.upper_payload()),
            IpProtocol::IPCOMP => ip_comp(packet, ip.upper_payload()),
            IpProtocol::UDP => {
                let Some(ports) = ip.ports() else { return false };
                let datagram = ip.upper_payload().get(4..6).map(|length| [length[0], length[1]]);
                let length = usize::from(datagram.map_or(0, u16::from_be_bytes));
                let payload = ip.upper_payload().get(8..length);
                let Some(carried) = self.carried(ports, payload) else { return false };
                packet.ports = Some(ports);
                match (payload, carried) {
                    (Some(payload), Carried::Encapsulated) => {
                        self.encapsulated(packet, classify_udp_encap(payload), "UDP-encapsulation");
                    }
                    (Some(payload), Carried::Ike) => self.ike(packet, payload),
                    (None, _) => {
                        packet.protocol = "UDP";
                        packet.fail("truncated at octet 4");
                    }
                }
            }
            IpProtocol::TCP => return self.tcp(packet, ip, streams),
            _ => return false,
        }
        true
    }

    /// Whether the segment itself is to be shown, because it has no header.
    fn tcp(&mut self, packet: &mut Packet, ip: &IpView<'_>, streams: &mut Vec<Packet>) -> bool {
        let Some(ports) = ip.ports() else { return false };
        let Some(segment) = Segment::parse(ip.upper_payload()) else {
            (packet.protocol, packet.ports) = ("TCP", Some(ports));
            packet.fail("truncated header");
            return self.carries(ports, &self.ports.encap);
        };
        let (from, to) = (SocketAddr::new(ip.src(), ports.0), SocketAddr::new(ip.dst(), ports.1));
        let (encap, keys) = (&self.ports.encap, &self.keys);
        let recognise = |content: UdpEncap<'_>, len: usize| match content {
            UdpEncap::Ike(message) => is_ike_v2(message, len.saturating_sub(NON_ESP_MARKER.len())),
            UdpEncap::Esp(octets) => keys.has_esp(octets),
            UdpEncap::Keepalive | UdpEncap::TooShort(_) => false,
        };
        let sent = self.connections.segment(from, to, &segment, |port| encap.contains(&port), &recognise);
        for sent in sent {
            let packet = self.of_stream(sent);
            streams.push(packet);
        }
        false
    }

    /// What a TCP stream brought to light (RFC 9329).
    fn of_stream(&mut self, sent: Sent) -> Packet {
        let (number, time) = self.last;
        let mut packet = Packet { number, time, over_tcp: true, ..Packet::default() };
        packet.protocol = "TCP-encapsulation";
        packet.addresses = Some((sent.from.ip(), sent.to.ip()));
        packet.ports = Some((sent.from.port(), sent.to.port()));
        packet.set("transport", "TCP");
        match sent.found {
            Found::Prefix => packet.summary = "stream prefix".into(),
            // To be ignored (RFC 9329 §3).
            Found::Frame(content) if content.is_empty() => packet.summary = "empty message".into(),
            Found::Frame(content) => {
                self.encapsulated(&mut packet, classify_udp_encap(&content), "TCP-encapsulation");
            }
            Found::Unaligned => {
                packet.summary = "the stream's beginning is not in the capture: \
                                  shown from a segment on that begins with a message"
                    .into();
            }
            Found::Broken(why) => packet.fail(why),
        }
        packet
    }

    fn carries(&self, (source, destination): (u16, u16), ports: &[u16]) -> bool {
        ports.contains(&source) || ports.contains(&destination)
    }

    /// What a datagram carries: by its ports, or because something between the two was recognised before.
    fn carried(&mut self, ports: (u16, u16), payload: Option<&[u8]>) -> Option<Carried> {
        if self.carries(ports, &self.ports.encap) {
            return Some(Carried::Encapsulated);
        }
        if self.carries(ports, &self.ports.ike) {
            return Some(Carried::Ike);
        }
        let pair = (ports.0.min(ports.1), ports.0.max(ports.1));
        if !self.recognised.contains_key(&pair) {
            self.recognised.insert(pair, self.recognise(payload?)?);
        }
        self.recognised.get(&pair).copied()
    }

    /// By what can hardly be chance: a header of IKEv2 that measures the whole datagram, or an SPI that has a key.
    fn recognise(&self, payload: &[u8]) -> Option<Carried> {
        match classify_udp_encap(payload) {
            UdpEncap::Ike(message) if is_ike_v2(message, message.len()) => Some(Carried::Encapsulated),
            UdpEncap::Esp(octets) if self.keys.has_esp(octets) => Some(Carried::Encapsulated),
            _ => is_ike_v2(payload, payload.len()).then_some(Carried::Ike),
        }
    }

    fn encapsulated(&mut self, packet: &mut Packet, what: UdpEncap<'_>, how: &'static str) {
        match what {
            UdpEncap::Keepalive => {
                packet.protocol = "NAT-keepalive";
            }
            UdpEncap::Ike(message) => {
                self.ike(packet, message);
                packet.set("marker", true);
            }
            UdpEncap::Esp(octets) => self.esp(packet, octets),
            UdpEncap::TooShort(octets) => {
                packet.protocol = how;
                packet.fail(format!("{} octets are neither IKE nor ESP", octets.len()));
            }
        }
    }

    fn ike(&mut self, packet: &mut Packet, message: &[u8]) {
        packet.protocol = "IKE";
        match Header::parse(message) {
            Ok(header) => {
                packet.set("initiator_spi", header.initiator_spi.to_string());
                packet.set("responder_spi", header.responder_spi.to_string());
                packet.set("exchange", header.exchange_type.to_string());
                packet.set("message_id", header.message_id);
                packet.set("octets", message.len());
                if header.major_version() == 1 {
                    ike_v1(packet, message);
                } else {
                    self.ike_v2(packet, message);
                }
            }
            Err(error) => packet.fail(error),
        }
    }

    fn ike_v2(&mut self, packet: &mut Packet, message: &[u8]) {
        packet.protocol = "IKEv2";
        let view = match MessageView::parse(message, &Limits::DEFAULT) {
            Ok(view) => view,
            Err(error) => return packet.fail(error),
        };
        let header = view.header();
        let direction = if header.flags.is_response() { "response" } else { "request" };
        packet.set("response", header.flags.is_response());
        packet.set("payloads", names(&view.summary().to_string()));
        packet.summary =
            format!("{} {direction} {}: {}", header.exchange_type, header.message_id, view.summary());
        packet.tree = Tree::of(&view);
        if view.encrypted().is_none() && view.fragment().is_none() {
            return;
        }
        let Some(keys) = self.keys.ike(header.initiator_spi, header.responder_spi) else { return };
        let opens = if header.flags.is_initiator() { &keys.of_initiator } else { &keys.of_responder };
        let opened = match opens.open(view) {
            Ok(opened) => opened,
            Err(error) => return packet.fail(error),
        };
        packet.set("icv_checked", opened.checked.then_some(true));
        let (number, total) = opened.part;
        let key = (
            header.initiator_spi,
            header.responder_spi,
            header.flags.is_initiator(),
            header.flags.is_response(),
            header.message_id,
        );
        let pieces = self.fragments.entry(key).or_default();
        pieces.insert(number, (opened.first, opened.payloads));
        if pieces.len() < usize::from(total) {
            return;
        }
        let Some(pieces) = self.fragments.remove(&key) else { return };
        let first = pieces.values().next().map_or(PayloadType::NONE, |(first, _)| *first);
        let chain: Vec<u8> = pieces.into_values().flat_map(|(_, piece)| piece).collect();
        match PayloadChain::parse(first, &chain, 0, &Limits::DEFAULT) {
            Ok(chain) => {
                let summary = chain.summary(header.flags.is_response()).to_string();
                packet.set("inside", names(&summary));
                packet.summary = format!("{} {{{summary}}}", packet.summary);
                packet.inside = Some(Tree::of(&chain));
            }
            Err(error) => packet.fail(format!("inside: {error}")),
        }
    }

    fn esp(&mut self, packet: &mut Packet, octets: &[u8]) {
        packet.protocol = "ESP";
        let view = match EspView::parse(octets) {
            Ok(view) => view,
            Err(error) => return packet.fail(error),
        };
        packet.summary = format!("SPI {}, sequence number {}, {} octets", view.spi, view.seq, octets.len());
        packet.set("spi", view.spi.to_string());
        packet.set("seq", view.seq);
        packet.set("octets", octets.len());
        match self.keys.open_esp(octets) {
            None => {}
            Some(Err(error)) => packet.fail(error),
            Some(Ok(opened)) => {
                let inner = inner_summary(opened.next_header, &opened.payload);
                packet.set("next_header", opened.next_header.to_string());
                packet.set("inside", inner.clone());
                packet.set("icv_checked", opened.checked);
                packet.summary.push_str(": ");
                packet.summary.push_str(&inner);
                let unchecked = if opened.checked.is_none() { ", ICV not checked" } else { "" };
                let hex = hex::encode(&opened.payload);
                let inner = format!("{inner}{unchecked}");
                let cut = hex.get(..64).map_or(hex.clone(), |start| format!("{start}…"));
                let tree = Tree { cut: format!("{inner}\n{cut}"), whole: format!("{inner}\n{hex}") };
                packet.inside = Some(tree);
            }
        }
    }

    fn ah(&self, packet: &mut Packet, octets: &[u8]) {
        packet.protocol = "AH";
        match AhView::parse(octets) {
            Ok(view) => {
                packet.summary = format!(
                    "SPI {}, sequence number {}, ICV of {} octets: {}",
                    view.spi,
                    view.seq,
                    view.icv.len(),
                    inner_summary(view.next_header, view.payload),
                );
                packet.set("spi", view.spi.to_string());
                packet.set("seq", view.seq);
                packet.set("next_header", view.next_header.to_string());
                packet.set("icv", hex::encode(view.icv));
            }
            Err(error) => packet.fail(error),
        }
    }
}

/// Whether a message of `len` octets, of which these have come, has a header that says so.
fn is_ike_v2(message: &[u8], len: usize) -> bool {
    let exchanges = ExchangeType::IKE_SA_INIT.0..=ExchangeType::IKE_FOLLOWUP_KE.0;
    Header::parse(message).is_ok_and(|header| {
        let whole = usize::try_from(header.length) == Ok(len);
        whole && header.major_version() == 2 && exchanges.contains(&header.exchange_type.0)
    })
}

fn ip_comp(packet: &mut Packet, octets: &[u8]) {
    packet.protocol = "IPComp";
    match IpCompView::parse(octets) {
        Ok(view) => {
            packet.summary = format!("{} compressed under CPI {:#06x}", view.next_header, view.cpi);
            packet.set("cpi", view.cpi);
            packet.set("next_header", view.next_header.to_string());
        }
        Err(error) => packet.fail(error),
    }
}

fn ike_v1(packet: &mut Packet, message: &[u8]) {
    packet.protocol = "IKEv1";
    match IsakmpView::parse(message, &Limits::DEFAULT) {
        Ok(view) => {
            let exchange: ExchangeType = view.header().exchange_type;
            let payloads: Vec<_> = match view.is_encrypted() {
                true => vec!["encrypted".into()],
                false => view.payloads().map(|payload| payload.payload_type.to_string()).collect(),
            };
            packet.summary = format!("{exchange} {:#010x}: {}", view.header().message_id, payloads.join(" "));
            packet.set("payloads", payloads);
            packet.tree = Tree::of(&view);
        }
        Err(error) => packet.fail(error),
    }
}

/// The names of a summary.
fn names(summary: &str) -> Vec<String> {
    summary.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// What is inside ESP or AH, on one line.
fn inner_summary(next: IpProtocol, payload: &[u8]) -> String {
    let len = payload.len();
    if !matches!(next, IpProtocol::IPV4 | IpProtocol::IPV6) {
        return format!("{next}, {len} octets");
    }
    match IpView::parse(payload) {
        Ok(ip) => {
            let (protocol, len) = (ip.upper_layer().protocol, ip.packet().len());
            let ports = ip.ports().map_or_else(String::new, |(from, to)| format!(" {from} > {to}"));
            let icmp = ip.icmp().map_or_else(String::new, |(kind, code)| format!(" type {kind} code {code}"));
            format!("{} > {}, {protocol}{ports}{icmp}, {len} octets", ip.src(), ip.dst())
        }
        Err(error) => format!("{next}, {len} octets: {error}"),
    }
}
