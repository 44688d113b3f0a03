//! What can happen next, and having it happen.

use core::time::Duration;

use ikev2_core::{ApiMisuse, ConnectionId, IkeSaState};

use super::{Nat, SIDES, World, index};
use crate::explore::{Command, child_name};
use crate::ladder::Side;

/// One thing that can happen next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// A side is told to do the next thing on its list.
    Issue(Side),
    /// The oldest job of a side is done.
    Job(Side),
    /// The datagram at this place on the wire arrives.
    Deliver(usize),
    /// It is lost.
    Drop(usize),
    /// It arrives, and stays on the wire as well.
    Twice(usize),
    /// It is held up: others overtake it, and time passes.
    Hold(usize),
    /// Time passes until something is due.
    Tick,
}

impl Action {
    /// How many mishaps it is.
    pub(crate) fn cost(self, world: &World) -> u8 {
        match self {
            Self::Issue(_) | Self::Job(_) | Self::Deliver(_) => 0,
            Self::Drop(_) | Self::Twice(_) | Self::Hold(_) => 1,
            Self::Tick => u8::from(world.ends.iter().any(|end| !end.jobs.is_empty())),
        }
    }
}

impl World {
    /// What can happen now, in an order that depends on nothing but the state.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for side in SIDES {
            let end = &self.ends[index(side)];
            if end.issued < self.scenario.commands(side).len() {
                actions.push(Action::Issue(side));
            }
            if !end.jobs.is_empty() {
                actions.push(Action::Job(side));
            }
        }
        let mut head = [true; 2];
        for (place, flight) in self.wire.iter().enumerate() {
            let first = flight.late || core::mem::replace(&mut head[index(flight.to)], false);
            // Of two copies one is as good as the other.
            let seen = self.wire[..place]
                .iter()
                .any(|other| (other.to, other.late, &other.data) == (flight.to, flight.late, &flight.data));
            if seen {
                continue;
            }
            if first {
                actions.push(Action::Deliver(place));
            }
            if self.faults > 0 {
                actions.push(Action::Drop(place));
                actions.push(Action::Twice(place));
                if !flight.late {
                    actions.push(Action::Hold(place));
                }
            }
        }
        let commanded =
            SIDES.iter().all(|side| self.ends[index(*side)].issued == self.scenario.commands(*side).len());
        // A job may be slow, but not slower than this.
        let slow = self.ends.iter().any(|end| !end.jobs.is_empty());
        let latest = self.now + Duration::from_secs(2);
        let due =
            self.ends.iter().filter_map(|end| end.timeout).min().is_some_and(|at| !slow || at <= latest);
        if commanded
            && due
            && self.wire.iter().all(|flight| flight.late)
            && Action::Tick.cost(self) <= self.faults
        {
            actions.push(Action::Tick);
        }
        actions
    }

    /// In words, for whoever reads a failure.
    pub(crate) fn describe(&self, action: Action) -> String {
        let flight = |place: usize| {
            self.wire.get(place).map_or_else(String::new, |flight| {
                let datagram = flight.data.strip_prefix(&[0; 4]).unwrap_or(&flight.data);
                let header = ipsec_wire::ike::Header::parse(datagram);
                let what = header.map_or_else(
                    |_| format!("{} octets", datagram.len()),
                    |header| {
                        let kind = if header.flags.is_response() { "response" } else { "request" };
                        format!("{} {kind} {}", header.exchange_type, header.message_id)
                    },
                );
                format!("{what} to the {:?}", flight.to).to_lowercase()
            })
        };
        match action {
            Action::Issue(side) => {
                let next = self.scenario.commands(side).get(self.ends[index(side)].issued);
                format!("{side:?}: {next:?}")
            }
            Action::Job(side) => format!("{side:?}: a job is done"),
            Action::Deliver(place) => format!("arrives: {}", flight(place)),
            Action::Drop(place) => format!("lost: {}", flight(place)),
            Action::Twice(place) => format!("arrives, and will again: {}", flight(place)),
            Action::Hold(place) => format!("held up: {}", flight(place)),
            Action::Tick => String::from("time passes"),
        }
    }

    /// Has it happen.
    pub(crate) fn apply(&mut self, action: Action) {
        self.faults = self.faults.saturating_sub(action.cost(self));
        match action {
            Action::Issue(side) => self.issue(side),
            Action::Job(side) => self.job(side),
            Action::Deliver(place) => {
                self.messages = self.messages.saturating_sub(1);
                let flight = self.wire.remove(place);
                self.deliver(&flight);
            }
            Action::Twice(place) => {
                self.messages = self.messages.saturating_sub(1);
                let flight = self.wire[place].clone();
                self.wire[place].late = true;
                self.deliver(&flight);
            }
            Action::Drop(place) => {
                self.messages = self.messages.saturating_sub(1);
                self.wire.remove(place);
            }
            Action::Hold(place) => self.wire[place].late = true,
            Action::Tick => self.tick(),
        }
        self.traffic();
    }

    /// Gives the left side these commands, one after the other, and has each come to its end.
    pub(crate) fn prepare(&mut self, commands: &[Command]) {
        for command in commands {
            self.command(Side::Left, *command);
            for _ in 0..1_000 {
                if !self.calm_step() {
                    break;
                }
            }
        }
        self.traffic();
    }

    /// A step of the conversation without a new command, and without waiting.
    fn calm_step(&mut self) -> bool {
        let next =
            self.actions().into_iter().find(|action| matches!(action, Action::Job(_) | Action::Deliver(_)));
        next.map(|next| self.apply(next)).is_some()
    }

    /// One step of a run in which nothing goes wrong; `false` when there is nothing to do at all.
    pub(crate) fn go_on(&mut self) -> bool {
        let next = self.actions().into_iter().find(|action| match action {
            Action::Issue(_) | Action::Job(_) | Action::Deliver(_) => true,
            Action::Tick => self.ends.iter().all(|end| end.jobs.is_empty()),
            _ => false,
        });
        let Some(next) = next else { return false };
        self.apply(next);
        true
    }

    fn issue(&mut self, side: Side) {
        let end = &mut self.ends[index(side)];
        let Some(command) = self.scenario.commands(side).get(end.issued).copied() else { return };
        end.issued += 1;
        self.command(side, command);
    }

    fn command(&mut self, side: Side, command: Command) {
        let now = self.now;
        let end = &mut self.ends[index(side)];
        let youngest = end
            .endpoint
            .ike_sas()
            .filter(|info| info.state == IkeSaState::Established)
            .max_by_key(|info| (!info.children.is_empty(), info.handle));
        let ike = youngest.as_ref().map(|info| info.handle);
        let child = |place: usize| {
            let wanted = child_name(place);
            let of_it = youngest.as_ref()?.children.iter().filter(|child| child.child == wanted);
            of_it.max_by_key(|child| end.children.get(&child.inbound).map_or(0, |known| known.rank))
        };
        let endpoint = &mut end.endpoint;
        // What there is nothing to be done to is not done.
        let result = match (command, ike) {
            (Command::Connect, _) => endpoint.connect(now, ConnectionId(0), Some(0), None).map(|_| ()),
            (Command::RebindNat, _) => {
                self.nat = self.nat.map(|nat| Nat { port: nat.port + 1 });
                Ok(())
            }
            (_, None) => Ok(()),
            (Command::RekeyIke, Some(ike)) => endpoint.rekey_ike(now, ike),
            (Command::DeleteIke, Some(ike)) => endpoint.delete_ike(now, ike),
            (Command::Liveness, Some(ike)) => endpoint.check_liveness(now, ike),
            (Command::Reauthenticate, Some(ike)) => endpoint.reauthenticate(now, ike).map(|_| ()),
            (Command::CreateChild(place), Some(ike)) => endpoint.create_child(now, ike, place, None),
            (Command::RekeyChild(place), Some(ike)) => match child(place).map(|child| child.inbound) {
                Some(spi) => endpoint.rekey_child(now, ike, spi),
                None => Ok(()),
            },
            (Command::DeleteChild(place), Some(ike)) => match child(place).map(|child| child.inbound) {
                Some(spi) => endpoint.delete_child(now, ike, spi),
                None => Ok(()),
            },
        };
        if !matches!(
            result,
            Ok(()) | Err(ApiMisuse::WrongState | ApiMisuse::UnknownIkeSa | ApiMisuse::UnknownChild)
        ) {
            self.violate(format!("{command:?}: {result:?}"));
        }
        self.drain(side);
    }
}
