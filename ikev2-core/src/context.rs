//! What an IKE SA borrows from its endpoint for one step, and what it leaves behind for it.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use ipsec_crypto::CryptoProvider;
use ipsec_sa::Instant;
use ipsec_wire::{IkeSpi, Spi};
use rand_core::CryptoRng;

use crate::config::{EndpointConfig, SpiSource};
use crate::exchange::task::Task;
use crate::identity::Identity;
use crate::ike_sa::{ChildTable, IkeSa};
use crate::io::IkeHandle;
use crate::job::{OpId, Request};

/// The endpoint, as an IKE SA sees it during one step.
pub(crate) struct Cx<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a EndpointConfig,
    pub(crate) provider: &'a CryptoProvider,
    pub(crate) rng: &'a mut dyn CryptoRng,
    pub(crate) ids: &'a mut Ids,
    pub(crate) spis: &'a mut SpiPool,
    pub(crate) jobs: &'a mut VecDeque<(OpId, Request)>,
    pub(crate) effects: &'a mut Vec<Effect>,
}

/// What a step wants done outside of its own IKE SA, in order.
#[derive(Debug)]
pub(crate) enum Effect {
    /// A rekey has made a new IKE SA.
    Spawn(Box<IkeSa>),
    /// An IKE SA takes over the children and tasks of the one it replaces.
    Inherit { from: IkeHandle, to: IkeHandle, children: ChildTable, tasks: Vec<Task> },
    /// The peer uses the new IKE SA that it made: it stands, and takes over.
    Decided { parent: IkeHandle, heir: IkeHandle },
    /// This IKE SA lost against one made at the same time; the peer is to close it.
    Redundant(IkeHandle),
    /// The authentication of this IKE SA is to be renewed.
    Renew(IkeHandle),
    /// It was renewed: the new one takes the place of the old one.
    Renewed { old: IkeHandle, new: IkeHandle },
    /// Everything that this IKE SA stood for is made anew.
    Retire(IkeHandle),
    /// The authenticated peer says that this is its only IKE SA (RFC 7296 §2.4).
    InitialContact { keep: IkeHandle, remote_id: Identity },
}

impl Cx<'_> {
    pub(crate) fn random(&mut self, len: usize) -> Vec<u8> {
        let mut octets = vec![0; len];
        self.rng.fill_bytes(&mut octets);
        octets
    }

    pub(crate) fn nonce(&mut self) -> Vec<u8> {
        // RFC 7296 §2.10: half the key of any PRF that can be offered; it is drawn before one is chosen.
        let least = self.provider.prf.iter().map(|row| row.min_nonce_len()).max().unwrap_or(16);
        self.random(self.config.nonce_len.clamp(least.min(256), 256))
    }

    pub(crate) fn ike_spi(&mut self) -> IkeSpi {
        loop {
            let mut octets = [0; 8];
            self.rng.fill_bytes(&mut octets);
            if octets != [0; 8] {
                return IkeSpi(octets);
            }
        }
    }

    pub(crate) fn child_spi(&mut self) -> Option<Spi> {
        self.spis.allocate(self.rng)
    }

    /// Queues a step and names it.
    pub(crate) fn job(&mut self, request: Request) -> OpId {
        let op = self.ids.op();
        self.jobs.push_back((op, request));
        op
    }

    /// `by` shortened by up to `percent` of it.
    pub(crate) fn jittered(&mut self, by: core::time::Duration, percent: u8) -> core::time::Duration {
        let span = by.as_millis().saturating_mul(u128::from(percent.min(100))) / 100;
        let span = u64::try_from(span).unwrap_or(u64::MAX);
        if span == 0 {
            return by;
        }
        by.saturating_sub(core::time::Duration::from_millis(self.rng.next_u64() % (span + 1)))
    }
}

/// Numbers that are never used twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    op: u64,
    handle: u64,
}

impl Ids {
    pub(crate) fn op(&mut self) -> OpId {
        self.op += 1;
        OpId(self.op)
    }

    pub(crate) fn handle(&mut self) -> IkeHandle {
        self.handle += 1;
        IkeHandle(self.handle)
    }
}

/// SPIs for inbound Child SAs.
#[derive(Clone, Debug)]
pub(crate) struct SpiPool {
    source: SpiSource,
    pool: VecDeque<Spi>,
    /// In use, where they are made up here.
    used: BTreeSet<Spi>,
}

/// How many SPIs a pool wants to hold ahead.
const POOL_TARGET: usize = 16;

impl SpiPool {
    pub(crate) fn new(source: SpiSource) -> Self {
        Self { source, pool: VecDeque::new(), used: BTreeSet::new() }
    }

    pub(crate) fn supply(&mut self, spi: Spi) {
        if self.source == SpiSource::Pool {
            self.pool.push_back(spi);
        }
    }

    pub(crate) fn wanted(&self) -> usize {
        match self.source {
            SpiSource::Random => 0,
            SpiSource::Pool => POOL_TARGET.saturating_sub(self.pool.len()),
        }
    }

    fn allocate(&mut self, rng: &mut dyn CryptoRng) -> Option<Spi> {
        if self.source == SpiSource::Pool {
            return self.pool.pop_front();
        }
        // 0..=255 are reserved (RFC 4303 §2.1). Collisions are rare, so a few tries are as good as a search.
        (0..64).map(|_| Spi(rng.next_u32())).find(|spi| spi.0 > Spi::RESERVED_MAX && self.used.insert(*spi))
    }

    /// The SPI's SA never was, or is gone.
    pub(crate) fn release(&mut self, spi: Spi) {
        self.used.remove(&spi);
    }

    pub(crate) fn source(&self) -> SpiSource {
        self.source
    }
}
