//! Camellia in CBC, counter and CCM mode (RFC 5529, RFC 4312), used as AES is in RFC 3602, RFC 3686 and RFC 4309.

use ::camellia::{Camellia128, Camellia192, Camellia256};
use ccm::Ccm;
use cipher::consts::{U8, U11, U12, U16};
use ipsec_wire::ike::EncrId;

use super::cipher::{Chained, Counted};
use super::encr::{CBC, CCM_16, CTR, Combined, Encryption, Keying, by_key_length};

pub(super) static CAMELLIA_CBC: Encryption = Encryption {
    id: EncrId::CAMELLIA_CBC,
    name: "camellia-cbc",
    key: Keying::Plain(by_key_length!(
        Chained::<Camellia128>,
        Chained::<Camellia192>,
        Chained::<Camellia256>
    )),
    ..CBC
};

pub(super) static CAMELLIA_CTR: Encryption = Encryption {
    id: EncrId::CAMELLIA_CTR,
    name: "camellia-ctr",
    key: Keying::Plain(by_key_length!(
        Counted::<Camellia128>,
        Counted::<Camellia192>,
        Counted::<Camellia256>
    )),
    ..CTR
};

pub(super) static CAMELLIA_CCM_16: Encryption = CAMELLIA_CCM;

const CAMELLIA_CCM: Encryption = Encryption {
    id: EncrId::CAMELLIA_CCM_16,
    name: "camellia-ccm-16",
    key: Keying::Combined(by_key_length!(
        Combined::<Ccm<Camellia128, U16, U11>>,
        Combined::<Ccm<Camellia192, U16, U11>>,
        Combined::<Ccm<Camellia256, U16, U11>>
    )),
    ..CCM_16
};

pub(super) static CAMELLIA_CCM_12: Encryption = Encryption {
    id: EncrId::CAMELLIA_CCM_12,
    name: "camellia-ccm-12",
    tag_len: 12,
    key: Keying::Combined(by_key_length!(
        Combined::<Ccm<Camellia128, U12, U11>>,
        Combined::<Ccm<Camellia192, U12, U11>>,
        Combined::<Ccm<Camellia256, U12, U11>>
    )),
    ..CAMELLIA_CCM
};

pub(super) static CAMELLIA_CCM_8: Encryption = Encryption {
    id: EncrId::CAMELLIA_CCM_8,
    name: "camellia-ccm-8",
    tag_len: 8,
    key: Keying::Combined(by_key_length!(
        Combined::<Ccm<Camellia128, U8, U11>>,
        Combined::<Ccm<Camellia192, U8, U11>>,
        Combined::<Ccm<Camellia256, U8, U11>>
    )),
    ..CAMELLIA_CCM
};
