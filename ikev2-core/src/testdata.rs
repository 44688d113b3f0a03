//! Recorded exchanges between two strongSwan (tests/data/strongswan/README.md), for the tests of this crate.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ipsec_crypto::{Secret, rustcrypto};
use ipsec_wire::ike::{EncrId, IntegId, KeId, MessageView, PayloadKind, PrfId};
use ipsec_wire::{IkeSpi, Limits};

use crate::keys::{IkeSuite, SkKeys};

pub(crate) struct Recording {
    lines: BTreeMap<String, Vec<u8>>,
    suite: IkeSuite,
}

impl Recording {
    /// AES-256-CBC with HMAC-SHA2-256; children under AES-256-GCM.
    pub(crate) fn cbc() -> Self {
        Self::read(include_str!("../tests/data/strongswan/cbc.txt"), cbc_suite())
    }

    /// AES-256-GCM with a PRF of SHA2-384; children under AES-128-CBC with HMAC-SHA2-256.
    pub(crate) fn gcm() -> Self {
        Self::read(include_str!("../tests/data/strongswan/gcm.txt"), gcm_suite())
    }

    fn read(text: &str, suite: IkeSuite) -> Self {
        let line = |line: &str| {
            let (name, octets) = line.split_once(' ').unwrap();
            (name.to_string(), hex::decode(octets).unwrap())
        };
        Self { lines: text.lines().map(line).collect(), suite }
    }

    pub(crate) fn suite(&self) -> &IkeSuite {
        &self.suite
    }

    pub(crate) fn octets(&self, name: &str) -> &[u8] {
        self.lines.get(name).unwrap_or_else(|| panic!("no line {name}"))
    }

    pub(crate) fn numbered(&self, name: &str, number: usize) -> &[u8] {
        self.octets(&format!("{name}.{number}"))
    }

    pub(crate) fn secret(&self, name: &str) -> Secret {
        Secret::new(self.lines.get(name).map_or(&[], Vec::as_slice))
    }

    /// The keys that charon logged, of the first (1) or the rekeyed (2) IKE SA.
    pub(crate) fn keys(&self, epoch: usize) -> SkKeys {
        let key = |name: &str| self.secret(&format!("{name}.{epoch}"));
        SkKeys {
            d: key("sk_d"),
            ai: key("sk_ai"),
            ar: key("sk_ar"),
            ei: key("sk_ei"),
            er: key("sk_er"),
            pi: key("sk_pi"),
            pr: key("sk_pr"),
        }
    }

    /// The nonces of IKE_SA_INIT.
    pub(crate) fn init_nonces(&self) -> (Vec<u8>, Vec<u8>) {
        let nonce = |message| {
            let view = MessageView::parse(self.octets(message), &Limits::DEFAULT).unwrap();
            let find = |payload| match payload {
                PayloadKind::Nonce(nonce) => Some(nonce.to_vec()),
                _ => None,
            };
            view.payloads().find_map(|payload| find(payload.kind())).unwrap()
        };
        (nonce("message.1"), nonce("message.2"))
    }

    /// The SPIs of the first IKE SA.
    pub(crate) fn spis(&self) -> (IkeSpi, IkeSpi) {
        let header = MessageView::parse(self.octets("message.2"), &Limits::DEFAULT).unwrap().header();
        (header.initiator_spi, header.responder_spi)
    }
}

pub(crate) fn cbc_suite() -> IkeSuite {
    let provider = rustcrypto::provider();
    IkeSuite {
        encr: provider.encr(EncrId::AES_CBC).unwrap(),
        key_len: 32,
        prf: provider.prf(PrfId::HMAC_SHA2_256).unwrap(),
        integ: provider.integ(IntegId::HMAC_SHA2_256_128),
        ke: KeId::CURVE25519,
    }
}

pub(crate) fn ctr_suite() -> IkeSuite {
    let encr = rustcrypto::provider().encr(EncrId::AES_CTR).unwrap();
    IkeSuite { encr, ..cbc_suite() }
}

pub(crate) fn gcm_suite() -> IkeSuite {
    let provider = rustcrypto::provider();
    IkeSuite {
        encr: provider.encr(EncrId::AES_GCM_16).unwrap(),
        key_len: 32,
        prf: provider.prf(PrfId::HMAC_SHA2_384).unwrap(),
        integ: None,
        ke: KeId::ECP_256,
    }
}
