//! One IKE SA: what all its states share, and the way from a datagram to the state that it is for.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ipsec_sa::{Instant, Role};
use ipsec_wire::ike::{ExchangeType, Header, MessageView, PayloadChain};
use ipsec_wire::{IkeSpi, Spi};

use crate::config::{ChildConfig, ConnectionConfig, ConnectionId};
use crate::context::Cx;
use crate::error::Error;
use crate::event::{CloseReason, Event, ExchangeTrace, KeyLogLine};
use crate::exchange::window::Datagrams;
use crate::io::{Discarded, IkeHandle};
use crate::job::{Answer, OpId};
use crate::keylog;
use crate::natd::NatStatus;
use crate::path::Path;
use crate::state::State;
use crate::table::Table;
use crate::trace;

/// A configured connection with its number. Shared, so that a change of configuration leaves running SAs alone.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) config: ConnectionConfig,
    pub(crate) children: Vec<Arc<ChildConfig>>,
}

/// One thing that leaves, in the order in which it must.
#[derive(Debug)]
pub(crate) enum Queued {
    Transmit { path: Path, data: Vec<u8> },
    Event(Event),
}

/// What an IKE SA waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum TimerKind {
    /// IKE_AUTH must have come (responder), or a valid answer after a hint (initiator).
    SetUp,
    RekeyIke,
    HardIke,
    /// The authentication is to be renewed.
    Reauth,
    Liveness,
    TaskRetry,
    Keepalive,
    /// A closed SA need not answer retransmissions any longer.
    Linger,
}

/// What every state of an IKE SA has.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) handle: IkeHandle,
    pub(crate) role: Role,
    pub(crate) spi_i: IkeSpi,
    pub(crate) spi_r: IkeSpi,
    pub(crate) path: Path,
    pub(crate) connection: Arc<Connection>,
    pub(crate) nat: NatStatus,
    pub(crate) timers: Table<TimerKind, Instant>,
    pub(crate) out: VecDeque<Queued>,
}

impl Common {
    /// Everything but what waits to be sent and told.
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            handle: self.handle,
            role: self.role,
            spi_i: self.spi_i,
            spi_r: self.spi_r,
            path: self.path,
            connection: self.connection.clone(),
            nat: self.nat,
            timers: self.timers.clone(),
            out: VecDeque::new(),
        }
    }

    /// The SPI that we chose.
    pub(crate) fn local_spi(&self) -> IkeSpi {
        match self.role {
            Role::Initiator => self.spi_i,
            Role::Responder => self.spi_r,
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.out.push_back(Queued::Event(event));
    }

    /// Sends a message on the current path.
    pub(crate) fn transmit(&mut self, datagrams: &Datagrams) {
        let path = self.path;
        self.transmit_on(path, datagrams);
    }

    pub(crate) fn transmit_on(&mut self, path: Path, datagrams: &Datagrams) {
        for datagram in datagrams {
            self.out.push_back(Queued::Transmit { path, data: marked(&path, datagram) });
        }
    }

    /// A message goes out for the first time or again; `payloads` are its names.
    #[expect(clippy::too_many_arguments, reason = "the fields of one record")]
    pub(crate) fn trace_sent(
        &mut self,
        cx: &Cx<'_>,
        exchange: ExchangeType,
        response: bool,
        message_id: u32,
        payloads: &str,
        datagrams: &Datagrams,
        retransmission: bool,
    ) {
        if !cx.config.trace {
            return;
        }
        let octets = datagrams.iter().map(Vec::len).sum();
        self.trace(cx.now, true, exchange, response, message_id, payloads.into(), octets, retransmission);
    }

    /// A message has come in.
    pub(crate) fn trace_received(&mut self, cx: &Cx<'_>, header: &Header, payloads: impl FnOnce() -> String) {
        if !cx.config.trace {
            return;
        }
        let octets = usize::try_from(header.length).unwrap_or(usize::MAX);
        let response = header.flags.is_response();
        self.trace(
            cx.now,
            false,
            header.exchange_type,
            response,
            header.message_id,
            payloads(),
            octets,
            false,
        );
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one record, used twice")]
    fn trace(
        &mut self,
        at: Instant,
        outbound: bool,
        exchange: ExchangeType,
        response: bool,
        message_id: u32,
        payloads: String,
        octets: usize,
        retransmission: bool,
    ) {
        let (spi_i, spi_r) = (self.spi_i, self.spi_r);
        self.event(Event::Exchange(Box::new(ExchangeTrace {
            at,
            outbound,
            exchange,
            response,
            message_id,
            payloads,
            octets,
            retransmission,
            spi_i,
            spi_r,
        })));
    }

    /// The keys of an epoch, for whoever asked for them.
    pub(crate) fn log_ike_keys(&mut self, cx: &Cx<'_>, channel: &crate::channel::Channel) {
        if !cx.config.key_log {
            return;
        }
        if let Some(line) =
            keylog::ikev2_decryption_table_line(channel.spi_i, channel.spi_r, &channel.suite, &channel.keys)
        {
            self.event(Event::Keys(KeyLogLine::Ikev2(line)));
        }
    }
}

/// `{…}` around the names of what was inside SK.
pub(crate) fn sk_names(chain: &PayloadChain<'_>, response: bool) -> String {
    format!("SK{{{}}}", trace::names(chain.payloads(), response))
}

/// What stands before an IKE message on this path (RFC 3948 §2.2).
pub(crate) fn marked(path: &Path, datagram: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(4 + datagram.len());
    if path.has_marker() {
        data.extend_from_slice(&[0; 4]);
    }
    data.extend_from_slice(datagram);
    data
}

/// What a step made of its state.
pub(crate) struct Step {
    /// The state from now on; [`State::Gone`] ends the IKE SA.
    pub(crate) next: State,
    /// Whether the input counted.
    pub(crate) outcome: Result<(), Discarded>,
}

impl Step {
    pub(crate) fn done(next: State) -> Self {
        Self { next, outcome: Ok(()) }
    }

    pub(crate) fn discard(next: State, why: Discarded) -> Self {
        Self { next, outcome: Err(why) }
    }
}

/// One IKE SA.
#[derive(Debug)]
pub(crate) struct IkeSa {
    pub(crate) common: Common,
    pub(crate) state: State,
}

/// A datagram that has been found to be a well-formed message for this IKE SA.
pub(crate) struct Incoming<'a> {
    pub(crate) path: Path,
    pub(crate) header: Header,
    pub(crate) data: &'a mut [u8],
}

impl Incoming<'_> {
    /// The message again, as it stands in clear.
    pub(crate) fn view(&self, cx: &Cx<'_>) -> Result<MessageView<'_>, Discarded> {
        MessageView::parse(self.data, &cx.config.limits).map_err(Discarded::Malformed)
    }
}

impl IkeSa {
    fn step(&mut self, run: impl FnOnce(State, &mut Common) -> Step) -> Result<(), Discarded> {
        let state = core::mem::replace(&mut self.state, State::Gone);
        let Step { next, outcome } = run(state, &mut self.common);
        self.state = next;
        outcome
    }

    /// A message for this IKE SA.
    pub(crate) fn on_message(&mut self, cx: &mut Cx<'_>, message: Incoming<'_>) -> Result<(), Discarded> {
        self.step(|state, common| state.on_message(cx, common, message))
    }

    /// A job of this IKE SA is done.
    pub(crate) fn on_answer(&mut self, cx: &mut Cx<'_>, op: OpId, answer: Answer) {
        let _ = self.step(|state, common| Step::done(state.on_answer(cx, common, op, answer)));
    }

    /// Everything that is due by now.
    pub(crate) fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        let mut due = Vec::new();
        self.common.timers.retain(|kind, at| {
            let keep = *at > cx.now;
            if !keep {
                due.push(*kind);
            }
            keep
        });
        let _ = self.step(|state, common| Step::done(state.on_timeout(cx, common, &due)));
    }

    /// When [`Self::on_timeout`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let timer = self.common.timers.values().min().copied();
        [timer, self.state.next_deadline()].into_iter().flatten().min()
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Ends the IKE SA here and now, without a word to the peer.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, reason: CloseReason) {
        let _ = self.step(|state, common| {
            state.release(cx, common);
            common.event(Event::IkeClosed { reason });
            Step::done(State::Gone)
        });
    }
}

/// Set-up failed: the one way in which a half-made IKE SA ends.
pub(crate) fn fail(common: &mut Common, error: Error) -> State {
    common.event(Event::IkeClosed { reason: CloseReason::Failed(Box::new(error)) });
    State::Gone
}

/// A child of an established IKE SA and both its SPIs.
pub(crate) type ChildTable = Table<Spi, crate::exchange::child::ChildSa>;
