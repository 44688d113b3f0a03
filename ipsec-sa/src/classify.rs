//! Ordered policies compiled into trees of cuts, so that a look-up costs a few comparisons instead of a scan.
//!
//! A policy is a box in five dimensions: both addresses, protocol and both ports. A tree cuts the space in two until few
//! boxes are left, in their order; the first whose policy matches decides, by the same test that a scan would use. A box
//! that lies on both sides of a cut goes to both, and a cut that would repeat too many is not made: memory stays below
//! [`SPREAD`] references per box, and a set of policies that cannot be told apart costs a scan of those alone.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::{Direction, Flow, InterfaceId, Policy, TrafficSelector};

/// Boxes that are scanned rather than cut further.
const LEAF: usize = 6;
/// References to boxes at most, for each box.
const SPREAD: usize = 8;
/// Pairs of selectors of one policy that get a box each; where there are more, one box holds all.
const MAX_PAIRS: usize = 32;
const DIMENSIONS: usize = 5;
/// The port that cannot be seen lies behind all others.
const UNSEEN: u128 = 65536;

/// Both directions of a list of policies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Classifier {
    /// By direction, family and whether the protocol has one value instead of two ports.
    trees: [Tree; 8],
}

#[derive(Clone, Debug, Default)]
struct Tree {
    nodes: Vec<Node>,
    /// Places of policies, leaf after leaf, each in order.
    listed: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Node {
    /// Below `at` it goes on with the next node, from there on with `above`.
    Cut {
        dimension: u8,
        at: u128,
        above: u32,
    },
    Leaf {
        start: u32,
        end: u32,
    },
}

#[derive(Clone, Copy, Debug)]
struct Space {
    policy: u32,
    low: [u128; DIMENSIONS],
    high: [u128; DIMENSIONS],
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

const fn tree_of(direction: Direction, is_ipv4: bool, one_value: bool) -> usize {
    let direction = match direction {
        Direction::Inbound => 0,
        Direction::Outbound => 4,
    };
    direction + if is_ipv4 { 2 } else { 0 } + if one_value { 1 } else { 0 }
}

fn point(flow: &Flow) -> [u128; DIMENSIONS] {
    let port = |port: Option<u16>| port.map_or(UNSEEN, u128::from);
    [
        number(flow.src),
        number(flow.dst),
        u128::from(flow.protocol),
        port(flow.src_port),
        // Of a protocol with one value nobody asks for the destination's.
        if flow.has_one_value() { 0 } else { port(flow.dst_port) },
    ]
}

/// Whether the protocol of a selector has one value instead of two ports; `None` for any protocol.
fn has_one_value(protocol: u8) -> Option<bool> {
    let any = [0, 0, 0, 0].into();
    let flow = Flow { src: any, dst: any, protocol, src_port: None, dst_port: None };
    (protocol != 0).then(|| flow.has_one_value())
}

impl Space {
    fn new(policy: u32, source: &TrafficSelector, destination: &TrafficSelector, one_value: bool) -> Self {
        let protocols = |ts: &TrafficSelector| match ts.protocol() {
            0 => (0, 255),
            one => (u128::from(one), u128::from(one)),
        };
        let ports = |ts: &TrafficSelector| match ts.ports() {
            _ if ts.is_any_port() => (0, UNSEEN),
            _ if ts.is_opaque_port() => (UNSEEN, UNSEEN),
            (low, high) => (u128::from(low), u128::from(high)),
        };
        let (one, two) = (protocols(source), protocols(destination));
        let destination_ports = if one_value { (0, UNSEEN) } else { ports(destination) };
        let ranges = [
            (number(source.start()), number(source.end())),
            (number(destination.start()), number(destination.end())),
            (one.0.max(two.0), one.1.min(two.1)),
            ports(source),
            destination_ports,
        ];
        Self { policy, low: ranges.map(|range| range.0), high: ranges.map(|range| range.1) }
    }

    fn is_empty(&self) -> bool {
        self.low.iter().zip(&self.high).any(|(low, high)| low > high)
    }

    fn hold(&mut self, other: &Self) {
        for (own, more) in self.low.iter_mut().zip(other.low) {
            *own = (*own).min(more);
        }
        for (own, more) in self.high.iter_mut().zip(other.high) {
            *own = (*own).max(more);
        }
    }
}

impl Classifier {
    pub(crate) fn new(policies: &[Policy]) -> Self {
        let mut classifier = Self::default();
        for direction in [Direction::Inbound, Direction::Outbound] {
            for is_ipv4 in [false, true] {
                for one_value in [false, true] {
                    let spaces = spaces(policies, direction, is_ipv4, one_value);
                    let tree = classifier.trees.get_mut(tree_of(direction, is_ipv4, one_value));
                    if let Some(tree) = tree {
                        *tree = Tree::new(spaces);
                    }
                }
            }
        }
        classifier
    }

    /// The place of the first policy that matches.
    pub(crate) fn find(
        &self,
        policies: &[Policy],
        direction: Direction,
        flow: &Flow,
        interface: Option<InterfaceId>,
    ) -> Option<u32> {
        let tree = self.trees.get(tree_of(direction, flow.src.is_ipv4(), flow.has_one_value()))?;
        let matches = |place: &u32| {
            policies
                .get(*place as usize)
                .is_some_and(|policy| policy.interface == interface && policy.matches(direction, flow))
        };
        tree.candidates(&point(flow)).iter().copied().find(matches)
    }

    /// Nodes and references, to be measured.
    #[cfg(test)]
    fn size(&self) -> usize {
        self.trees.iter().map(|tree| tree.nodes.len() + tree.listed.len()).sum()
    }
}

fn spaces(policies: &[Policy], direction: Direction, is_ipv4: bool, one_value: bool) -> Vec<Space> {
    let mut spaces: Vec<Space> = Vec::new();
    for (place, policy) in (0..).zip(policies) {
        if policy.direction.is_some_and(|only| only != direction) {
            continue;
        }
        let (sources, destinations) = match direction {
            Direction::Outbound => (&policy.local, &policy.remote),
            Direction::Inbound => (&policy.remote, &policy.local),
        };
        let first = spaces.len();
        for source in sources {
            for destination in destinations {
                let counts = |ts: &TrafficSelector| {
                    ts.is_ipv4() == is_ipv4 && has_one_value(ts.protocol()).is_none_or(|one| one == one_value)
                };
                if !counts(source) || !counts(destination) {
                    continue;
                }
                let space = Space::new(place, source, destination, one_value);
                if space.is_empty() {
                    continue;
                }
                match spaces.get_mut(first) {
                    Some(held) if sources.len() * destinations.len() > MAX_PAIRS => held.hold(&space),
                    _ => spaces.push(space),
                }
            }
        }
    }
    spaces
}

impl Tree {
    fn new(spaces: Vec<Space>) -> Self {
        let mut tree = Self::default();
        let mut budget = spaces.len().saturating_mul(SPREAD);
        tree.grow(spaces, &mut budget);
        tree
    }

    /// Puts a subtree behind what is there.
    fn grow(&mut self, spaces: Vec<Space>, budget: &mut usize) {
        let cut = if spaces.len() > LEAF { best_cut(&spaces) } else { None };
        let room = |cut: &Cut| cut.below + cut.above - spaces.len() <= *budget;
        let Some(Cut { dimension, at, below, above }) = cut.filter(room) else {
            let start = self.listed.len() as u32;
            self.listed.extend(spaces.iter().map(|space| space.policy));
            self.nodes.push(Node::Leaf { start, end: self.listed.len() as u32 });
            return;
        };
        *budget -= below + above - spaces.len();
        let side = |keep: &dyn Fn(&Space) -> bool| -> Vec<Space> {
            spaces.iter().filter(|space| keep(space)).copied().collect()
        };
        let (lower, upper) =
            (side(&|space| starts(space, dimension) < at), side(&|space| ends(space, dimension) >= at));
        drop(spaces);
        let node = self.nodes.len();
        self.nodes.push(Node::Cut { dimension: dimension as u8, at, above: 0 });
        self.grow(lower, budget);
        let behind = self.nodes.len() as u32;
        if let Some(Node::Cut { above, .. }) = self.nodes.get_mut(node) {
            *above = behind;
        }
        self.grow(upper, budget);
    }

    #[inline]
    fn candidates(&self, point: &[u128; DIMENSIONS]) -> &[u32] {
        let mut at = 0;
        // Every step goes to a later node, so the walk ends.
        while let Some(node) = self.nodes.get(at) {
            match *node {
                Node::Cut { dimension, at: threshold, above } => {
                    let value = point.get(usize::from(dimension)).copied().unwrap_or(0);
                    at = if value < threshold { at + 1 } else { above as usize };
                }
                Node::Leaf { start, end } => {
                    return self.listed.get(start as usize..end as usize).unwrap_or_default();
                }
            }
        }
        &[]
    }
}

fn starts(space: &Space, dimension: usize) -> u128 {
    space.low.get(dimension).copied().unwrap_or(0)
}

fn ends(space: &Space, dimension: usize) -> u128 {
    space.high.get(dimension).copied().unwrap_or(u128::MAX)
}

#[derive(Clone, Copy)]
struct Cut {
    dimension: usize,
    at: u128,
    /// Boxes on either side; some on both.
    below: usize,
    above: usize,
}

/// The cut that leaves the fewest boxes on its fuller side: in each dimension at the median of where boxes begin and end.
fn best_cut(spaces: &[Space]) -> Option<Cut> {
    let mut best: Option<Cut> = None;
    for dimension in 0..DIMENSIONS {
        let edges = |edge: &dyn Fn(&Space) -> Option<u128>| -> Option<u128> {
            let mut edges: Vec<u128> = spaces.iter().filter_map(edge).collect();
            let middle = edges.len() / 2;
            (!edges.is_empty()).then(|| *edges.select_nth_unstable(middle).1)
        };
        let begin = edges(&|space| Some(starts(space, dimension)));
        let end = edges(&|space| ends(space, dimension).checked_add(1));
        for at in [begin, end].into_iter().flatten() {
            let below = spaces.iter().filter(|space| starts(space, dimension) < at).count();
            let above = spaces.iter().filter(|space| ends(space, dimension) >= at).count();
            let fuller = below.max(above);
            let better = best.is_none_or(|best| {
                (fuller, below + above) < (best.below.max(best.above), best.below + best.above)
            });
            if fuller < spaces.len() && better {
                best = Some(Cut { dimension, at, below, above });
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PolicyAction, PolicyId};
    use alloc::format;
    use alloc::vec;

    fn policy(id: u32, local: &str, remote: &str) -> Policy {
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        Policy::new(PolicyId(id), "", vec![local], vec![remote], PolicyAction::Bypass)
    }

    #[test]
    fn memory_stays_within_its_bound_and_leaves_are_small() {
        let disjoint: Vec<_> =
            (0..2000).map(|i| policy(i, "10.0.0.0/8", &format!("172.16.{}.{}", i / 256, i % 256))).collect();
        let ports: Vec<_> =
            (0..2000).map(|i| policy(i, "10.0.0.0/8", &format!("0.0.0.0/0[tcp/{i}]"))).collect();
        let nested: Vec<_> =
            (0..250).map(|i| policy(i, "0.0.0.0/0", &format!("0.0.0.{i}-255.255.{i}.0"))).collect();
        for policies in [disjoint, ports, nested] {
            let classifier = Classifier::new(&policies);
            // Three trees hold each policy in each direction at most, and a cut holds two leaves.
            assert!(classifier.size() <= 4 * 3 * (SPREAD + 1) * policies.len());
        }
    }

    #[test]
    fn a_policy_with_many_selectors_is_one_box() {
        let hosts = |net: u8| (0..60u8).map(|i| TrafficSelector::host([10, net, 0, i].into())).collect();
        let many = Policy::new(PolicyId(1), "", hosts(1), hosts(2), PolicyAction::Discard);
        let spaces = spaces(&[many], Direction::Outbound, true, false);
        assert_eq!(spaces.len(), 1);
    }
}
