//! Comparing distinguished names in DER (RFC 5280 §4.1.2.4, §7.1), without taking them apart any further.

/// How many relative names, and attributes of one, are looked at: more match nothing.
const MAX: usize = 64;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;

/// Tag, contents, and what is behind; `None`: no DER with a definite length of at most 65535.
fn tlv(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, len, rest) = match *der {
        [tag, len @ 0..=0x7f, ref rest @ ..] => (tag, usize::from(len), rest),
        [tag, 0x81, len @ 0x80..=0xff, ref rest @ ..] => (tag, usize::from(len), rest),
        [tag, 0x82, high @ 1..=0xff, low, ref rest @ ..] => {
            (tag, usize::from(u16::from_be_bytes([high, low])), rest)
        }
        _ => return None,
    };
    // Tags of more than one octet do not stand in names.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (contents, rest) = rest.split_at_checked(len)?;
    Some((tag, contents, rest))
}

/// The contents of a value that is all there is, with this tag.
fn whole(der: &[u8], expected: u8) -> Option<&[u8]> {
    match tlv(der)? {
        (tag, contents, []) if tag == expected => Some(contents),
        _ => None,
    }
}

/// Takes the next element with this tag off a list.
fn next<'a>(list: &mut &'a [u8], expected: u8) -> Option<&'a [u8]> {
    let (tag, contents, rest) = tlv(list)?;
    *list = rest;
    (tag == expected).then_some(contents)
}

/// Whether two Names are equal; what is no Name is equal to nothing.
pub(super) fn equal(one: &[u8], two: &[u8]) -> bool {
    begins(one, two).is_some_and(|rest| rest.is_empty())
}

/// Whether a Name begins with all of `top` and goes on.
pub(super) fn is_below(name: &[u8], top: &[u8]) -> bool {
    begins(name, top).is_some_and(|rest| !rest.is_empty() && all_relative_names(rest))
}

fn all_relative_names(mut rest: &[u8]) -> bool {
    for _ in 0..MAX {
        if rest.is_empty() {
            return true;
        }
        if next(&mut rest, SET).is_none() {
            return false;
        }
    }
    false
}

/// What a Name has behind `top`, where it begins with that.
fn begins<'a>(name: &'a [u8], top: &[u8]) -> Option<&'a [u8]> {
    let (mut name, mut top) = (whole(name, SEQUENCE)?, whole(top, SEQUENCE)?);
    for _ in 0..MAX {
        if top.is_empty() {
            return Some(name);
        }
        if !same_relative_name(next(&mut name, SET)?, next(&mut top, SET)?) {
            return None;
        }
    }
    None
}

/// Sets of attributes, in whatever order.
fn same_relative_name(one: &[u8], two: &[u8]) -> bool {
    contains_all(one, two) && contains_all(two, one)
}

fn contains_all(mut these: &[u8], those: &[u8]) -> bool {
    for _ in 0..MAX {
        if these.is_empty() {
            return true;
        }
        let Some(this) = next(&mut these, SEQUENCE) else { return false };
        let mut left = those;
        let found = (0..MAX).map_while(|_| next(&mut left, SEQUENCE)).any(|that| same_attribute(this, that));
        if !found {
            return false;
        }
    }
    false
}

fn same_attribute(mut one: &[u8], mut two: &[u8]) -> bool {
    let types = next(&mut one, OID).zip(next(&mut two, OID));
    if types.is_none_or(|(one, two)| one != two) {
        return false;
    }
    match (tlv(one), tlv(two)) {
        (Some((tag, one, [])), Some((other, two, []))) if is_text(tag) && is_text(other) => {
            same_text(one, two)
        }
        (Some((tag, one, [])), Some((other, two, []))) => (tag, one) == (other, two),
        _ => false,
    }
}

/// UTF8String, PrintableString, IA5String: octets below 128 mean the same in each.
const fn is_text(tag: u8) -> bool {
    matches!(tag, 0x0c | 0x13 | 0x16)
}

/// Without ASCII case, spaces at the ends, and repeated ones.
fn same_text(one: &[u8], two: &[u8]) -> bool {
    fn folded(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
        let text = text.trim_ascii();
        let shown = text.iter().enumerate().filter(move |(at, octet)| {
            **octet != b' ' || at.checked_sub(1).and_then(|before| text.get(before)) != Some(&b' ')
        });
        shown.map(|(_, octet)| octet.to_ascii_lowercase())
    }
    folded(one).eq(folded(two))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn wrap(tag: u8, contents: &[u8]) -> Vec<u8> {
        match contents.len() {
            len @ 0..=127 => [&[tag, len as u8], contents].concat(),
            len @ 128..=255 => [&[tag, 0x81, len as u8], contents].concat(),
            len => [&[tag, 0x82, (len >> 8) as u8, len as u8], contents].concat(),
        }
    }

    /// Attribute types 2.5.4.n, each value with a tag of its own.
    fn name(relative: &[&[(u8, u8, &str)]]) -> Vec<u8> {
        let sets: Vec<u8> = relative
            .iter()
            .flat_map(|attributes| {
                let attributes: Vec<u8> = attributes
                    .iter()
                    .flat_map(|(number, tag, text)| {
                        let parts = [wrap(OID, &[0x55, 4, *number]), wrap(*tag, text.as_bytes())].concat();
                        wrap(SEQUENCE, &parts)
                    })
                    .collect();
                wrap(SET, &attributes)
            })
            .collect();
        wrap(SEQUENCE, &sets)
    }

    const C: (u8, u8, &str) = (6, 0x13, "US");
    const O: (u8, u8, &str) = (10, 0x0c, "BBN  Technologies");
    const CN: (u8, u8, &str) = (3, 0x0c, "Stephen");

    #[test]
    fn strings_are_equal_without_case_spaces_and_kind() {
        let one = name(&[&[C], &[O], &[CN]]);
        let two = name(&[&[(6, 0x0c, "us")], &[(10, 0x13, " bbn technologies ")], &[(3, 0x0c, "STEPHEN")]]);
        assert!(equal(&one, &two) && equal(&two, &one));
        for other in [
            name(&[&[C], &[O]]),
            name(&[&[O], &[C], &[CN]]),
            name(&[&[C], &[O], &[(3, 0x0c, "Steven")]]),
            name(&[&[C], &[O], &[(4, 0x0c, "Stephen")]]),
            // A BMPString is compared as it is.
            name(&[&[C], &[O], &[(3, 0x1e, "Stephen")]]),
        ] {
            assert!(!equal(&one, &other) && !equal(&other, &one));
        }
    }

    #[test]
    fn a_subtree_is_what_has_more_behind_the_same_top() {
        let top = name(&[&[C], &[O]]);
        assert!(is_below(&name(&[&[C], &[O], &[CN]]), &top));
        assert!(is_below(&name(&[&[C], &[O], &[CN], &[CN]]), &top));
        assert!(!is_below(&top, &top) && !is_below(&name(&[&[C]]), &top));
        assert!(!is_below(&name(&[&[C], &[CN], &[O]]), &top));
        assert!(is_below(&top, &name(&[])), "everything is below the root");
        let mut broken = name(&[&[C], &[O], &[CN]]);
        let at = broken.len()
            - wrap(SET, &wrap(SEQUENCE, &[wrap(OID, &[0x55, 4, 3]), wrap(0x0c, b"Stephen")].concat())).len();
        broken[at] = 0x04;
        assert!(!is_below(&broken, &top));
    }

    #[test]
    fn attributes_of_one_relative_name_have_no_order() {
        let one = name(&[&[C], &[O, CN]]);
        assert!(equal(&one, &name(&[&[C], &[CN, O]])));
        assert!(!equal(&one, &name(&[&[C], &[CN]])) && !equal(&name(&[&[C], &[CN]]), &one));
    }

    #[test]
    fn octets_that_are_no_name_match_nothing_and_harm_nobody() {
        let good = name(&[&[C], &[O], &[(3, 0x0c, &"x".repeat(300))]]);
        assert!(equal(&good, &good));
        for len in 0..good.len() {
            assert!(!equal(&good[..len], &good) && !is_below(&good[..len], &name(&[])));
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut other = good.clone();
                other[at] ^= 1 << bit;
                let _ = (equal(&other, &good), is_below(&other, &good), is_below(&good, &other));
            }
        }
        let many: Vec<&[(u8, u8, &str)]> = core::iter::repeat_n(&[C][..], 100).collect();
        assert!(!equal(&name(&many), &name(&many)), "beyond the cap");
    }
}
