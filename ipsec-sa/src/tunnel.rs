//! What inner and outer IP headers tell each other in tunnel mode: DSCP, ECN, DF and length (RFC 4301 §5.1.2,
//! RFC 6040).

use ipsec_wire::IpProtocol;

use crate::{DfPolicy, DscpPolicy, EcnPolicy, HeaderPolicy};

/// The ECN field (RFC 3168 §5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct,
    /// ECN-capable, codepoint 1.
    Ect1,
    /// ECN-capable, codepoint 0.
    Ect0,
    /// Congestion experienced.
    Ce,
}

impl Ecn {
    /// From the two low bits of an octet.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The two bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotEct => 0,
            Self::Ect1 => 1,
            Self::Ect0 => 2,
            Self::Ce => 3,
        }
    }
}

/// What becomes of a packet that leaves a tunnel (RFC 6040 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Decapsulated {
    /// It goes on with this ECN field.
    Forward {
        /// The field of the forwarded header.
        ecn: Ecn,
        /// Inner and outer field cannot both be what an ingress wrote: worth a count.
        alarm: bool,
    },
    /// Congestion was signalled on a packet whose transport does not know the signal: it is dropped.
    Drop,
}

/// The table of RFC 6040 §4.2, figure 4.
#[must_use]
pub const fn decapsulate_ecn(inner: Ecn, outer: Ecn) -> Decapsulated {
    use Ecn::{Ce, Ect0, Ect1, NotEct};
    let (ecn, alarm) = match (inner, outer) {
        (NotEct, Ce) => return Decapsulated::Drop,
        (NotEct, NotEct) => (NotEct, false),
        (NotEct, Ect0 | Ect1) => (NotEct, true),
        (Ect0, NotEct | Ect0) => (Ect0, false),
        (Ect0 | Ect1, Ce) => (Ce, false),
        (Ect0, Ect1) | (Ect1, NotEct | Ect1) => (Ect1, false),
        (Ect1, Ect0) => (Ect1, true),
        (Ce, NotEct | Ect0 | Ce) => (Ce, false),
        (Ce, Ect1) => (Ce, true),
    };
    Decapsulated::Forward { ecn, alarm }
}

/// Applies [`decapsulate_ecn`] to an inner packet, with its IPv4 header checksum. What is no IP packet is forwarded
/// untouched: whoever routes it will refuse it.
pub fn apply_ecn(inner: &mut [u8], outer: Ecn) -> Decapsulated {
    let Some(traffic_class) = traffic_class(inner) else {
        return Decapsulated::Forward { ecn: Ecn::NotEct, alarm: false };
    };
    let before = Ecn::from_bits(traffic_class);
    let verdict = decapsulate_ecn(before, outer);
    if let Decapsulated::Forward { ecn, .. } = verdict
        && ecn != before
    {
        set_ecn(inner, ecn);
    }
    verdict
}

fn set_ecn(packet: &mut [u8], ecn: Ecn) {
    match packet {
        [version, second, _, _, _, _, _, _, _, _, high, low, ..] if *version >> 4 == 4 => {
            let before = *second;
            *second = before & !3 | ecn.bits();
            // RFC 1624 §3: HC' = ~(~HC + ~m + m'), over the word whose low octet changed.
            let sum = u32::from(!u16::from_be_bytes([*high, *low]))
                + u32::from(!u16::from(before))
                + u32::from(*second);
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = (sum & 0xffff) + (sum >> 16);
            [*high, *low] = (!(sum as u16)).to_be_bytes();
        }
        [version, second, ..] if *version >> 4 == 6 => *second = *second & !0x30 | ecn.bits() << 4,
        _ => {}
    }
}

/// IPv4's TOS or IPv6's traffic class.
fn traffic_class(packet: &[u8]) -> Option<u8> {
    match packet {
        [version, second, ..] if version >> 4 == 4 => Some(*second),
        [version, second, ..] if version >> 4 == 6 => Some(version << 4 | second >> 4),
        _ => None,
    }
}

/// What an outer header takes from the inner packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct OuterFields {
    /// DSCP and ECN: IPv4's TOS octet, IPv6's traffic class.
    pub traffic_class: u8,
    /// IPv4's DF bit.
    pub dont_fragment: bool,
}

impl OuterFields {
    /// The fields for `inner`, which `next` announces (RFC 4301 §5.1.2, RFC 6040 §4.1). `None`: it is not an IP packet
    /// of that version. Other payloads than IP get DSCP and ECN 0, unless the DSCP is set.
    ///
    /// An IPv6 packet counts as one with DF: no router would have fragmented it.
    #[must_use]
    #[inline]
    pub fn new(policy: &HeaderPolicy, next: IpProtocol, inner: &[u8]) -> Option<Self> {
        let (class, df) = match (next, inner) {
            (IpProtocol::IPV4, [first, tos, _, _, _, _, flags, ..]) if first >> 4 == 4 => {
                (*tos, flags & 0x40 != 0)
            }
            (IpProtocol::IPV6, [first, second, ..]) if first >> 4 == 6 => (first << 4 | second >> 4, true),
            (IpProtocol::IPV4 | IpProtocol::IPV6, _) => return None,
            _ => (0, true),
        };
        let dscp = match policy.dscp {
            DscpPolicy::Copy => class & !3,
            DscpPolicy::Set(dscp) => dscp << 2,
        };
        let ecn = match policy.ecn {
            EcnPolicy::Normal => class & 3,
            EcnPolicy::Compatibility => 0,
        };
        let dont_fragment = match policy.df {
            DfPolicy::Copy => df,
            DfPolicy::Set => true,
            DfPolicy::Clear => false,
        };
        Some(Self { traffic_class: dscp | ecn, dont_fragment })
    }
}

/// Octets of the inner packet in `payload`, by its own header: what follows is TFC padding (RFC 4303 §2.7). `None`:
/// no IP packet of the version that `next` announces, or one that is longer than `payload`.
#[must_use]
#[inline]
pub fn inner_len(next: IpProtocol, payload: &[u8]) -> Option<usize> {
    let len = match (next, payload) {
        (IpProtocol::IPV4, [first, _, high, low, ..]) if first >> 4 == 4 => {
            let (header, total) =
                (usize::from(first & 15) * 4, usize::from(u16::from_be_bytes([*high, *low])));
            (header >= 20 && total >= header).then_some(total)?
        }
        (IpProtocol::IPV6, [first, _, _, _, high, low, ..]) if first >> 4 == 6 => {
            40 + usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => return None,
    };
    (len <= payload.len()).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 over a header.
    fn checksum_holds(header: &[u8]) -> bool {
        let sum: u32 = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
        (sum & 0xffff) + (sum >> 16) == 0xffff
    }

    #[test]
    fn all_sixteen_cells_of_the_decapsulation_table() {
        use Ecn::{Ce, Ect0, Ect1, NotEct};
        let ok = |ecn| Decapsulated::Forward { ecn, alarm: false };
        let alarm = |ecn| Decapsulated::Forward { ecn, alarm: true };
        let rows = [
            (NotEct, [ok(NotEct), alarm(NotEct), alarm(NotEct), Decapsulated::Drop]),
            (Ect0, [ok(Ect0), ok(Ect0), ok(Ect1), ok(Ce)]),
            (Ect1, [ok(Ect1), alarm(Ect1), ok(Ect1), ok(Ce)]),
            (Ce, [ok(Ce), ok(Ce), alarm(Ce), ok(Ce)]),
        ];
        for (inner, row) in rows {
            for (outer, expected) in [NotEct, Ect0, Ect1, Ce].into_iter().zip(row) {
                assert_eq!(decapsulate_ecn(inner, outer), expected, "{inner:?} in {outer:?}");
            }
        }
        for bits in 0..4 {
            assert_eq!(Ecn::from_bits(bits).bits(), bits);
        }
    }

    #[test]
    fn the_inner_header_keeps_a_true_checksum() {
        // RFC 3602 §4, case 5: a real header, its checksum included.
        let mut packet = [
            0x45, 0, 0, 0x54, 0x08, 0xf2, 0, 0, 0x40, 1, 0xf9, 0xfe, 0xc0, 0xa8, 0x7b, 3, 0xc0, 0xa8, 0x7b,
            0x64,
        ];
        assert!(checksum_holds(&packet));
        for ecn in [Ecn::Ect0, Ecn::Ce, Ecn::Ect1, Ecn::NotEct] {
            set_ecn(&mut packet, ecn);
            assert_eq!(packet[1], ecn.bits());
            assert!(checksum_holds(&packet));
        }
        set_ecn(&mut packet, Ecn::Ect0);
        assert_eq!(apply_ecn(&mut packet, Ecn::Ce), Decapsulated::Forward { ecn: Ecn::Ce, alarm: false });
        assert!(packet[1] == 3 && checksum_holds(&packet));
        let mut v6 = [0x6a, 0xb0 | 0x20, 0, 0];
        apply_ecn(&mut v6, Ecn::Ce);
        assert_eq!(v6, [0x6a, 0xb0, 0, 0]);
        v6 = [0x6a, 0xe0, 0, 0];
        apply_ecn(&mut v6, Ecn::Ce);
        assert_eq!(v6, [0x6a, 0xf0, 0, 0]);
    }

    #[test]
    fn outer_fields_follow_the_policy() {
        let mut v4 = [0; 20];
        v4[..8].copy_from_slice(&[0x45, 0xb9, 0, 20, 0, 0, 0x40, 0]);
        let policy = HeaderPolicy::default();
        let fields = OuterFields::new(&policy, IpProtocol::IPV4, &v4).unwrap();
        assert_eq!(fields, OuterFields { traffic_class: 0xb9, dont_fragment: true });
        let policy =
            HeaderPolicy { dscp: DscpPolicy::Set(10), ecn: EcnPolicy::Compatibility, df: DfPolicy::Clear };
        let fields = OuterFields::new(&policy, IpProtocol::IPV4, &v4).unwrap();
        assert_eq!(fields, OuterFields { traffic_class: 40, dont_fragment: false });
        let v6 = [0x6a, 0xb5, 0, 0, 0, 0];
        let fields = OuterFields::new(&HeaderPolicy::default(), IpProtocol::IPV6, &v6).unwrap();
        assert_eq!(fields, OuterFields { traffic_class: 0xab, dont_fragment: true });
        assert_eq!(OuterFields::new(&policy, IpProtocol::IPV6, &v4), None);
        assert_eq!(OuterFields::new(&policy, IpProtocol::IPV4, &[0x45]), None);
    }

    #[test]
    fn inner_lengths_come_from_the_inner_header() {
        let v4 = |first, len: u16| {
            let mut packet = [0; 64];
            packet[..4].copy_from_slice(&[first, 0, (len >> 8) as u8, len as u8]);
            inner_len(IpProtocol::IPV4, &packet)
        };
        assert_eq!(v4(0x45, 20), Some(20));
        assert_eq!(v4(0x45, 64), Some(64));
        for (first, len) in [(0x45, 65), (0x45, 19), (0x44, 40), (0x46, 20), (0x65, 20)] {
            assert_eq!(v4(first, len), None);
        }
        let mut v6 = [0; 64];
        v6[0] = 0x60;
        v6[5] = 24;
        assert_eq!(inner_len(IpProtocol::IPV6, &v6), Some(64));
        v6[5] = 25;
        assert_eq!(inner_len(IpProtocol::IPV6, &v6), None);
        assert_eq!(inner_len(IpProtocol::IPV4, &v6), None);
    }
}
