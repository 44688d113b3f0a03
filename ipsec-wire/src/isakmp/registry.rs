//! The numbers of IKEv1 under the names of IANA's "Internet Key Exchange (IKE) Attributes" and "Magic Numbers
//! for ISAKMP Protocol". Exchange types are in [`crate::ike::ExchangeType`].

use crate::newtype_enum;

newtype_enum! {
    /// The type of a payload (RFC 2408 §3.1). 15 and 16 are group key management's (RFC 6407); some drafts of
    /// NAT traversal used them for NAT-D and NAT-OA.
    pub struct PayloadType(u8) {
        NONE = 0 => "none",
        SA = 1 => "SA",
        PROPOSAL = 2 => "P",
        TRANSFORM = 3 => "T",
        KE = 4 => "KE",
        ID = 5 => "ID",
        CERT = 6 => "CERT",
        CR = 7 => "CR",
        HASH = 8 => "HASH",
        SIG = 9 => "SIG",
        NONCE = 10 => "NONCE",
        NOTIFY = 11 => "N",
        DELETE = 12 => "D",
        VENDOR = 13 => "VID",
        ATTRIBUTES = 14 => "ATTR",
        SAK = 15 => "SAK/NAT-D",
        SAT = 16 => "SAT/NAT-OA",
        KD = 17 => "KD",
        SEQ = 18 => "SEQ",
        POP = 19 => "POP",
        NAT_D = 20 => "NAT-D",
        NAT_OA = 21 => "NAT-OA",
        NAT_D_DRAFT = 130 => "NAT-D (drafts)",
        NAT_OA_DRAFT = 131 => "NAT-OA (drafts)",
        FRAGMENT = 132 => "FRAGMENT",
    }
}

newtype_enum! {
    /// The protocol of a proposal, notify or deletion (RFC 2407 §4.4.1).
    pub struct ProtocolId(u8) {
        ISAKMP = 1 => "PROTO_ISAKMP",
        IPSEC_AH = 2 => "PROTO_IPSEC_AH",
        IPSEC_ESP = 3 => "PROTO_IPSEC_ESP",
        IPCOMP = 4 => "PROTO_IPCOMP",
    }
}

newtype_enum! {
    /// An ESP transform (RFC 2407 §4.4.4 and later documents).
    pub struct EspTransform(u8) {
        DES_IV64 = 1 => "ESP_DES_IV64",
        DES = 2 => "ESP_DES",
        TRIPLE_DES = 3 => "ESP_3DES",
        RC5 = 4 => "ESP_RC5",
        IDEA = 5 => "ESP_IDEA",
        CAST = 6 => "ESP_CAST",
        BLOWFISH = 7 => "ESP_BLOWFISH",
        THREE_IDEA = 8 => "ESP_3IDEA",
        DES_IV32 = 9 => "ESP_DES_IV32",
        RC4 = 10 => "ESP_RC4",
        NULL = 11 => "ESP_NULL",
        AES = 12 => "ESP_AES-CBC",
        AES_CTR = 13 => "ESP_AES-CTR",
        AES_CCM_8 = 14 => "ESP_AES-CCM_8",
        AES_CCM_12 = 15 => "ESP_AES-CCM_12",
        AES_CCM_16 = 16 => "ESP_AES-CCM_16",
        AES_GCM_8 = 18 => "ESP_AES-GCM_8",
        AES_GCM_12 = 19 => "ESP_AES-GCM_12",
        AES_GCM_16 = 20 => "ESP_AES-GCM_16",
        SEED_CBC = 21 => "ESP_SEED_CBC",
        CAMELLIA = 22 => "ESP_CAMELLIA",
        NULL_AUTH_AES_GMAC = 23 => "ESP_NULL_AUTH_AES-GMAC",
    }
}

newtype_enum! {
    /// An AH transform (RFC 2407 §4.4.3 and later documents).
    pub struct AhTransform(u8) {
        MD5 = 2 => "AH_MD5",
        SHA = 3 => "AH_SHA",
        DES = 4 => "AH_DES",
        SHA2_256 = 5 => "AH_SHA2-256",
        SHA2_384 = 6 => "AH_SHA2-384",
        SHA2_512 = 7 => "AH_SHA2-512",
        RIPEMD = 8 => "AH_RIPEMD",
        AES_XCBC_MAC = 9 => "AH_AES-XCBC-MAC",
        RSA = 10 => "AH_RSA",
        AES_128_GMAC = 11 => "AH_AES-128-GMAC",
        AES_192_GMAC = 12 => "AH_AES-192-GMAC",
        AES_256_GMAC = 13 => "AH_AES-256-GMAC",
    }
}

newtype_enum! {
    /// An attribute of a phase 1 transform (RFC 2409 appendix A).
    pub struct Phase1Attribute(u16) {
        ENCRYPTION = 1 => "Encryption Algorithm",
        HASH = 2 => "Hash Algorithm",
        AUTHENTICATION = 3 => "Authentication Method",
        GROUP = 4 => "Group Description",
        GROUP_TYPE = 5 => "Group Type",
        GROUP_PRIME = 6 => "Group Prime",
        GROUP_GENERATOR_ONE = 7 => "Group Generator One",
        GROUP_GENERATOR_TWO = 8 => "Group Generator Two",
        GROUP_CURVE_A = 9 => "Group Curve A",
        GROUP_CURVE_B = 10 => "Group Curve B",
        LIFE_TYPE = 11 => "Life Type",
        LIFE_DURATION = 12 => "Life Duration",
        PRF = 13 => "PRF",
        KEY_LENGTH = 14 => "Key Length",
        FIELD_SIZE = 15 => "Field Size",
        GROUP_ORDER = 16 => "Group Order",
    }
}

newtype_enum! {
    /// An attribute of a phase 2 transform (RFC 2407 §4.5, RFC 4304 §2).
    pub struct Phase2Attribute(u16) {
        LIFE_TYPE = 1 => "SA Life Type",
        LIFE_DURATION = 2 => "SA Life Duration",
        GROUP = 3 => "Group Description",
        ENCAPSULATION_MODE = 4 => "Encapsulation Mode",
        AUTHENTICATION = 5 => "Authentication Algorithm",
        KEY_LENGTH = 6 => "Key Length",
        KEY_ROUNDS = 7 => "Key Rounds",
        COMPRESS_DICTIONARY_SIZE = 8 => "Compress Dictionary Size",
        COMPRESS_PRIVATE_ALGORITHM = 9 => "Compress Private Algorithm",
        ECN_TUNNEL = 10 => "ECN Tunnel",
        EXTENDED_SEQUENCE_NUMBER = 11 => "Extended (64-bit) Sequence Number",
        AUTHENTICATION_KEY_LENGTH = 12 => "Authentication Key Length",
        SIGNATURE_ALGORITHM = 13 => "Signature Encoding Algorithm",
    }
}

newtype_enum! {
    /// Encryption of phase 1 (RFC 2409 appendix A).
    pub struct Phase1Encryption(u16) {
        DES_CBC = 1 => "DES-CBC",
        IDEA_CBC = 2 => "IDEA-CBC",
        BLOWFISH_CBC = 3 => "Blowfish-CBC",
        RC5_CBC = 4 => "RC5-R16-B64-CBC",
        TRIPLE_DES_CBC = 5 => "3DES-CBC",
        CAST_CBC = 6 => "CAST-CBC",
        AES_CBC = 7 => "AES-CBC",
        CAMELLIA_CBC = 8 => "CAMELLIA-CBC",
    }
}

newtype_enum! {
    /// Hash of phase 1.
    pub struct Phase1Hash(u16) {
        MD5 = 1 => "MD5",
        SHA = 2 => "SHA",
        TIGER = 3 => "Tiger",
        SHA2_256 = 4 => "SHA2-256",
        SHA2_384 = 5 => "SHA2-384",
        SHA2_512 = 6 => "SHA2-512",
    }
}

newtype_enum! {
    /// Authentication of phase 1; from 64221 on with XAUTH.
    pub struct Phase1Authentication(u16) {
        PRE_SHARED_KEY = 1 => "pre-shared key",
        DSS_SIGNATURES = 2 => "DSS signatures",
        RSA_SIGNATURES = 3 => "RSA signatures",
        RSA_ENCRYPTION = 4 => "Encryption with RSA",
        RSA_REVISED_ENCRYPTION = 5 => "Revised encryption with RSA",
        ECDSA_256 = 9 => "ECDSA with SHA-256 on the P-256 curve",
        ECDSA_384 = 10 => "ECDSA with SHA-384 on the P-384 curve",
        ECDSA_521 = 11 => "ECDSA with SHA-512 on the P-521 curve",
        HYBRID_INIT_RSA = 64221 => "HybridInitRSA",
        HYBRID_RESP_RSA = 64222 => "HybridRespRSA",
        XAUTH_INIT_PRE_SHARED = 65001 => "XAUTHInitPreShared",
        XAUTH_RESP_PRE_SHARED = 65002 => "XAUTHRespPreShared",
        XAUTH_INIT_RSA = 65005 => "XAUTHInitRSA",
        XAUTH_RESP_RSA = 65006 => "XAUTHRespRSA",
    }
}

newtype_enum! {
    /// How a Child SA of IKEv1 encapsulates (RFC 2407 §4.5, RFC 3947 §5.1).
    pub struct EncapsulationMode(u16) {
        TUNNEL = 1 => "Tunnel",
        TRANSPORT = 2 => "Transport",
        UDP_TUNNEL = 3 => "UDP-Encapsulated-Tunnel",
        UDP_TRANSPORT = 4 => "UDP-Encapsulated-Transport",
        UDP_TUNNEL_DRAFT = 61443 => "UDP-Encapsulated-Tunnel (drafts)",
        UDP_TRANSPORT_DRAFT = 61444 => "UDP-Encapsulated-Transport (drafts)",
    }
}

newtype_enum! {
    /// Authentication of ESP and AH in phase 2 (RFC 2407 §4.5 and later documents).
    pub struct Phase2Authentication(u16) {
        HMAC_MD5 = 1 => "HMAC-MD5",
        HMAC_SHA = 2 => "HMAC-SHA",
        DES_MAC = 3 => "DES-MAC",
        KPDK = 4 => "KPDK",
        HMAC_SHA2_256 = 5 => "HMAC-SHA2-256",
        HMAC_SHA2_384 = 6 => "HMAC-SHA2-384",
        HMAC_SHA2_512 = 7 => "HMAC-SHA2-512",
        HMAC_RIPEMD = 8 => "HMAC-RIPEMD",
        AES_XCBC_MAC = 9 => "AES-XCBC-MAC",
        SIG_RSA = 10 => "SIG-RSA",
        AES_128_GMAC = 11 => "AES-128-GMAC",
        AES_192_GMAC = 12 => "AES-192-GMAC",
        AES_256_GMAC = 13 => "AES-256-GMAC",
    }
}

newtype_enum! {
    /// The unit of a lifetime.
    pub struct LifeType(u16) {
        SECONDS = 1 => "seconds",
        KILOBYTES = 2 => "kilobytes",
    }
}

newtype_enum! {
    /// The kind of an attribute payload of Mode-Config.
    pub struct CfgMessageType(u8) {
        REQUEST = 1 => "ISAKMP_CFG_REQUEST",
        REPLY = 2 => "ISAKMP_CFG_REPLY",
        SET = 3 => "ISAKMP_CFG_SET",
        ACK = 4 => "ISAKMP_CFG_ACK",
    }
}

newtype_enum! {
    /// An attribute of Mode-Config, of XAUTH from 16520 on and of Cisco Unity from 28672 on.
    pub struct CfgAttribute(u16) {
        INTERNAL_IP4_ADDRESS = 1 => "INTERNAL_IP4_ADDRESS",
        INTERNAL_IP4_NETMASK = 2 => "INTERNAL_IP4_NETMASK",
        INTERNAL_IP4_DNS = 3 => "INTERNAL_IP4_DNS",
        INTERNAL_IP4_NBNS = 4 => "INTERNAL_IP4_NBNS",
        INTERNAL_ADDRESS_EXPIRY = 5 => "INTERNAL_ADDRESS_EXPIRY",
        INTERNAL_IP4_DHCP = 6 => "INTERNAL_IP4_DHCP",
        APPLICATION_VERSION = 7 => "APPLICATION_VERSION",
        INTERNAL_IP6_ADDRESS = 8 => "INTERNAL_IP6_ADDRESS",
        INTERNAL_IP6_NETMASK = 9 => "INTERNAL_IP6_NETMASK",
        INTERNAL_IP6_DNS = 10 => "INTERNAL_IP6_DNS",
        INTERNAL_IP6_NBNS = 11 => "INTERNAL_IP6_NBNS",
        INTERNAL_IP6_DHCP = 12 => "INTERNAL_IP6_DHCP",
        INTERNAL_IP4_SUBNET = 13 => "INTERNAL_IP4_SUBNET",
        SUPPORTED_ATTRIBUTES = 14 => "SUPPORTED_ATTRIBUTES",
        INTERNAL_IP6_SUBNET = 15 => "INTERNAL_IP6_SUBNET",
        XAUTH_TYPE = 16520 => "XAUTH_TYPE",
        XAUTH_USER_NAME = 16521 => "XAUTH_USER_NAME",
        XAUTH_USER_PASSWORD = 16522 => "XAUTH_USER_PASSWORD",
        XAUTH_PASSCODE = 16523 => "XAUTH_PASSCODE",
        XAUTH_MESSAGE = 16524 => "XAUTH_MESSAGE",
        XAUTH_CHALLENGE = 16525 => "XAUTH_CHALLENGE",
        XAUTH_DOMAIN = 16526 => "XAUTH_DOMAIN",
        XAUTH_STATUS = 16527 => "XAUTH_STATUS",
        XAUTH_NEXT_PIN = 16528 => "XAUTH_NEXT_PIN",
        XAUTH_ANSWER = 16529 => "XAUTH_ANSWER",
        UNITY_BANNER = 28672 => "UNITY_BANNER",
        UNITY_SAVE_PASSWORD = 28673 => "UNITY_SAVE_PASSWD",
        UNITY_DEF_DOMAIN = 28674 => "UNITY_DEF_DOMAIN",
        UNITY_SPLITDNS_NAME = 28675 => "UNITY_SPLITDNS_NAME",
        UNITY_SPLIT_INCLUDE = 28676 => "UNITY_SPLIT_INCLUDE",
        UNITY_NATT_PORT = 28677 => "UNITY_NATT_PORT",
        UNITY_LOCAL_LAN = 28678 => "UNITY_LOCAL_LAN",
        UNITY_PFS = 28679 => "UNITY_PFS",
        UNITY_FW_TYPE = 28680 => "UNITY_FW_TYPE",
        UNITY_BACKUP_SERVERS = 28681 => "UNITY_BACKUP_SERVERS",
        UNITY_DDNS_HOSTNAME = 28682 => "UNITY_DDNS_HOSTNAME",
    }
}

newtype_enum! {
    /// The type of a notification (RFC 2408 §3.14.1, RFC 2407 §4.6.3, RFC 3706 §5.3).
    pub struct NotifyType(u16) {
        INVALID_PAYLOAD_TYPE = 1 => "INVALID-PAYLOAD-TYPE",
        DOI_NOT_SUPPORTED = 2 => "DOI-NOT-SUPPORTED",
        SITUATION_NOT_SUPPORTED = 3 => "SITUATION-NOT-SUPPORTED",
        INVALID_COOKIE = 4 => "INVALID-COOKIE",
        INVALID_MAJOR_VERSION = 5 => "INVALID-MAJOR-VERSION",
        INVALID_MINOR_VERSION = 6 => "INVALID-MINOR-VERSION",
        INVALID_EXCHANGE_TYPE = 7 => "INVALID-EXCHANGE-TYPE",
        INVALID_FLAGS = 8 => "INVALID-FLAGS",
        INVALID_MESSAGE_ID = 9 => "INVALID-MESSAGE-ID",
        INVALID_PROTOCOL_ID = 10 => "INVALID-PROTOCOL-ID",
        INVALID_SPI = 11 => "INVALID-SPI",
        INVALID_TRANSFORM_ID = 12 => "INVALID-TRANSFORM-ID",
        ATTRIBUTES_NOT_SUPPORTED = 13 => "ATTRIBUTES-NOT-SUPPORTED",
        NO_PROPOSAL_CHOSEN = 14 => "NO-PROPOSAL-CHOSEN",
        BAD_PROPOSAL_SYNTAX = 15 => "BAD-PROPOSAL-SYNTAX",
        PAYLOAD_MALFORMED = 16 => "PAYLOAD-MALFORMED",
        INVALID_KEY_INFORMATION = 17 => "INVALID-KEY-INFORMATION",
        INVALID_ID_INFORMATION = 18 => "INVALID-ID-INFORMATION",
        INVALID_CERT_ENCODING = 19 => "INVALID-CERT-ENCODING",
        INVALID_CERTIFICATE = 20 => "INVALID-CERTIFICATE",
        CERT_TYPE_UNSUPPORTED = 21 => "CERT-TYPE-UNSUPPORTED",
        INVALID_CERT_AUTHORITY = 22 => "INVALID-CERT-AUTHORITY",
        INVALID_HASH_INFORMATION = 23 => "INVALID-HASH-INFORMATION",
        AUTHENTICATION_FAILED = 24 => "AUTHENTICATION-FAILED",
        INVALID_SIGNATURE = 25 => "INVALID-SIGNATURE",
        ADDRESS_NOTIFICATION = 26 => "ADDRESS-NOTIFICATION",
        NOTIFY_SA_LIFETIME = 27 => "NOTIFY-SA-LIFETIME",
        CERTIFICATE_UNAVAILABLE = 28 => "CERTIFICATE-UNAVAILABLE",
        UNSUPPORTED_EXCHANGE_TYPE = 29 => "UNSUPPORTED-EXCHANGE-TYPE",
        UNEQUAL_PAYLOAD_LENGTHS = 30 => "UNEQUAL-PAYLOAD-LENGTHS",
        CONNECTED = 16384 => "CONNECTED",
        RESPONDER_LIFETIME = 24576 => "RESPONDER-LIFETIME",
        REPLAY_STATUS = 24577 => "REPLAY-STATUS",
        INITIAL_CONTACT = 24578 => "INITIAL-CONTACT",
        R_U_THERE = 36136 => "R-U-THERE",
        R_U_THERE_ACK = 36137 => "R-U-THERE-ACK",
    }
}
