//! The SPD as a machine of operations: whatever is compiled and remembered, it decides as a scan does.
#![no_main]

use std::net::IpAddr;

use ipsec_sa::{
    Direction, Flow, InterfaceId, Policy, PolicyAction, PolicyError, PolicyId, SecurityPolicyDatabase,
    TrafficSelector,
};
use libfuzzer_sys::fuzz_target;

struct Octets<'a>(&'a [u8]);

impl Octets<'_> {
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn address(&mut self, v4: bool) -> IpAddr {
        let octet = self.next();
        match v4 {
            true => [10, octet & 0x80, 0, octet & 15].into(),
            false => [0x2001, 0, 0, u16::from(octet & 0x80), 0, 0, 0, u16::from(octet & 15)].into(),
        }
    }

    fn protocol(&mut self) -> u8 {
        [0, 6, 17, 1, 58, 135, 50, 253][usize::from(self.next() & 7)]
    }

    fn selector(&mut self, v4: bool) -> TrafficSelector {
        let (one, two) = (self.address(v4), self.address(v4));
        let ports = [(0, 65535), (65535, 0), (0, 1), (2, 2), (1, 3), (65535, 65535), (0, 65534), (1, 65535)];
        let (protocol, (low, high)) = (self.protocol(), ports[usize::from(self.next() & 7)]);
        TrafficSelector::new(protocol, low..=high, one.min(two), one.max(two)).unwrap()
    }

    fn interface(&mut self) -> Option<InterfaceId> {
        match self.next() & 7 {
            number @ 1..=2 => Some(InterfaceId(u32::from(number))),
            _ => None,
        }
    }

    fn policy(&mut self) -> Policy {
        let (id, shape) = (self.next() % 64, self.next());
        let v4 = shape & 1 == 0;
        let mut local: Vec<_> = (0..=(shape >> 1 & 1)).map(|_| self.selector(v4)).collect();
        let mut remote: Vec<_> = (0..=(shape >> 2 & 1)).map(|_| self.selector(v4)).collect();
        if shape & 8 != 0 {
            local.push(self.selector(!v4));
            remote.push(self.selector(!v4));
        }
        if shape & 0xc0 == 0xc0 {
            // More pairs than get a box each.
            local.extend((0..7).map(|last| TrafficSelector::host([10, 0, 0, last].into())));
            remote.extend((0..7).map(|last| TrafficSelector::host([10, 0, 0, 2 * last].into())));
        }
        let mut policy = Policy::new(PolicyId(u32::from(id)), "", local, remote, PolicyAction::Bypass);
        policy.interface = self.interface();
        match shape >> 4 & 3 {
            1 => policy.for_direction(Direction::Inbound),
            2 => policy.for_direction(Direction::Outbound),
            _ => policy,
        }
    }

    fn flow(&mut self) -> Flow {
        let shape = self.next();
        let v4 = shape & 1 == 0;
        let (src, dst) = (self.address(v4), self.address(v4));
        let mut port = |seen: bool| {
            let port = [0, 1, 2, 3, 4, 65534, 65535, 80][usize::from(self.next() & 7)];
            seen.then_some(port)
        };
        let (src_port, dst_port) = (port(shape & 2 == 0), port(shape & 4 == 0));
        Flow { src, dst, protocol: self.protocol(), src_port, dst_port }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut octets = Octets(data);
    let mut spd = SecurityPolicyDatabase::new();
    let mut model: Vec<Policy> = Vec::new();
    while !octets.0.is_empty() {
        let revision = spd.revision();
        match octets.next() % 12 {
            0..=3 => {
                let policy = octets.policy();
                let known = model.iter().any(|other| other.id == policy.id);
                let expected = if known { Err(PolicyError::DuplicateId) } else { Ok(()) };
                assert_eq!(spd.insert(policy.clone()), expected);
                if !known {
                    assert_ne!(spd.revision(), revision);
                    model.push(policy);
                }
            }
            4 => {
                let (next, policy) = (PolicyId(u32::from(octets.next() % 64)), octets.policy());
                let place = model.iter().position(|other| other.id == next);
                let known = model.iter().any(|other| other.id == policy.id);
                let inserted = spd.insert_before(next, policy.clone());
                match place {
                    None => assert_eq!(inserted, Err(PolicyError::UnknownId)),
                    Some(_) if known => assert_eq!(inserted, Err(PolicyError::DuplicateId)),
                    Some(place) => {
                        assert_eq!(inserted, Ok(()));
                        model.insert(place, policy);
                    }
                }
            }
            5 => {
                let id = PolicyId(u32::from(octets.next() % 64));
                let place = model.iter().position(|other| other.id == id);
                assert_eq!(spd.remove(id), place.map(|place| model.remove(place)));
            }
            6 => spd.compile(),
            _ => {
                let (flow, interface) = (octets.flow(), octets.interface());
                for direction in [Direction::Inbound, Direction::Outbound] {
                    let decide = |interface| {
                        model
                            .iter()
                            .find(|policy| policy.interface == interface && policy.matches(direction, &flow))
                            .map(|policy| policy.id)
                    };
                    for _ in 0..2 {
                        let found = spd.lookup_on(direction, &flow, interface).map(|policy| policy.id);
                        assert_eq!(found, decide(interface), "{direction:?} {flow:?}");
                    }
                    let found = match direction {
                        Direction::Inbound => spd.inbound(&flow),
                        Direction::Outbound => spd.outbound(&flow),
                    };
                    assert_eq!(found.map(|policy| policy.id), decide(None));
                }
            }
        }
        assert!(spd.iter().eq(&model));
    }
});
