//! Our side of a case: one SA in each direction, of ESP or AH, over whole IP packets.

use ipsec::ah::{AhInbound, AhOutbound};
use ipsec::crypto::CryptoProvider;
use ipsec::esp::ipcomp::{Deflate, Inflate};
use ipsec::esp::{EspInbound, EspOutbound, OuterHeader};
use ipsec::sa::{
    Direction, Encapsulation, IpCompCpis, Outer, Role, SaParams, SecurityProtocol, SequenceCounter,
    TrafficSelector,
};
use ipsec::wire::Spi;
use ipsec::wire::ike::SnId;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::case::{Addresses, Case};
use super::keys::Keys;
use super::xfrm::{CPIS, PORT, Setup, WINDOW};

/// Room in front of and behind a packet: more than any SA needs.
const ROOM: usize = 256;
/// The longest packet that we expand.
const EXPANDED: usize = 2048;

/// What we send by.
#[derive(Debug)]
pub(crate) enum Outbound {
    /// ESP.
    Esp(Box<EspOutbound>),
    /// ESP of compressed packets.
    Compressing(Box<EspOutbound>, Deflate),
    /// AH.
    Ah(Box<AhOutbound>),
}

/// What we receive by.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// ESP.
    Esp(Box<EspInbound>),
    /// ESP of compressed packets.
    Expanding(Box<EspInbound>, Inflate),
    /// AH.
    Ah(Box<AhInbound>),
}

/// Why we refused a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It came before.
    Replayed,
    /// It is too old.
    OutOfWindow,
    /// It is not authentic.
    Forged,
    /// Something else.
    Other(String),
}

impl From<ipsec::esp::OpenError> for Refusal {
    fn from(error: ipsec::esp::OpenError) -> Self {
        use ipsec::esp::OpenError;
        match error {
            OpenError::Replay => Refusal::Replayed,
            OpenError::OutOfWindow => Refusal::OutOfWindow,
            OpenError::Icv => Refusal::Forged,
            other => Refusal::Other(other.to_string()),
        }
    }
}

impl From<ipsec::ah::OpenError> for Refusal {
    fn from(error: ipsec::ah::OpenError) -> Self {
        use ipsec::ah::OpenError;
        match error {
            OpenError::Replay => Refusal::Replayed,
            OpenError::OutOfWindow => Refusal::OutOfWindow,
            OpenError::Icv => Refusal::Forged,
            other => Refusal::Other(other.to_string()),
        }
    }
}

/// Both SAs of a case.
pub(crate) fn pair(setup: &Setup<'_>, provider: &CryptoProvider) -> Result<(Outbound, Inbound), String> {
    let outbound = params(setup, Direction::Outbound, &setup.to_kernel)?;
    let inbound = params(setup, Direction::Inbound, &setup.to_us)?;
    let text = |error: &dyn core::error::Error| format!("our SA: {error}");
    match setup.case.protocol {
        SecurityProtocol::Esp => {
            let mut rng = ChaCha20Rng::seed_from_u64(u64::from(setup.to_kernel.0));
            let outbound = EspOutbound::new(&outbound, provider, OuterHeader::Ip, &mut rng);
            let inbound = EspInbound::new(&inbound, provider);
            let outbound = outbound.map(Box::new).map_err(|error| text(&error))?;
            let inbound = inbound.map(Box::new).map_err(|error| text(&error))?;
            Ok(match setup.case.compressed {
                true => (
                    Outbound::Compressing(outbound, Deflate::default()),
                    Inbound::Expanding(inbound, Inflate::new()),
                ),
                false => (Outbound::Esp(outbound), Inbound::Esp(inbound)),
            })
        }
        SecurityProtocol::Ah => {
            let outbound = AhOutbound::new(&outbound, provider)
                .map(|sa| sa.with_ipv4_padded_to_64_bits(setup.case.padded_to_64_bits));
            let inbound = AhInbound::new(&inbound, provider);
            Ok((
                Outbound::Ah(outbound.map(Box::new).map_err(|error| text(&error))?),
                Inbound::Ah(inbound.map(Box::new).map_err(|error| text(&error))?),
            ))
        }
    }
}

fn params(setup: &Setup<'_>, direction: Direction, (spi, keys): &(u32, Keys)) -> Result<SaParams, String> {
    let case: &Case = setup.case;
    let Addresses { ours, kernel } = case.outer.outer();
    let encapsulation = match case.udp {
        true => Encapsulation::Udp { local_port: PORT, remote_port: PORT },
        false => Encapsulation::None,
    };
    let only = |address: core::net::IpAddr| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        TrafficSelector::prefix(address, bits).map_err(|error| error.to_string())
    };
    let protected = case.protected();
    let sequence = if case.extended { SnId::SEQUENTIAL_64 } else { SnId::SEQUENTIAL_32 };
    let mut params = SaParams::new(
        Spi(*spi),
        direction,
        Role::Initiator,
        setup.algorithms.numbers,
        keys.ours(),
        Outer { local: ours, remote: kernel, encapsulation },
    )
    .with_protocol(case.protocol)
    .with_mode(case.mode)
    .with_sequence(sequence, case.floor)
    .with_replay_window(WINDOW)
    .with_selectors(vec![only(protected.ours)?], vec![only(protected.kernel)?]);
    if case.compressed {
        params.ipcomp = Some(IpCompCpis { outbound: CPIS.0, inbound: CPIS.1 });
    }
    Ok(params)
}

impl Outbound {
    /// The packet as it goes over the wire.
    pub(crate) fn seal(&mut self, packet: &[u8]) -> Result<Vec<u8>, String> {
        let range = ROOM..ROOM + packet.len();
        let mut buffer = vec![0; range.end + ROOM];
        buffer[range.clone()].copy_from_slice(packet);
        let sealed = match self {
            Outbound::Esp(sa) => sa.seal_packet(&mut buffer, range).map_err(|error| error.to_string()),
            Outbound::Compressing(sa, deflate) => {
                sa.seal_packet_compressed(deflate, &mut buffer, range).map_err(|error| error.to_string())
            }
            Outbound::Ah(sa) => sa.seal_in_place(&mut buffer, range).map_err(|error| error.to_string()),
        };
        sealed.map(|sealed| buffer[sealed].to_vec()).map_err(|error| format!("we cannot seal: {error}"))
    }

    /// Its sequence numbers.
    pub(crate) const fn sequence(&self) -> &SequenceCounter {
        match self {
            Outbound::Esp(sa) | Outbound::Compressing(sa, _) => sa.sequence(),
            Outbound::Ah(sa) => sa.sequence(),
        }
    }

    /// Leaves sequence numbers out.
    pub(crate) fn skip(&mut self, numbers: u64) {
        match self {
            Outbound::Esp(sa) | Outbound::Compressing(sa, _) => sa.sequence_mut().skip(numbers),
            Outbound::Ah(sa) => sa.sequence_mut().skip(numbers),
        }
    }
}

impl Inbound {
    /// The packet that was protected, and its sequence number.
    pub(crate) fn open(&mut self, packet: &[u8]) -> Result<(Vec<u8>, u64), Refusal> {
        let mut buffer = packet.to_vec();
        match self {
            Inbound::Esp(sa) => {
                let opened = sa.open_packet(&mut buffer)?;
                Ok((buffer[opened.packet].to_vec(), opened.seq))
            }
            Inbound::Expanding(sa, inflate) => {
                let opened = sa.open_packet(&mut buffer)?;
                if !opened.is_compressed() {
                    return Ok((buffer[opened.packet].to_vec(), opened.seq));
                }
                let mut out = vec![0; EXPANDED];
                let expanded = sa.expand(inflate, &buffer, &opened, &mut out)?;
                Ok((out[expanded.packet].to_vec(), expanded.seq))
            }
            Inbound::Ah(sa) => {
                let opened = sa.open_in_place(&mut buffer)?;
                Ok((buffer[opened.packet].to_vec(), opened.seq))
            }
        }
    }

    /// Whether a packet from the wire may be one of this SA's.
    pub(crate) fn expects(case: &Case, packet: &[u8]) -> bool {
        use ipsec::wire::{IpProtocol, IpView};
        let wanted = match (case.protocol, case.udp) {
            (SecurityProtocol::Ah, _) => IpProtocol::AH,
            (_, true) => IpProtocol::UDP,
            (_, false) => IpProtocol::ESP,
        };
        let from = case.outer.outer().kernel;
        IpView::parse(packet).is_ok_and(|view| view.src() == from && view.upper_layer().protocol == wanted)
    }
}
