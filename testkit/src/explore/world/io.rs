//! What goes into the endpoints and what comes out of them: datagrams, jobs, time, events.

use alloc::sync::Arc;
use core::net::SocketAddr;

use ikev2_core::job::KeyExchangeJob;
use ikev2_core::{Answer, CloseReason, Error, Event, IkeHandle, Input, Output, Path, Request};
use ipsec_crypto::{ActiveKeyExchange, CryptoProvider};
use ipsec_wire::Spi;
use ipsec_wire::ike::{ExchangeType, KeId};

use super::data_plane::Child;
use super::{Dice, Flight, LEFT, OUTSIDE, SIDES, World, index, jitter};
use crate::ladder::{Record, Side};

/// A step that a side has put out.
#[derive(Clone)]
pub(super) enum Job {
    Start(KeId),
    Respond(KeId, Vec<u8>),
    Complete(Arc<dyn ActiveKeyExchange>, Vec<u8>),
    Install(Child),
}

/// No single input has more outputs than this.
const MOST_OUTPUTS: u32 = 1_000;

impl World {
    pub(super) fn job(&mut self, side: Side) {
        let now = self.now;
        let end = &mut self.ends[index(side)];
        let Some((op, job)) = end.jobs.pop_front() else { return };
        let provider: CryptoProvider = super::key_use::provider();
        let request = match job {
            Job::Start(method) => KeyExchangeJob::Start { method },
            Job::Respond(method, peer) => KeyExchangeJob::Respond { method, peer },
            Job::Complete(active, peer) => KeyExchangeJob::Complete { active, peer },
            Job::Install(child) => {
                match end.closed_early.iter().position(|spi| *spi == child.inbound) {
                    Some(place) => {
                        end.closed_early.remove(place);
                    }
                    None => self.install(side, child),
                }
                let end = &mut self.ends[index(side)];
                let _ = end.endpoint.answer(now, op, Answer::Installed(Ok(())));
                return self.drain(side);
            }
        };
        let mut rng = Dice { luck: self.luck.clone(), jitter: jitter(side) };
        if let Ok(answer) = Request::KeyExchange(request).execute(&provider, &mut rng) {
            // A job whose IKE SA is gone has nobody to answer to.
            let _ = end.endpoint.answer(now, op, answer);
        }
        self.drain(side);
    }

    pub(super) fn deliver(&mut self, flight: &Flight) {
        let mut target = flight.target;
        if let (Some(nat), Side::Left, false) = (self.nat, flight.to, target.port() == 500) {
            if target.port() != nat.port || target.ip() != core::net::IpAddr::from(OUTSIDE) {
                return;
            }
            target = SocketAddr::from((LEFT, 4500));
        }
        let path = if target.port() == 4500 {
            Path::udp_encap(target, flight.source)
        } else {
            Path::udp(target, flight.source)
        };
        let mut data = flight.data.to_vec();
        let input = Input::Datagram { now: self.now, path, ecn: 0, data: &mut data };
        let _ = self.ends[index(flight.to)].endpoint.handle_input(input);
        self.drain(flight.to);
    }

    pub(super) fn tick(&mut self) {
        let Some(next) = self.ends.iter().filter_map(|end| end.timeout).min() else { return };
        self.now = self.now.max(next);
        for side in SIDES {
            if self.ends[index(side)].timeout.is_some_and(|at| at <= self.now) {
                let _ = self.ends[index(side)].endpoint.handle_input(Input::Timeout(self.now));
                self.drain(side);
            }
        }
    }

    pub(super) fn drain(&mut self, side: Side) {
        let at = index(side);
        for _ in 0..MOST_OUTPUTS {
            let end = &mut self.ends[at];
            let wanted = end.endpoint.spis_wanted();
            if wanted > 0 {
                let base = (at as u32 + 1) << 16;
                let from = base + end.supplied;
                let count = u32::try_from(wanted).unwrap_or(u32::MAX);
                end.supplied += count;
                end.endpoint.supply_spis((from..from + count).map(Spi));
            }
            match end.endpoint.poll_output() {
                Output::Timeout(timeout) => {
                    end.timeout = timeout;
                    return self.seals();
                }
                Output::Transmit { path, data, .. } => self.transmit(side, &path, data),
                Output::Event(ike, event) => self.take(side, ike, event),
            }
        }
        self.violate(String::from("one side does not stop talking"));
    }

    fn transmit(&mut self, side: Side, path: &Path, data: Vec<u8>) {
        if data != [0xff] {
            self.inspect(side, &data);
        }
        let (mut source, target) = (path.local, path.remote);
        if self.ladder.is_some() {
            self.record.sent.push((self.now, source, target, data.clone()));
        }
        if let (Some(nat), Side::Left) = (self.nat, side) {
            // The set-up goes through its own mapping of the other port, which stays.
            let port = if source.port() == 4500 { nat.port } else { 9_999 };
            source = SocketAddr::from((OUTSIDE, port));
        }
        if self.nat.is_some() && target.port() == 9_999 {
            return self.wire.push(Flight {
                to: Side::Left,
                source,
                target: SocketAddr::from((LEFT, 500)),
                data: data.into(),
                late: false,
            });
        }
        self.wire.push(Flight { to: side.other(), source, target, data: data.into(), late: false });
    }

    fn take(&mut self, side: Side, ike: IkeHandle, event: Event) {
        let at = index(side);
        match event {
            Event::Exchange(trace) => {
                if let Some(ladder) = &mut self.ladder {
                    ladder.add(side, Record::from(*trace));
                }
            }
            Event::Keys(line) => {
                self.ike_keys(side, ike, &line);
                if self.ladder.is_some() {
                    self.record.keys.push(line);
                }
            }
            Event::Needs { op, what, .. } => {
                let job = match what {
                    Request::KeyExchange(KeyExchangeJob::Start { method }) => Job::Start(method),
                    Request::KeyExchange(KeyExchangeJob::Respond { method, peer }) => {
                        Job::Respond(method, peer)
                    }
                    Request::KeyExchange(KeyExchangeJob::Complete { active, peer }) => {
                        Job::Complete(active, peer)
                    }
                    Request::Install(install) => Job::Install(self.reserve(side, ike, &install)),
                    other => return self.violate(format!("nobody can do {other:?}")),
                };
                self.ends[at].jobs.push_back((op, job));
            }
            Event::ChildInstalled(install) => {
                let child = self.reserve(side, ike, &install);
                self.install(side, child);
            }
            Event::ChildClosed { inbound, .. } => self.close(side, inbound),
            Event::ChildMoved(update) => {
                if let Some(child) = self.ends[at].children.get_mut(&update.inbound) {
                    child.outer = update.outer;
                }
            }
            Event::SpiReleased(_) => self.ends[at].released += 1,
            Event::ChildFailed { child, error } => {
                self.ends[at].failures += 1;
                if let Some(ladder) = &mut self.ladder {
                    ladder.note(self.now, &format!("{side:?}: {child} failed: {error}"));
                }
            }
            Event::IkeClosed { reason } => {
                // A copy of an old IKE_SA_INIT request is one that nobody comes back for.
                let in_vain = matches!(&reason, CloseReason::Failed(error)
                    if matches!(**error, Error::TimedOut { exchange: ExchangeType::IKE_AUTH, tries: 0 }));
                if matches!(reason, CloseReason::Failed(_) | CloseReason::Expired) && !in_vain {
                    self.ends[at].failures += 1;
                }
                if let Some(ladder) = &mut self.ladder {
                    ladder.note(self.now, &format!("{side:?}: an IKE SA is gone: {reason}"));
                }
            }
            _ => {}
        }
    }
}
