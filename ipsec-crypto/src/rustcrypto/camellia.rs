//! Camellia in CBC, counter and CCM mode (RFC 5529, RFC 4312), used as AES is in RFC 3602, RFC 3686 and RFC 4309.

use ::camellia::{Camellia128, Camellia192, Camellia256};
use ipsec_wire::ike::EncrId;

use super::ccm::Ccm;
use super::cipher::{Chained, Counted};
use super::encr::{CBC, CCM_16, CTR, Encryption, Keying, by_key_length};

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
        Ccm::<Camellia128, 16>,
        Ccm::<Camellia192, 16>,
        Ccm::<Camellia256, 16>
    )),
    ..CCM_16
};

pub(super) static CAMELLIA_CCM_12: Encryption = Encryption {
    id: EncrId::CAMELLIA_CCM_12,
    name: "camellia-ccm-12",
    tag_len: 12,
    key: Keying::Combined(by_key_length!(
        Ccm::<Camellia128, 12>,
        Ccm::<Camellia192, 12>,
        Ccm::<Camellia256, 12>
    )),
    ..CAMELLIA_CCM
};

pub(super) static CAMELLIA_CCM_8: Encryption = Encryption {
    id: EncrId::CAMELLIA_CCM_8,
    name: "camellia-ccm-8",
    tag_len: 8,
    key: Keying::Combined(by_key_length!(
        Ccm::<Camellia128, 8>,
        Ccm::<Camellia192, 8>,
        Ccm::<Camellia256, 8>
    )),
    ..CAMELLIA_CCM
};
