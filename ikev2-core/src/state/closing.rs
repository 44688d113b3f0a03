//! An IKE SA that is over: it answers retransmissions of the last requests for a while, and nothing else
//! (RFC 7296 §2.1: the answer may have been lost).

use alloc::boxed::Box;
use core::time::Duration;

use super::State;
use crate::channel::{Channel, Inner};
use crate::context::Cx;
use crate::exchange::response_cache::{ResponseCache, Standing};
use crate::ike_sa::{Common, Incoming, Step, TimerKind};
use crate::io::Discarded;

/// How long retransmissions are still answered.
const LINGER: Duration = Duration::from_secs(30);

/// What is kept to answer retransmissions.
#[derive(Clone, Debug)]
pub(crate) struct Closing {
    pub(crate) channel: Channel,
    pub(crate) responses: ResponseCache,
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
        State::Closing(Box::new(Self { channel, responses }))
    }

    pub(crate) fn on_message(
        mut self: Box<Self>,
        _cx: &mut Cx<'_>,
        common: &mut Common,
        message: Incoming<'_>,
    ) -> Step {
        let id = message.header.message_id;
        if message.header.flags.is_response() {
            return Step::discard(State::Closing(self), Discarded::Unexpected);
        }
        match self.channel.open(&message.header, message.data) {
            // One answer to all pieces of a retransmission (RFC 7383 §2.6.1).
            Some(Inner::Whole { .. } | Inner::Piece(1)) => {}
            Some(Inner::Piece(_)) => return Step::done(State::Closing(self)),
            None => return Step::discard(State::Closing(self), Discarded::Integrity),
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
}
