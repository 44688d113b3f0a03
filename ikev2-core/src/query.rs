//! What can be asked of an endpoint: its IKE SAs and counters.

use alloc::string::String;
use alloc::vec::Vec;

use ipsec_sa::{Role, TrafficSelector};
use ipsec_wire::{IkeSpi, Spi};

use crate::config::ConnectionId;
use crate::identity::Identity;
use crate::ike_sa::IkeSa;
use crate::io::{Discarded, IkeHandle};
use crate::path::Path;
use crate::state::State;

/// Received datagrams by what became of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Taken.
    pub accepted: u64,
    discarded: [u64; Discarded::KINDS],
}

impl Counters {
    pub(crate) fn count(&mut self, result: &Result<(), Discarded>) {
        let counter = match result {
            Ok(()) => Some(&mut self.accepted),
            Err(why) => self.discarded.get_mut(why.kind()),
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
    }

    /// Dropped datagrams by reason, those reasons that came up.
    pub fn discarded(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Discarded::NAMES.iter().copied().zip(self.discarded.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// How many datagrams were dropped for the reason of this name ([`Discarded::NAMES`]).
    #[must_use]
    pub fn discarded_for(&self, name: &str) -> u64 {
        self.discarded().find(|(known, _)| *known == name).map_or(0, |(_, count)| count)
    }
}

/// How far an IKE SA is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IkeSaState {
    /// Being set up.
    Connecting,
    /// Authenticated.
    Established,
    /// Over, but still answering retransmissions.
    Closing,
}

/// One IKE SA.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IkeSaInfo {
    /// Its handle.
    pub handle: IkeHandle,
    /// Its connection.
    pub connection: ConnectionId,
    /// How far it is.
    pub state: IkeSaState,
    /// Whether we are its initiator.
    pub initiated: bool,
    /// The initiator's SPI.
    pub spi_i: IkeSpi,
    /// The responder's SPI; zero while not known.
    pub spi_r: IkeSpi,
    /// Where the peer is.
    pub path: Path,
    /// Who the peer has proven to be.
    pub remote_id: Option<Identity>,
    /// The algorithms, as a proposal string.
    pub suite: Option<String>,
    /// Its children.
    pub children: Vec<ChildSaInfo>,
}

/// One Child SA.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildSaInfo {
    /// The child's name in the configuration.
    pub child: String,
    /// SPI of packets to us.
    pub inbound: Spi,
    /// SPI of packets from us.
    pub outbound: Spi,
    /// What may come from our side.
    pub local: Vec<TrafficSelector>,
    /// What may come from the peer's side.
    pub remote: Vec<TrafficSelector>,
    /// The algorithms, as a proposal string.
    pub suite: String,
}

impl IkeSaInfo {
    pub(crate) fn of(sa: &IkeSa) -> Option<Self> {
        let common = &sa.common;
        let (state, established) = match &sa.state {
            State::InitSent(_) | State::AuthSent(_) | State::InitReceived(_) => {
                (IkeSaState::Connecting, None)
            }
            State::Established(state) => (IkeSaState::Established, Some(state)),
            State::Closing(_) => (IkeSaState::Closing, None),
            State::Gone => return None,
        };
        let children = established.map(|state| {
            state
                .children
                .values()
                .map(|child| ChildSaInfo {
                    child: child.config.name.clone(),
                    inbound: child.inbound,
                    outbound: child.outbound,
                    local: child.local.clone(),
                    remote: child.remote.clone(),
                    suite: child.suite.clone(),
                })
                .collect()
        });
        Some(Self {
            handle: common.handle,
            connection: common.connection.id,
            state,
            initiated: common.role == Role::Initiator,
            spi_i: common.spi_i,
            spi_r: common.spi_r,
            path: common.path,
            remote_id: established.map(|state| state.remote_id.clone()),
            suite: established.map(|state| state.channel.text.clone()),
            children: children.unwrap_or_default(),
        })
    }
}
