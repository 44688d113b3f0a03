//! The parameters of an SA with their keys in plain sight, for serialisation alone.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use ipsec_crypto::Secret;
use ipsec_wire::Spi;
use ipsec_wire::ike::{EncrId, IntegId, SnId};
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::{
    Direction, HeaderPolicy, IkeSaRef, InterfaceId, IpCompCpis, Lifetimes, Mode, NatOriginalAddresses, Outer,
    PolicyId, Role, SaAlgorithms, SaKeys, SaParams, SecurityProtocol, TrafficSelector,
};

/// The parameters of an SA, keys included, to be serialised: [`SaParams`] themselves cannot be.
///
/// What comes out are secrets. Whoever writes them somewhere encrypts and authenticates them there: nothing here would
/// notice that they were read or changed.
pub struct WithSecrets<P>(pub P);

/// The layout's number: a reader refuses another.
const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
struct Layout<K> {
    version: u16,
    spi: u32,
    protocol: SecurityProtocol,
    mode: Mode,
    direction: Direction,
    role: Role,
    encr: Option<u16>,
    key_bits: u16,
    integ: Option<u16>,
    encr_key: K,
    integ_key: K,
    sequence: u16,
    sequence_floor: u64,
    replay_window: u32,
    local_selectors: Vec<String>,
    remote_selectors: Vec<String>,
    outer: Outer,
    header: HeaderPolicy,
    tfc: bool,
    aggfrag: bool,
    non_first_fragments: bool,
    ipcomp: Option<IpCompCpis>,
    nat_original: Option<NatOriginalAddresses>,
    resource: Option<u32>,
    interface: Option<InterfaceId>,
    lifetimes: Lifetimes,
    ike_sa: Option<IkeSaRef>,
    policy: Option<PolicyId>,
}

struct Exposed<'a>(&'a Secret);

impl Serialize for Exposed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.expose())
    }
}

struct Taken(Secret);

/// Octets of a key at most: longer ones belong to no algorithm.
const MAX_KEY: usize = 1024;

impl<'de> Deserialize<'de> for Taken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Octets;

        impl<'de> Visitor<'de> for Octets {
            type Value = Taken;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the octets of a key")
            }

            fn visit_bytes<E: serde::de::Error>(self, octets: &[u8]) -> Result<Taken, E> {
                Ok(Taken(Secret::new(octets)))
            }

            fn visit_byte_buf<E: serde::de::Error>(self, octets: Vec<u8>) -> Result<Taken, E> {
                Ok(Taken(octets.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Taken, A::Error> {
                // Room enough from the start, so that growing leaves no copy behind.
                let mut octets = Secret::zeroed(MAX_KEY);
                let mut len = 0;
                while let Some(octet) = seq.next_element()? {
                    let place = octets.expose_mut().get_mut(len);
                    *place.ok_or_else(|| A::Error::custom("key is too long"))? = octet;
                    len += 1;
                }
                Ok(Taken(Secret::new(octets.expose().get(..len).unwrap_or_default())))
            }
        }

        deserializer.deserialize_bytes(Octets)
    }
}

impl Serialize for WithSecrets<&SaParams> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |selectors: &[TrafficSelector]| selectors.iter().map(ToString::to_string).collect();
        // Taken apart by name, so that a parameter that is added cannot be forgotten.
        let SaParams {
            spi,
            protocol,
            mode,
            direction,
            role,
            algorithms: SaAlgorithms { encr, key_bits, integ },
            keys: SaKeys { encr: encr_key, integ: integ_key },
            sequence,
            sequence_floor,
            replay_window,
            local_selectors,
            remote_selectors,
            outer,
            header,
            tfc,
            aggfrag,
            non_first_fragments,
            ipcomp,
            nat_original,
            resource,
            interface,
            lifetimes,
            ike_sa,
            policy,
        } = self.0;
        let layout = Layout {
            version: VERSION,
            spi: spi.0,
            protocol: *protocol,
            mode: *mode,
            direction: *direction,
            role: *role,
            encr: encr.map(|id| id.0),
            key_bits: *key_bits,
            integ: integ.map(|id| id.0),
            encr_key: Exposed(encr_key),
            integ_key: Exposed(integ_key),
            sequence: sequence.0,
            sequence_floor: *sequence_floor,
            replay_window: *replay_window,
            local_selectors: text(local_selectors),
            remote_selectors: text(remote_selectors),
            outer: *outer,
            header: *header,
            tfc: *tfc,
            aggfrag: *aggfrag,
            non_first_fragments: *non_first_fragments,
            ipcomp: *ipcomp,
            nat_original: *nat_original,
            resource: *resource,
            interface: *interface,
            lifetimes: *lifetimes,
            ike_sa: *ike_sa,
            policy: *policy,
        };
        layout.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WithSecrets<SaParams> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let layout = Layout::<Taken>::deserialize(deserializer)?;
        if layout.version != VERSION {
            return Err(D::Error::custom("another version of the layout"));
        }
        let selectors = |texts: &[String]| -> Result<Vec<TrafficSelector>, D::Error> {
            texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
        };
        let (local, remote) = (selectors(&layout.local_selectors)?, selectors(&layout.remote_selectors)?);
        let algorithms = SaAlgorithms {
            encr: layout.encr.map(EncrId),
            key_bits: layout.key_bits,
            integ: layout.integ.map(IntegId),
        };
        let keys = SaKeys { encr: layout.encr_key.0, integ: layout.integ_key.0 };
        let mut params =
            SaParams::new(Spi(layout.spi), layout.direction, layout.role, algorithms, keys, layout.outer)
                .with_protocol(layout.protocol)
                .with_mode(layout.mode)
                .with_sequence(SnId(layout.sequence), layout.sequence_floor)
                .with_replay_window(layout.replay_window)
                .with_selectors(local, remote)
                .with_header(layout.header)
                .with_lifetimes(layout.lifetimes);
        params.tfc = layout.tfc;
        params.aggfrag = layout.aggfrag;
        params.non_first_fragments = layout.non_first_fragments;
        params.ipcomp = layout.ipcomp;
        params.nat_original = layout.nat_original;
        params.resource = layout.resource;
        params.interface = layout.interface;
        params.ike_sa = layout.ike_sa;
        params.policy = layout.policy;
        Ok(Self(params))
    }
}

/// The keys stay unseen.
impl<P: fmt::Debug> fmt::Debug for WithSecrets<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WithSecrets").field(&self.0).finish()
    }
}
