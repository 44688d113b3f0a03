//! A message whose SK payload has a wrong ICV, made on purpose with the builder: everything about it is well-formed, and it
//! does not open.

use ikev2_core::crypt::{SkError, SkProtection};
use ikev2_core::keys::{IkeSuite, SkKeys};
use ipsec_crypto::{Secret, rustcrypto};
use ipsec_sa::Role;
use ipsec_wire::ike::{
    EncrId, ExchangeType, Flags, IntegId, KeId, MessageBuilder, MessageView, Notify, NotifyType, Payload,
    PrfId,
};
use ipsec_wire::{IkeSpi, Limits};
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;

fn protection(encr: EncrId, integ: Option<IntegId>, role: Role) -> SkProtection {
    let provider = rustcrypto::provider();
    let encr = provider.encr(encr).expect("row");
    let integ = integ.map(|id| provider.integ(id).expect("row"));
    let prf = provider.prf(PrfId::HMAC_SHA2_256).expect("row");
    let suite = IkeSuite { encr, key_len: 16, prf, integ, ke: KeId::CURVE25519 };
    let key = |octet: u8, len: usize| Secret::new(&vec![octet; len]);
    let integ_len = integ.map_or(0, |row| row.key_len());
    let encr_len = 16 + encr.salt_len();
    let keys = SkKeys {
        d: key(1, 32),
        ai: key(2, integ_len),
        ar: key(3, integ_len),
        ei: key(4, encr_len),
        er: key(5, encr_len),
        pi: key(6, 32),
        pr: key(7, 32),
    };
    SkProtection::new(&suite, &keys, role).expect("keys fit")
}

#[test]
fn every_octet_of_an_icv_counts() {
    let combined = (EncrId::AES_GCM_16, None, 16);
    let separate = (EncrId::AES_CBC, Some(IntegId::HMAC_SHA2_256_128), 16);
    for (encr, integ, icv_len) in [combined, separate] {
        let mut initiator = protection(encr, integ, Role::Initiator);
        let responder = protection(encr, integ, Role::Responder);
        let header = MessageBuilder::new(
            IkeSpi([1; 8]),
            IkeSpi([2; 8]),
            ExchangeType::INFORMATIONAL,
            Flags::INITIATOR,
            3,
        );
        let inner: Vec<Payload> = vec![Notify::new(NotifyType::COOKIE2, [9; 8]).into()];
        let raw = initiator.seal(header, &inner, &mut ChaCha12Rng::seed_from_u64(1)).expect("sealed");
        assert!(responder.open(&mut raw.clone()).is_ok());

        for at in 1..=icv_len {
            let mut builder = MessageView::parse(&raw, &Limits::DEFAULT).expect("a message").to_builder();
            let Some(Payload::Sk(sk)) = builder.payloads.last_mut().map(|last| &mut last.payload) else {
                panic!("SK is the last");
            };
            let octet = sk.body.len() - at;
            sk.body[octet] ^= 1;
            let mut forged = builder.emit();
            assert_eq!(forged.len(), raw.len());
            assert!(MessageView::parse(&forged, &Limits::DEFAULT).is_ok(), "nothing else about it is wrong");
            assert_eq!(responder.open(&mut forged).err(), Some(SkError::Integrity), "{encr} {at}");
        }
    }
}
