//! What waits for [`crate::Stack::poll_output`]: bounded in all that strangers or hosts inside can make come about.
//!
//! Datagrams and packets may get lost anyway, so the newest are not taken in when the queue is full. What an SA's owner
//! must see, its coming, moving and going and the steps it is to answer, is never left out; peers bring that about no
//! faster than [`ikev2_core::ConnectionConfig::create_child_rate`] lets them.

use alloc::collections::VecDeque;

use crate::{Event, Output, OutputLimits, Unpolled};

#[derive(Debug, Default)]
pub(crate) struct Outputs {
    queue: VecDeque<(Output, Weight)>,
    packets: usize,
    octets: usize,
    events: usize,
}

/// What an output takes of the bounds.
#[derive(Clone, Copy, Debug)]
enum Weight {
    Packet(usize),
    Event,
    /// Nothing: it is never left out.
    Kept,
}

impl Outputs {
    /// Puts an output behind all others, or counts what finds no room.
    pub(crate) fn push(&mut self, output: Output, limits: &OutputLimits, unpolled: &mut Unpolled) {
        let weight = match &output {
            Output::Transmit { data, .. } => Weight::Packet(data.len()),
            Output::Deliver(packet) => Weight::Packet(packet.len()),
            Output::Event(_, event) if !is_of_consequence(event) => Weight::Event,
            Output::Event(..) | Output::Timeout(_) => Weight::Kept,
        };
        self.weigh_in(output, weight, limits, unpolled);
    }

    /// Puts an event of consequence behind all others that is about nothing the caller was ever told of.
    pub(crate) fn push_passing(&mut self, event: Output, limits: &OutputLimits, unpolled: &mut Unpolled) {
        self.weigh_in(event, Weight::Event, limits, unpolled);
    }

    fn weigh_in(&mut self, output: Output, weight: Weight, limits: &OutputLimits, unpolled: &mut Unpolled) {
        match weight {
            Weight::Packet(octets)
                if self.packets >= limits.packets || self.octets.saturating_add(octets) > limits.octets =>
            {
                unpolled.packets += 1;
                return;
            }
            Weight::Event if self.events >= limits.events => {
                unpolled.events += 1;
                return;
            }
            Weight::Packet(octets) => {
                self.packets += 1;
                self.octets += octets;
            }
            Weight::Event => self.events += 1,
            Weight::Kept => {}
        }
        self.queue.push_back((output, weight));
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        let (output, weight) = self.queue.pop_front()?;
        match weight {
            Weight::Packet(octets) => {
                self.packets -= 1;
                self.octets -= octets;
            }
            Weight::Event => self.events -= 1,
            Weight::Kept => {}
        }
        Some(output)
    }
}

/// Whether an event says what SAs there are, or asks for an answer.
const fn is_of_consequence(event: &Event) -> bool {
    match event {
        Event::IkeEstablished(_)
        | Event::IkeRekeyed { .. }
        | Event::IkeClosed { .. }
        | Event::ChildInstalled(_)
        | Event::ChildClosed { .. }
        | Event::ChildRefused { .. }
        | Event::ChildMoved(_)
        | Event::Needs { .. } => true,
        Event::PeerRefused { .. }
        | Event::ChildFailed { .. }
        | Event::PeerLacksChild { .. }
        | Event::QueueCleared { .. }
        | Event::Exchange(_)
        | Event::Keys(_) => false,
    }
}
