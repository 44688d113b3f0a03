//! Messages and packets that fit no SA: what we tell their sender, and what it may tell us (RFC 7296 §1.5, §2.21.4).
//!
//! Without protection it is a hint at most: no SA changes by it, and the liveness check that it brings about is rare.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use ipsec_sa::Instant;
use ipsec_wire::ike::{
    ExchangeType, Flags, Header, MessageBuilder, MessageView, Notify, NotifyType, Payload,
};
use ipsec_wire::{IkeSpi, Spi};

use crate::endpoint::Endpoint;
use crate::exchange::task::Task;
use crate::ike_sa::{IkeSa, marked};
use crate::io::{IkeHandle, Output};
use crate::path::{Path, Transport};
use crate::state::State;
use crate::state::established::Phase;
use crate::unprotected::Class;

/// How often all IKE SAs are looked through for an address, in a second and at once.
const SEARCHES: (u32, u32) = (4, 8);

/// How often a peer is told of an SPI, in a second and at once.
const TOLD: (u32, u32) = (1, 4);

/// The class of an unprotected message that is not part of IKE_SA_INIT.
pub(crate) fn class(view: &MessageView<'_>, header: &Header) -> Class {
    let says = |wanted| view.notify(wanted).is_some();
    match header.flags.is_response() {
        true if says(NotifyType::INVALID_IKE_SPI) => Class::LostState,
        true => Class::OtherResponse,
        // It is no request, though it is marked as one, and is never answered (RFC 7296 §1.5).
        false if header.exchange_type == ExchangeType::INFORMATIONAL && says(NotifyType::INVALID_SPI) => {
            Class::LostState
        }
        false => Class::OtherRequest,
    }
}

impl Endpoint {
    /// Tells that an ESP or AH packet came on `path` with an SPI that nobody has. A peer with an IKE SA is told so in it;
    /// a stranger is, where [`crate::EndpointConfig::tell_strangers`] says so; neither too often. Gives whether anybody
    /// is told.
    ///
    /// To be called after a while without rekeys: packets that were late are no matter.
    pub fn unknown_child_spi(&mut self, now: Instant, path: Path, spi: Spi) -> bool {
        let (per_second, burst) = SEARCHES;
        if !self.responder.searches.take(now, per_second, burst) {
            return false;
        }
        let port = (path.transport == Transport::UdpEncap).then(|| path.remote.port());
        let Some(handle) = self.at_address(path.remote.ip(), port) else {
            return self.config.tell_strangers && self.tell_stranger(now, &path, spi);
        };
        self.with(now, handle, |sa, cx| {
            let State::Established(state) = &mut sa.state else { return false };
            let (per_second, burst) = TOLD;
            if !state.rates.invalid_spi.take(now, per_second, burst) {
                return false;
            }
            state.tasks.push_back(Task::TellInvalidSpi(spi));
            state.pump(cx, &mut sa.common);
            true
        })
        .unwrap_or(false)
    }

    /// Tells that something may be wrong with whoever is at this address, such as an ICMP message says: the IKE SA with
    /// it checks whether it is there, at most once in [`crate::EndpointConfig::hint_interval`]. Gives whether there is
    /// one.
    pub fn hint(&mut self, now: Instant, remote: IpAddr) -> bool {
        let (per_second, burst) = SEARCHES;
        let allowed = self.responder.searches.take(now, per_second, burst);
        match allowed.then(|| self.at_address(remote, None)).flatten() {
            Some(handle) => {
                self.hint_about(now, handle);
                true
            }
            None => false,
        }
    }

    pub(crate) fn hint_about(&mut self, now: Instant, handle: IkeHandle) {
        self.with(now, handle, |sa, cx| {
            if let State::Established(state) = &mut sa.state {
                state.on_hint(cx, &mut sa.common);
            }
        });
    }

    /// The newest IKE SA in use with a peer at this address.
    fn at_address(&self, remote: IpAddr, port: Option<u16>) -> Option<IkeHandle> {
        let there = |sa: &IkeSa| {
            let known = sa.common.path.remote;
            known.ip() == remote && port.is_none_or(|port| port == known.port())
        };
        let open = |sa: &IkeSa| matches!(&sa.state, State::Established(state) if state.phase == Phase::Open);
        self.sas.iter().rev().find(|(_, sa)| there(sa) && open(sa)).map(|(handle, _)| *handle)
    }

    fn tell_stranger(&mut self, now: Instant, path: &Path, spi: Spi) -> bool {
        let rate = self.config.stateless_replies_per_second;
        if !self.responder.bucket.take(now, rate, rate) {
            return false;
        }
        let path = match path.transport {
            Transport::Ip => {
                Path::udp(SocketAddr::new(path.local.ip(), 500), SocketAddr::new(path.remote.ip(), 500))
            }
            _ => *path,
        };
        let exchange = ExchangeType::INFORMATIONAL;
        let data: Vec<u8> = spi.0.to_be_bytes().into();
        let message = MessageBuilder::new(IkeSpi::ZERO, IkeSpi::ZERO, exchange, Flags::INITIATOR, 0)
            .with(Payload::Notify(Notify::new(NotifyType::INVALID_SPI, data)))
            .emit();
        self.loose.push_back(Output::Transmit { path, data: marked(&path, &message), ecn: 0 });
        true
    }
}
