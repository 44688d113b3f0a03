//! What becomes of exchanges that cross on the wire (RFC 7296 §2.8.1, §2.8.2, §2.25): tables without state.

/// Which of two SAs that replace the same one is redundant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Redundant {
    /// The one of the exchange we began: we delete it.
    Ours,
    /// The one of the exchange the peer began: the peer deletes it, and we wait for that.
    Theirs,
}

/// Both sides rekeyed the same SA at once: the SA whose exchange holds the lowest of the four nonces is
/// redundant, and whoever began that exchange closes it (RFC 7296 §2.8.1, §2.8.2).
///
/// `ours` are the two nonces of the exchange we began, in any order, `theirs` those of the peer's. Nonces are
/// compared octet by octet; where one is the beginning of another the shorter is the lower. Should the lowest
/// nonce stand in both exchanges, their other nonces decide; should those be the same too, each side closes its
/// own, for then no honest generator made them.
#[must_use]
pub fn lower_nonce_pair_loses(mut ours: [&[u8]; 2], mut theirs: [&[u8]; 2]) -> Redundant {
    ours.sort_unstable();
    theirs.sort_unstable();
    // Slices compare exactly as RFC 7296 §2.8.1 wants: octet by octet, a prefix being lower.
    if ours <= theirs { Redundant::Ours } else { Redundant::Theirs }
}

/// What we are doing to a Child SA when a request about it arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChildActivity {
    /// There is no such Child SA.
    Absent,
    /// Nothing.
    Idle,
    /// Our request to rekey it is on its way.
    Rekeying,
    /// Our request to delete it is on its way.
    Closing,
}

/// What we are doing to the IKE SA as a whole when a request arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IkeActivity {
    /// Nothing that concerns the SA or its children.
    Idle,
    /// Our request to create, rekey or delete a Child SA is on its way.
    ChildExchange,
    /// Our request to rekey the IKE SA is on its way.
    Rekeying,
    /// Our request to delete the IKE SA is on its way, or it has been replaced and is about to be.
    Closing,
}

/// How a request is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CollisionAnswer {
    /// As usual.
    Proceed,
    /// As usual; afterwards [`lower_nonce_pair_loses`] says which of the two SAs is redundant.
    ProceedAndCompare,
    /// As usual, and our own request on the same SA is forgotten, its retransmissions with it.
    ProceedAndForgetOurs,
    /// Without a Delete payload for this SPI: our own request names it already, or there is nothing to name.
    WithoutDelete,
    /// With TEMPORARY_FAILURE.
    TemporaryFailure,
    /// With CHILD_SA_NOT_FOUND.
    ChildSaNotFound,
}

/// The peer asks for a new Child SA.
#[must_use]
pub const fn create_child_request(ike: IkeActivity) -> CollisionAnswer {
    match ike {
        IkeActivity::Idle | IkeActivity::ChildExchange => CollisionAnswer::Proceed,
        // RFC 7296 §2.25.2; an SA on its way out takes no new children either.
        IkeActivity::Rekeying | IkeActivity::Closing => CollisionAnswer::TemporaryFailure,
    }
}

/// The peer asks to rekey a Child SA (RFC 7296 §2.25.1).
#[must_use]
pub const fn rekey_child_request(child: ChildActivity, ike: IkeActivity) -> CollisionAnswer {
    match (ike, child) {
        (IkeActivity::Rekeying | IkeActivity::Closing, _) => CollisionAnswer::TemporaryFailure,
        (_, ChildActivity::Absent) => CollisionAnswer::ChildSaNotFound,
        (_, ChildActivity::Idle) => CollisionAnswer::Proceed,
        (_, ChildActivity::Rekeying) => CollisionAnswer::ProceedAndCompare,
        (_, ChildActivity::Closing) => CollisionAnswer::TemporaryFailure,
    }
}

/// The peer deletes a Child SA (RFC 7296 §1.4.1, §2.25.1; it stands even while the IKE SA is rekeyed, §2.25.2).
#[must_use]
pub const fn delete_child_request(child: ChildActivity) -> CollisionAnswer {
    match child {
        ChildActivity::Idle | ChildActivity::Rekeying => CollisionAnswer::Proceed,
        ChildActivity::Absent | ChildActivity::Closing => CollisionAnswer::WithoutDelete,
    }
}

/// The peer asks to rekey the IKE SA (RFC 7296 §2.25.1, §2.25.2).
#[must_use]
pub const fn rekey_ike_request(ike: IkeActivity) -> CollisionAnswer {
    match ike {
        IkeActivity::Idle => CollisionAnswer::Proceed,
        IkeActivity::Rekeying => CollisionAnswer::ProceedAndCompare,
        IkeActivity::ChildExchange | IkeActivity::Closing => CollisionAnswer::TemporaryFailure,
    }
}

/// The peer deletes the IKE SA (RFC 7296 §2.25.2).
#[must_use]
pub const fn delete_ike_request(ike: IkeActivity) -> CollisionAnswer {
    match ike {
        IkeActivity::Idle | IkeActivity::ChildExchange => CollisionAnswer::Proceed,
        IkeActivity::Rekeying | IkeActivity::Closing => CollisionAnswer::ProceedAndForgetOurs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every placing of four nonces out of a small ordered set, against a search of the lowest.
    #[test]
    fn the_exchange_with_the_lowest_of_four_nonces_loses() {
        // In ascending order: a prefix is lower, and a longer nonce can be lower than a shorter one.
        let nonces: [&[u8]; 6] = [b"\x00", b"\x00\x00", b"\x00\x01", b"\x01", b"\x01\x00\xff", b"\xfe"];
        let mut seen = 0;
        for a in 0..6 {
            for b in 0..6 {
                for c in 0..6 {
                    for d in 0..6 {
                        let verdict = lower_nonce_pair_loses([nonces[a], nonces[b]], [nonces[c], nonces[d]]);
                        let lowest = a.min(b).min(c).min(d);
                        let (ours, theirs) = (a == lowest || b == lowest, c == lowest || d == lowest);
                        match (ours, theirs) {
                            (true, false) => assert_eq!(verdict, Redundant::Ours, "{a}{b} {c}{d}"),
                            (false, true) => assert_eq!(verdict, Redundant::Theirs, "{a}{b} {c}{d}"),
                            _ => {
                                let expected =
                                    if a.max(b) <= c.max(d) { Redundant::Ours } else { Redundant::Theirs };
                                assert_eq!(verdict, expected, "{a}{b} {c}{d}");
                            }
                        }
                        seen += 1;
                    }
                }
            }
        }
        assert_eq!(seen, 6 * 6 * 6 * 6);
    }

    #[test]
    fn both_sides_come_to_one_conclusion() {
        let pairs: [[&[u8]; 2]; 4] =
            [[b"aaaa", b"zzzz"], [b"zzzz", b"ab"], [b"mmmm", b"mmmn"], [b"aaaa", b"aaab"]];
        for ours in pairs {
            for theirs in pairs.into_iter().filter(|theirs| *theirs != ours) {
                assert_ne!(lower_nonce_pair_loses(ours, theirs), lower_nonce_pair_loses(theirs, ours));
            }
        }
    }

    /// RFC 7296 §2.25.1 and §2.25.2, sentence by sentence: every pair of activity and request.
    #[test]
    fn the_tables_are_those_of_section_2_25() {
        use ChildActivity as C;
        use CollisionAnswer as A;
        use IkeActivity as I;
        for ike in [I::Idle, I::ChildExchange] {
            assert_eq!(rekey_child_request(C::Absent, ike), A::ChildSaNotFound);
            assert_eq!(rekey_child_request(C::Idle, ike), A::Proceed);
            assert_eq!(rekey_child_request(C::Rekeying, ike), A::ProceedAndCompare);
            assert_eq!(rekey_child_request(C::Closing, ike), A::TemporaryFailure);
            assert_eq!(create_child_request(ike), A::Proceed);
        }
        for ike in [I::Rekeying, I::Closing] {
            for child in [C::Absent, C::Idle, C::Rekeying, C::Closing] {
                assert_eq!(rekey_child_request(child, ike), A::TemporaryFailure);
            }
            assert_eq!(create_child_request(ike), A::TemporaryFailure);
        }
        assert_eq!(delete_child_request(C::Absent), A::WithoutDelete);
        assert_eq!(delete_child_request(C::Idle), A::Proceed);
        assert_eq!(delete_child_request(C::Rekeying), A::Proceed);
        assert_eq!(delete_child_request(C::Closing), A::WithoutDelete);
        assert_eq!(rekey_ike_request(I::Idle), A::Proceed);
        assert_eq!(rekey_ike_request(I::ChildExchange), A::TemporaryFailure);
        assert_eq!(rekey_ike_request(I::Rekeying), A::ProceedAndCompare);
        assert_eq!(rekey_ike_request(I::Closing), A::TemporaryFailure);
        assert_eq!(delete_ike_request(I::Idle), A::Proceed);
        assert_eq!(delete_ike_request(I::ChildExchange), A::Proceed);
        assert_eq!(delete_ike_request(I::Rekeying), A::ProceedAndForgetOurs);
        assert_eq!(delete_ike_request(I::Closing), A::ProceedAndForgetOurs);
    }
}
