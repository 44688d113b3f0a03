//! An IKE SA that is over: it answers retransmissions of the last requests for a while (RFC 7296 §2.1: the answer may
//! have been lost), and may have to tell the peer that its proof did not hold (§2.21.2).

use alloc::boxed::Box;
use core::time::Duration;

use ipsec_sa::Instant;
use ipsec_wire::ike::{ExchangeType, NotifyType};

use super::State;
use crate::channel::{Channel, Inner};
use crate::context::Cx;
use crate::exchange::child::notify;
use crate::exchange::response_cache::{ResponseCache, Standing};
use crate::exchange::retransmit::{Retransmission, RetransmitStep};
use crate::exchange::window::{RequestWindow, Sent};
use crate::ike_sa::{Common, Incoming, Step, TimerKind};
use crate::io::Discarded;
use crate::path::Path;

/// How long retransmissions are still answered.
const LINGER: Duration = Duration::from_secs(30);

/// What is kept to answer retransmissions.
#[derive(Clone, Debug)]
pub(crate) struct Closing {
    pub(crate) channel: Channel,
    pub(crate) responses: ResponseCache,
    /// What the peer is told, until it has acknowledged it or it is over.
    pub(crate) notice: RequestWindow<()>,
}

impl Closing {
    pub(crate) fn begin(
        cx: &Cx<'_>,
        common: &mut Common,
        channel: Channel,
        responses: ResponseCache,
    ) -> State {
        common.timers.clear();
        common.timers.insert(TimerKind::Linger, cx.now + LINGER);
        State::Closing(Box::new(Self { channel, responses, notice: RequestWindow::new(0) }))
    }

    /// As initiator we could not authenticate the peer, which takes the IKE SA for made. RFC 7296 §2.21.2 lets us say so
    /// in an INFORMATIONAL exchange of its own, the notify alone: a request like any other, sent again until it is
    /// answered, for as long as this state lasts.
    pub(crate) fn tell_failure(
        cx: &mut Cx<'_>,
        common: &mut Common,
        mut channel: Channel,
        id: u32,
        path: Path,
    ) -> State {
        common.path = path;
        let payloads = [notify(NotifyType::AUTHENTICATION_FAILED)];
        let exchange = ExchangeType::INFORMATIONAL;
        let mut notice = RequestWindow::new(id);
        if let Ok(datagrams) = channel.seal(exchange, false, id, &payloads, cx.rng) {
            let names = crate::trace::names_of(&payloads, false);
            common.trace_sent(cx, exchange, false, id, &names, &datagrams, false);
            common.transmit(&datagrams);
            let retransmission = Retransmission::start(cx.now, &cx.config.retransmit, cx.rng);
            notice.push(Sent { exchange, datagrams, retransmission, purpose: () });
        }
        common.timers.clear();
        common.timers.insert(TimerKind::Linger, cx.now + LINGER);
        State::Closing(Box::new(Self { channel, responses: ResponseCache::new(0, 1), notice }))
    }

    pub(crate) fn on_message(
        mut self: Box<Self>,
        _cx: &mut Cx<'_>,
        common: &mut Common,
        message: Incoming<'_>,
    ) -> Step {
        let header = message.header;
        let id = header.message_id;
        let response = header.flags.is_response();
        if header.flags.is_initiator() == (self.channel.role == ipsec_sa::Role::Initiator) {
            return Step::discard(State::Closing(self), Discarded::Reflected);
        }
        if response && self.notice.exchange(id) != Some(header.exchange_type) {
            return Step::discard(State::Closing(self), Discarded::Unexpected);
        }
        match self.channel.open(&message.header, message.data) {
            // One answer to all pieces of a retransmission (RFC 7383 §2.6.1).
            Some(Inner::Whole { .. } | Inner::Piece(1)) => {}
            Some(Inner::Piece(_)) => return Step::done(State::Closing(self)),
            None => return Step::discard(State::Closing(self), Discarded::Integrity),
        }
        if response {
            // It knows.
            return Step::done(State::Gone);
        }
        match (self.responses.standing(id), self.responses.answered(id)) {
            (Standing::Answered, Some(datagrams)) => {
                common.transmit_on(message.path, datagrams);
                Step::done(State::Closing(self))
            }
            (Standing::Old, _) => Step::discard(State::Closing(self), Discarded::OldMessageId(id)),
            _ => Step::discard(State::Closing(self), Discarded::Unexpected),
        }
    }

    pub(crate) fn on_timeout(
        mut self: Box<Self>,
        cx: &mut Cx<'_>,
        common: &mut Common,
        due: &[TimerKind],
    ) -> State {
        if due.contains(&TimerKind::Linger) {
            return State::Gone;
        }
        for (id, sent) in self.notice.iter_mut() {
            if sent.retransmission.due().is_some_and(|at| at <= cx.now)
                && sent.retransmission.next(cx.now, cx.rng) == RetransmitStep::Retry
            {
                common.trace_sent(cx, sent.exchange, false, id, "SK{..}", &sent.datagrams, true);
                common.transmit(&sent.datagrams);
            }
        }
        State::Closing(self)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.notice.due()
    }
}
