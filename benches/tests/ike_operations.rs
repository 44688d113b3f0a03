//! What the bench of IKE repeats goes on for as long as a bench does: no quota and no lifetime ends it.
//!
//! `cargo test -p benches --test ike_operations`

use benches::ike::Peers;

/// More than any burst that an endpoint allows its peer.
const TIMES: usize = 400;

fn established(pfs: bool) -> Peers {
    let mut peers = Peers::new(&ipsec_crypto_aws_lc::provider(), pfs, 1);
    peers.set_up();
    peers
}

#[test]
fn children_are_replaced_again_and_again() {
    for pfs in [false, true] {
        let mut peers = established(pfs);
        (0..TIMES).for_each(|_| peers.rekey_child());
        assert_eq!(peers.ends[0].ike_sas().count(), 1);
    }
}

#[test]
fn ike_sas_are_replaced_again_and_again() {
    let mut peers = established(false);
    (0..TIMES).for_each(|_| peers.rekey_ike());
    assert_eq!(peers.ends[0].ike_sas().count(), 1);
}

#[test]
fn liveness_is_checked_again_and_again() {
    let mut peers = established(false);
    peers.forget();
    (0..TIMES).for_each(|_| peers.check_liveness());
    assert_eq!(peers.lengths.len(), 2 * TIMES);
}
