//! What a packet may cost before it is known to be authentic: one integrity check, whatever its number; none where the
//! number alone refuses it. Counted by a provider.

mod common;

use core::cell::Cell;

use common::*;
use ipsec_crypto::{
    AeadKey, CipherKey, CryptoError, CryptoProvider, EncryptionAlgorithm, IvRule, Status, rustcrypto,
};
use ipsec_esp::{EspInbound, EspOutbound, OpenError, OuterHeader, ResyncPolicy};
use ipsec_sa::Direction;
use ipsec_wire::IpProtocol;
use ipsec_wire::ike::EncrId;

thread_local! {
    static CHECKS: Cell<u64> = const { Cell::new(0) };
    static SEALED: Cell<u64> = const { Cell::new(0) };
}

/// AES-GCM that counts what it is asked for, and refuses to seal when told to.
#[derive(Debug)]
struct Counted;

#[derive(Debug)]
struct CountedKey(Box<dyn AeadKey>);

fn row() -> &'static dyn EncryptionAlgorithm {
    rustcrypto::provider().encr(EncrId::AES_GCM_16).unwrap()
}

impl EncryptionAlgorithm for Counted {
    fn id(&self) -> EncrId {
        EncrId::AES_GCM_16
    }
    fn name(&self) -> &'static str {
        "counted"
    }
    fn status(&self) -> Status {
        row().status()
    }
    fn key_lengths(&self) -> &'static [usize] {
        row().key_lengths()
    }
    fn salt_len(&self) -> usize {
        4
    }
    fn iv_len(&self) -> usize {
        8
    }
    fn block_len(&self) -> usize {
        1
    }
    fn tag_len(&self) -> usize {
        16
    }
    fn iv_rule(&self) -> IvRule {
        IvRule::Unique
    }
    fn aead_key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError> {
        Ok(Box::new(CountedKey(row().aead_key(key)?)))
    }
    fn cipher_key(&self, _: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError> {
        Err(CryptoError::Unsupported)
    }
}

/// The nonces that were seen while sealing fails on purpose.
const FAILING: u64 = 1 << 32;

impl AeadKey for CountedKey {
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError> {
        if SEALED.get() >= FAILING {
            SEALED.set(SEALED.get() + 1);
            return Err(CryptoError::Mismatch);
        }
        self.0.seal(nonce, aad, data, tag)
    }
    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError> {
        CHECKS.set(CHECKS.get() + 1);
        self.0.open(nonce, aad, data, tag)
    }
}

fn counting() -> CryptoProvider {
    let mut provider = rustcrypto::provider();
    provider.encr = vec![&Counted as &'static dyn EncryptionAlgorithm].into();
    provider
}

/// The outcome, and how many integrity checks it took.
fn checked(inbound: &mut EspInbound, packet: &[u8]) -> (Result<u64, OpenError>, u64) {
    let before = CHECKS.get();
    let outcome = inbound.open_in_place(&mut packet.to_vec()).map(|opened| opened.seq);
    (outcome, CHECKS.get() - before)
}

#[test]
fn no_packet_costs_more_than_one_check() {
    let ahead = 5u64 << 32;
    for resync in [false, true] {
        for floor in [9, (1 << 32) - 9, ahead] {
            let (mut outbound, _) = pair(esn(ahead + 100), &SUITES[1], OuterHeader::None);
            let params = esn(floor)(params(&SUITES[1], Direction::Inbound)).with_replay_window(64);
            let mut inbound = EspInbound::new(&params, &counting()).unwrap();
            if resync {
                inbound = inbound.with_resync(ResyncPolicy { after_failures: 4, subspaces: 8 });
            }
            for number in 0..300u32 {
                let packet = seal(&mut outbound, &ipv4(40), IpProtocol::IPV4);
                // Two forged ones for each true one, with numbers from everywhere.
                for number in [number, !number] {
                    let mut forged = packet.clone();
                    forged[4..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
                    let (outcome, checks) = checked(&mut inbound, &forged);
                    assert!(outcome.is_err() && checks <= 1, "{outcome:?} {checks}");
                }
                let (_, checks) = checked(&mut inbound, &packet);
                assert!(checks <= 1);
            }
            let reached = inbound.window().top() > ahead;
            assert_eq!(reached, resync || floor == ahead, "{resync} {floor}");
        }
    }
}

#[test]
fn what_the_number_or_the_length_refuses_costs_none() {
    let (mut outbound, _) = pair(|p| p, &SUITES[1], OuterHeader::None);
    let params = params(&SUITES[1], Direction::Inbound).with_replay_window(64);
    let mut inbound = EspInbound::new(&params, &counting()).unwrap();
    let packets: Vec<_> = (0..100).map(|_| seal(&mut outbound, &ipv4(40), IpProtocol::IPV4)).collect();
    assert_eq!(checked(&mut inbound, &packets[99]), (Ok(100), 1));
    assert_eq!(checked(&mut inbound, &packets[99]), (Err(OpenError::Replay), 0));
    assert_eq!(checked(&mut inbound, &packets[3]), (Err(OpenError::OutOfWindow), 0));
    assert_eq!(checked(&mut inbound, &packets[98][..20]), (Err(OpenError::Truncated), 0));
    let mut forged = packets[98].clone();
    forged[20] ^= 1;
    assert_eq!(checked(&mut inbound, &forged), (Err(OpenError::Icv), 1));
    assert_eq!(checked(&mut inbound, &packets[98]), (Ok(99), 1));
}

#[test]
fn a_number_is_spent_when_sealing_fails() {
    let params = params(&SUITES[1], Direction::Outbound);
    let mut outbound = EspOutbound::new(&params, &counting(), OuterHeader::None, &mut rng()).unwrap();
    let mut buf = [0; 256];
    let mut try_once = || {
        buf[64..104].copy_from_slice(&ipv4(40));
        let sealed = outbound.seal_in_place(&mut buf, 64..104, IpProtocol::IPV4);
        (sealed.is_ok(), outbound.sequence().last())
    };
    assert_eq!(try_once(), (true, 1));
    SEALED.set(FAILING);
    assert_eq!(try_once(), (false, 2));
    assert_eq!(try_once(), (false, 3));
    SEALED.set(0);
    // Not one of the numbers that failed, nor the IV made of it.
    assert_eq!(try_once(), (true, 4));
    assert_eq!(buf[56..64], 4u64.to_be_bytes());
}
