//! Options: IPv4's (RFC 791 §3.1) and those of IPv6's hop-by-hop and destination options headers (RFC 8200
//! §4.2), with what AH needs to know of them (RFC 4302 appendix A).

/// One IPv4 option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Option<'a> {
    /// The option's type: copied flag, class and number.
    pub kind: u8,
    /// What follows type and length; empty for the options of one octet.
    pub data: &'a [u8],
}

crate::newtype_enum! {
    /// The type of an IPv4 option.
    pub struct Ipv4OptionType(u8) {
        END_OF_OPTIONS = 0 => "End of Options List",
        NO_OPERATION = 1 => "No Operation",
        RECORD_ROUTE = 7 => "Record Route",
        TIMESTAMP = 68 => "Timestamp",
        TRACEROUTE = 82 => "Traceroute",
        SECURITY = 130 => "Security",
        LOOSE_SOURCE_ROUTE = 131 => "Loose Source Route",
        EXTENDED_SECURITY = 133 => "Extended Security",
        COMMERCIAL_SECURITY = 134 => "Commercial Security",
        STREAM_ID = 136 => "Stream ID",
        STRICT_SOURCE_ROUTE = 137 => "Strict Source Route",
        ROUTER_ALERT = 148 => "Router Alert",
        SENDER_DIRECTED_MULTICAST = 149 => "Sender Directed Multi-Destination Delivery",
    }
}

impl Ipv4Option<'_> {
    /// The option's type.
    #[must_use]
    pub const fn option_type(&self) -> Ipv4OptionType {
        Ipv4OptionType(self.kind)
    }

    /// Whether fragments other than the first carry the option too.
    #[must_use]
    pub const fn is_copied(&self) -> bool {
        self.kind & 0x80 != 0
    }

    /// Whether AH covers the option as it is; all others count as zero (RFC 4302 appendix A1).
    #[must_use]
    pub const fn is_immutable(&self) -> bool {
        matches!(self.kind, 0 | 1 | 130 | 133 | 134 | 148 | 149)
    }
}

/// Iterates over the options of an IPv4 header; ends at End of Options, which is not an item, and in front
/// of an option whose length cannot be.
#[derive(Debug, Clone)]
pub struct Ipv4Options<'a> {
    rest: &'a [u8],
}

impl<'a> Ipv4Options<'a> {
    /// Over the octets of [`super::Ipv4View::options`].
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// The octets that were not read: empty or from End of Options on when all options are sound.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether the options are sound up to their end.
    #[must_use]
    pub fn are_sound(&self) -> bool {
        let mut all = self.clone();
        while all.next().is_some() {}
        matches!(all.rest.first(), None | Some(0))
    }
}

impl<'a> Iterator for Ipv4Options<'a> {
    type Item = Ipv4Option<'a>;

    fn next(&mut self) -> Option<Ipv4Option<'a>> {
        let (&kind, after) = self.rest.split_first()?;
        match kind {
            0 => None,
            1 => {
                self.rest = after;
                Some(Ipv4Option { kind, data: &[] })
            }
            _ => {
                let length = usize::from(*after.first()?);
                let data = self.rest.get(2..length)?;
                self.rest = self.rest.get(length..)?;
                Some(Ipv4Option { kind, data })
            }
        }
    }
}

/// One option of an IPv6 hop-by-hop or destination options header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Option<'a> {
    /// The option's type.
    pub kind: u8,
    /// Its data.
    pub data: &'a [u8],
}

impl Ipv6Option<'_> {
    /// Padding of one octet, which has no length.
    pub const PAD1: u8 = 0;
    /// Padding of two octets and more.
    pub const PADN: u8 = 1;

    /// Whether the data may change on the way: to AH it then counts as zero (RFC 4302 appendix A2).
    #[must_use]
    pub const fn may_change(&self) -> bool {
        self.kind & 0x20 != 0
    }

    /// What a node does that does not know the option: 0 skips it, the others discard the packet (RFC 8200
    /// §4.2).
    #[must_use]
    pub const fn unrecognized_action(&self) -> u8 {
        self.kind >> 6
    }
}

/// Iterates over the options of an IPv6 options header, padding included; ends in front of one that does
/// not fit.
#[derive(Debug, Clone)]
pub struct Ipv6Options<'a> {
    rest: &'a [u8],
}

impl<'a> Ipv6Options<'a> {
    /// Over the octets behind the header's next header and length.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// The octets that were not read: none when all options are sound.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Ipv6Options<'a> {
    type Item = Ipv6Option<'a>;

    fn next(&mut self) -> Option<Ipv6Option<'a>> {
        let (&kind, after) = self.rest.split_first()?;
        if kind == Ipv6Option::PAD1 {
            self.rest = after;
            return Some(Ipv6Option { kind, data: &[] });
        }
        let (&length, after) = after.split_first()?;
        let (data, rest) = after.split_at_checked(length.into())?;
        self.rest = rest;
        Some(Ipv6Option { kind, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_options_to_their_end() {
        let octets = [1, 148, 4, 0, 0, 7, 3, 4, 0, 99];
        let mut options = Ipv4Options::new(&octets);
        assert!(options.are_sound());
        let found: [_; 3] = core::array::from_fn(|_| options.next().unwrap());
        assert_eq!(
            found.map(|o| (o.kind, o.data.len(), o.is_immutable())),
            [(1, 0, true), (148, 2, true), (7, 1, false)]
        );
        assert!(found[1].is_copied() && !found[2].is_copied());
        assert_eq!((options.next(), options.rest()), (None, &[0, 99][..]));
        for bad in [&[7, 1, 0][..], &[7, 0], &[7, 4, 0], &[7]] {
            let mut options = Ipv4Options::new(bad);
            assert!(!options.are_sound());
            assert_eq!((options.next(), options.rest()), (None, bad));
        }
    }

    #[test]
    fn ipv6_options() {
        // Pad1, Router Alert, an option that may change, PadN.
        let octets = [0, 5, 2, 0, 0, 0x3e, 1, 7, 1, 0];
        let mut options = Ipv6Options::new(&octets);
        let found: [_; 4] = core::array::from_fn(|_| options.next().unwrap());
        assert_eq!(found.map(|o| (o.kind, o.data.len())), [(0, 0), (5, 2), (0x3e, 1), (1, 0)]);
        assert_eq!(found.map(|o| o.may_change()), [false, false, true, false]);
        assert_eq!(found.map(|o| o.unrecognized_action()), [0; 4]);
        assert!(options.next().is_none() && options.rest().is_empty());
        let mut cut = Ipv6Options::new(&[5, 2, 0]);
        assert_eq!((cut.next(), cut.rest().len()), (None, 3));
    }
}
