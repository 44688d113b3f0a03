//! The numbers of IKEv2 under the names of IANA's "Internet Key Exchange Version 2 (IKEv2) Parameters".
//!
//! Every type is total: an unknown number survives parsing, printing and building. Where IKEv1 shares a
//! number space its values are named too.

use crate::newtype_enum;

newtype_enum! {
    /// The exchange a message belongs to (RFC 7296 §3.1; the values below 34 are IKEv1's).
    pub struct ExchangeType(u8) {
        BASE = 1 => "Base",
        IDENTITY_PROTECTION = 2 => "Identity Protection",
        AUTHENTICATION_ONLY = 3 => "Authentication Only",
        AGGRESSIVE = 4 => "Aggressive",
        INFORMATIONAL_V1 = 5 => "Informational",
        TRANSACTION = 6 => "Transaction",
        QUICK_MODE = 32 => "Quick Mode",
        NEW_GROUP_MODE = 33 => "New Group Mode",
        IKE_SA_INIT = 34 => "IKE_SA_INIT",
        IKE_AUTH = 35 => "IKE_AUTH",
        CREATE_CHILD_SA = 36 => "CREATE_CHILD_SA",
        INFORMATIONAL = 37 => "INFORMATIONAL",
        IKE_SESSION_RESUME = 38 => "IKE_SESSION_RESUME",
        GSA_AUTH = 39 => "GSA_AUTH",
        GSA_REGISTRATION = 40 => "GSA_REGISTRATION",
        GSA_REKEY = 41 => "GSA_REKEY",
        GSA_INBAND_REKEY = 42 => "GSA_INBAND_REKEY",
        IKE_INTERMEDIATE = 43 => "IKE_INTERMEDIATE",
        IKE_FOLLOWUP_KE = 44 => "IKE_FOLLOWUP_KE",
    }
}

newtype_enum! {
    /// The type of a payload (RFC 7296 §3.2). The names are the notation of RFC 7296 §1.2.
    pub struct PayloadType(u8) {
        NONE = 0 => "none",
        SA = 33 => "SA",
        KE = 34 => "KE",
        IDI = 35 => "IDi",
        IDR = 36 => "IDr",
        CERT = 37 => "CERT",
        CERTREQ = 38 => "CERTREQ",
        AUTH = 39 => "AUTH",
        NONCE = 40 => "Nonce",
        NOTIFY = 41 => "N",
        DELETE = 42 => "D",
        VENDOR = 43 => "V",
        TSI = 44 => "TSi",
        TSR = 45 => "TSr",
        SK = 46 => "SK",
        CP = 47 => "CP",
        EAP = 48 => "EAP",
        GSPM = 49 => "GSPM",
        IDG = 50 => "IDg",
        GSA = 51 => "GSA",
        KD = 52 => "KD",
        SKF = 53 => "SKF",
        PS = 54 => "PS",
    }
}

newtype_enum! {
    /// The type of a transform (RFC 7296 §3.3.2; KE and ADDKE: RFC 9370; SN: RFC 9827).
    pub struct TransformType(u8) {
        ENCR = 1 => "ENCR",
        PRF = 2 => "PRF",
        INTEG = 3 => "INTEG",
        KE = 4 => "KE",
        SN = 5 => "SN",
        ADDKE1 = 6 => "ADDKE1",
        ADDKE2 = 7 => "ADDKE2",
        ADDKE3 = 8 => "ADDKE3",
        ADDKE4 = 9 => "ADDKE4",
        ADDKE5 = 10 => "ADDKE5",
        ADDKE6 = 11 => "ADDKE6",
        ADDKE7 = 12 => "ADDKE7",
        KWA = 13 => "KWA",
        GCAUTH = 14 => "GCAUTH",
    }
}

impl TransformType {
    /// The name of a transform of this type; the ADDKE types draw on the registry of KE (RFC 9370 §2.2.1).
    #[must_use]
    pub const fn id_name(self, id: u16) -> Option<&'static str> {
        match self {
            Self::ENCR => EncrId(id).name(),
            Self::PRF => PrfId(id).name(),
            Self::INTEG => IntegId(id).name(),
            Self::SN => SnId(id).name(),
            _ if self.is_key_exchange() => KeId(id).name(),
            _ => None,
        }
    }

    /// Whether the type is KE or one of ADDKE1..ADDKE7.
    #[must_use]
    pub const fn is_key_exchange(self) -> bool {
        self.0 == Self::KE.0 || (self.0 >= Self::ADDKE1.0 && self.0 <= Self::ADDKE7.0)
    }
}

newtype_enum! {
    /// Transform type 1: encryption, plain or with integrity built in.
    pub struct EncrId(u16) {
        DES_IV64 = 1 => "ENCR_DES_IV64",
        DES = 2 => "ENCR_DES",
        TRIPLE_DES = 3 => "ENCR_3DES",
        RC5 = 4 => "ENCR_RC5",
        IDEA = 5 => "ENCR_IDEA",
        CAST = 6 => "ENCR_CAST",
        BLOWFISH = 7 => "ENCR_BLOWFISH",
        TRIPLE_IDEA = 8 => "ENCR_3IDEA",
        DES_IV32 = 9 => "ENCR_DES_IV32",
        NULL = 11 => "ENCR_NULL",
        AES_CBC = 12 => "ENCR_AES_CBC",
        AES_CTR = 13 => "ENCR_AES_CTR",
        AES_CCM_8 = 14 => "ENCR_AES_CCM_8",
        AES_CCM_12 = 15 => "ENCR_AES_CCM_12",
        AES_CCM_16 = 16 => "ENCR_AES_CCM_16",
        AES_GCM_8 = 18 => "ENCR_AES_GCM_8",
        AES_GCM_12 = 19 => "ENCR_AES_GCM_12",
        AES_GCM_16 = 20 => "ENCR_AES_GCM_16",
        NULL_AUTH_AES_GMAC = 21 => "ENCR_NULL_AUTH_AES_GMAC",
        CAMELLIA_CBC = 23 => "ENCR_CAMELLIA_CBC",
        CAMELLIA_CTR = 24 => "ENCR_CAMELLIA_CTR",
        CAMELLIA_CCM_8 = 25 => "ENCR_CAMELLIA_CCM_8",
        CAMELLIA_CCM_12 = 26 => "ENCR_CAMELLIA_CCM_12",
        CAMELLIA_CCM_16 = 27 => "ENCR_CAMELLIA_CCM_16",
        CHACHA20_POLY1305 = 28 => "ENCR_CHACHA20_POLY1305",
        AES_CCM_8_IIV = 29 => "ENCR_AES_CCM_8_IIV",
        AES_GCM_16_IIV = 30 => "ENCR_AES_GCM_16_IIV",
        CHACHA20_POLY1305_IIV = 31 => "ENCR_CHACHA20_POLY1305_IIV",
        KUZNYECHIK_MGM_KTREE = 32 => "ENCR_KUZNYECHIK_MGM_KTREE",
        MAGMA_MGM_KTREE = 33 => "ENCR_MAGMA_MGM_KTREE",
        KUZNYECHIK_MGM_MAC_KTREE = 34 => "ENCR_KUZNYECHIK_MGM_MAC_KTREE",
        MAGMA_MGM_MAC_KTREE = 35 => "ENCR_MAGMA_MGM_MAC_KTREE",
    }
}

newtype_enum! {
    /// Transform type 2: the pseudorandom function of the IKE SA.
    pub struct PrfId(u16) {
        HMAC_MD5 = 1 => "PRF_HMAC_MD5",
        HMAC_SHA1 = 2 => "PRF_HMAC_SHA1",
        HMAC_TIGER = 3 => "PRF_HMAC_TIGER",
        AES128_XCBC = 4 => "PRF_AES128_XCBC",
        HMAC_SHA2_256 = 5 => "PRF_HMAC_SHA2_256",
        HMAC_SHA2_384 = 6 => "PRF_HMAC_SHA2_384",
        HMAC_SHA2_512 = 7 => "PRF_HMAC_SHA2_512",
        AES128_CMAC = 8 => "PRF_AES128_CMAC",
        HMAC_STREEBOG_512 = 9 => "PRF_HMAC_STREEBOG_512",
    }
}

newtype_enum! {
    /// Transform type 3: integrity of IKE, ESP and AH.
    pub struct IntegId(u16) {
        NONE = 0 => "NONE",
        HMAC_MD5_96 = 1 => "AUTH_HMAC_MD5_96",
        HMAC_SHA1_96 = 2 => "AUTH_HMAC_SHA1_96",
        DES_MAC = 3 => "AUTH_DES_MAC",
        KPDK_MD5 = 4 => "AUTH_KPDK_MD5",
        AES_XCBC_96 = 5 => "AUTH_AES_XCBC_96",
        HMAC_MD5_128 = 6 => "AUTH_HMAC_MD5_128",
        HMAC_SHA1_160 = 7 => "AUTH_HMAC_SHA1_160",
        AES_CMAC_96 = 8 => "AUTH_AES_CMAC_96",
        AES_128_GMAC = 9 => "AUTH_AES_128_GMAC",
        AES_192_GMAC = 10 => "AUTH_AES_192_GMAC",
        AES_256_GMAC = 11 => "AUTH_AES_256_GMAC",
        HMAC_SHA2_256_128 = 12 => "AUTH_HMAC_SHA2_256_128",
        HMAC_SHA2_384_192 = 13 => "AUTH_HMAC_SHA2_384_192",
        HMAC_SHA2_512_256 = 14 => "AUTH_HMAC_SHA2_512_256",
    }
}

newtype_enum! {
    /// Transform type 4 and the ADDKE types: Diffie-Hellman groups and KEMs (RFC 9370).
    pub struct KeId(u16) {
        NONE = 0 => "NONE",
        MODP_768 = 1 => "MODP_768",
        MODP_1024 = 2 => "MODP_1024",
        MODP_1536 = 5 => "MODP_1536",
        MODP_2048 = 14 => "MODP_2048",
        MODP_3072 = 15 => "MODP_3072",
        MODP_4096 = 16 => "MODP_4096",
        MODP_6144 = 17 => "MODP_6144",
        MODP_8192 = 18 => "MODP_8192",
        ECP_256 = 19 => "ECP_256",
        ECP_384 = 20 => "ECP_384",
        ECP_521 = 21 => "ECP_521",
        MODP_1024_160 = 22 => "MODP_1024_160",
        MODP_2048_224 = 23 => "MODP_2048_224",
        MODP_2048_256 = 24 => "MODP_2048_256",
        ECP_192 = 25 => "ECP_192",
        ECP_224 = 26 => "ECP_224",
        BRAINPOOL_P224R1 = 27 => "brainpoolP224r1",
        BRAINPOOL_P256R1 = 28 => "brainpoolP256r1",
        BRAINPOOL_P384R1 = 29 => "brainpoolP384r1",
        BRAINPOOL_P512R1 = 30 => "brainpoolP512r1",
        CURVE25519 = 31 => "Curve25519",
        CURVE448 = 32 => "Curve448",
        GOST3410_2012_256 = 33 => "GOST3410_2012_256",
        GOST3410_2012_512 = 34 => "GOST3410_2012_512",
        ML_KEM_512 = 35 => "ML_KEM_512",
        ML_KEM_768 = 36 => "ML_KEM_768",
        ML_KEM_1024 = 37 => "ML_KEM_1024",
    }
}

newtype_enum! {
    /// Transform type 5: the kind of sequence numbers (RFC 9827; formerly the ESN transform).
    pub struct SnId(u16) {
        SEQUENTIAL_32 = 0 => "32-bit sequential",
        SEQUENTIAL_64 = 1 => "64-bit sequential (ESN)",
        UNSPECIFIED_32 = 2 => "32-bit unspecified",
    }
}

newtype_enum! {
    /// How the sender of an AUTH payload proves its identity (RFC 7296 §3.8).
    pub struct AuthMethod(u8) {
        RSA_SIGNATURE = 1 => "RSA Digital Signature",
        SHARED_KEY_MIC = 2 => "Shared Key Message Integrity Code",
        DSS_SIGNATURE = 3 => "DSS Digital Signature",
        ECDSA_256 = 9 => "ECDSA with SHA-256 on P-256",
        ECDSA_384 = 10 => "ECDSA with SHA-384 on P-384",
        ECDSA_521 = 11 => "ECDSA with SHA-512 on P-521",
        SECURE_PASSWORD = 12 => "Generic Secure Password",
        NULL = 13 => "NULL Authentication",
        DIGITAL_SIGNATURE = 14 => "Digital Signature",
    }
}

newtype_enum! {
    /// Hash algorithms of RFC 7427 signatures (SIGNATURE_HASH_ALGORITHMS).
    pub struct HashId(u16) {
        SHA1 = 1 => "SHA1",
        SHA2_256 = 2 => "SHA2-256",
        SHA2_384 = 3 => "SHA2-384",
        SHA2_512 = 4 => "SHA2-512",
        IDENTITY = 5 => "Identity",
        STREEBOG_256 = 6 => "STREEBOG_256",
        STREEBOG_512 = 7 => "STREEBOG_512",
    }
}

newtype_enum! {
    /// Methods of SECURE_PASSWORD_METHODS (RFC 6467 §7).
    pub struct SecurePasswordMethod(u16) {
        PACE = 1 => "PACE",
        AUG_PAKE = 2 => "AugPAKE",
        SECURE_PSK = 3 => "Secure PSK Authentication",
    }
}

newtype_enum! {
    /// The form of an identification (RFC 7296 §3.5; 4 and 6..=8 are IKEv1's, RFC 2407 §4.6.2.1).
    pub struct IdType(u8) {
        IPV4_ADDR = 1 => "ID_IPV4_ADDR",
        FQDN = 2 => "ID_FQDN",
        RFC822_ADDR = 3 => "ID_RFC822_ADDR",
        IPV4_ADDR_SUBNET = 4 => "ID_IPV4_ADDR_SUBNET",
        IPV6_ADDR = 5 => "ID_IPV6_ADDR",
        IPV6_ADDR_SUBNET = 6 => "ID_IPV6_ADDR_SUBNET",
        IPV4_ADDR_RANGE = 7 => "ID_IPV4_ADDR_RANGE",
        IPV6_ADDR_RANGE = 8 => "ID_IPV6_ADDR_RANGE",
        DER_ASN1_DN = 9 => "ID_DER_ASN1_DN",
        DER_ASN1_GN = 10 => "ID_DER_ASN1_GN",
        KEY_ID = 11 => "ID_KEY_ID",
        FC_NAME = 12 => "ID_FC_NAME",
        NULL = 13 => "ID_NULL",
    }
}

newtype_enum! {
    /// The encoding of a certificate or certificate authority (RFC 7296 §3.6).
    pub struct CertEncoding(u8) {
        PKCS7_X509 = 1 => "PKCS #7 wrapped X.509 certificate",
        PGP = 2 => "PGP Certificate",
        DNS_SIGNED_KEY = 3 => "DNS Signed Key",
        X509_SIGNATURE = 4 => "X.509 Certificate - Signature",
        KERBEROS_TOKEN = 6 => "Kerberos Token",
        CRL = 7 => "Certificate Revocation List (CRL)",
        ARL = 8 => "Authority Revocation List (ARL)",
        SPKI = 9 => "SPKI Certificate",
        X509_ATTRIBUTE = 10 => "X.509 Certificate - Attribute",
        RAW_RSA_KEY = 11 => "Raw RSA Key (deprecated)",
        HASH_AND_URL_X509 = 12 => "Hash and URL of X.509 certificate",
        HASH_AND_URL_BUNDLE = 13 => "Hash and URL of X.509 bundle",
        OCSP_CONTENT = 14 => "OCSP Content",
        RAW_PUBLIC_KEY = 15 => "Raw Public Key",
    }
}

newtype_enum! {
    /// The form of a traffic selector (RFC 7296 §3.13.1).
    pub struct TsType(u8) {
        IPV4_ADDR_RANGE = 7 => "TS_IPV4_ADDR_RANGE",
        IPV6_ADDR_RANGE = 8 => "TS_IPV6_ADDR_RANGE",
        FC_ADDR_RANGE = 9 => "TS_FC_ADDR_RANGE",
        SECLABEL = 10 => "TS_SECLABEL",
    }
}

newtype_enum! {
    /// The kind of a configuration payload (RFC 7296 §3.15).
    pub struct CfgType(u8) {
        REQUEST = 1 => "CFG_REQUEST",
        REPLY = 2 => "CFG_REPLY",
        SET = 3 => "CFG_SET",
        ACK = 4 => "CFG_ACK",
    }
}

newtype_enum! {
    /// An attribute of a configuration payload (RFC 7296 §3.15.1): fifteen bits on the wire.
    pub struct CfgAttributeType(u16) {
        INTERNAL_IP4_ADDRESS = 1 => "INTERNAL_IP4_ADDRESS",
        INTERNAL_IP4_NETMASK = 2 => "INTERNAL_IP4_NETMASK",
        INTERNAL_IP4_DNS = 3 => "INTERNAL_IP4_DNS",
        INTERNAL_IP4_NBNS = 4 => "INTERNAL_IP4_NBNS",
        INTERNAL_ADDRESS_EXPIRY = 5 => "INTERNAL_ADDRESS_EXPIRY (retired)",
        INTERNAL_IP4_DHCP = 6 => "INTERNAL_IP4_DHCP",
        APPLICATION_VERSION = 7 => "APPLICATION_VERSION",
        INTERNAL_IP6_ADDRESS = 8 => "INTERNAL_IP6_ADDRESS",
        INTERNAL_IP6_DNS = 10 => "INTERNAL_IP6_DNS",
        INTERNAL_IP6_DHCP = 12 => "INTERNAL_IP6_DHCP",
        INTERNAL_IP4_SUBNET = 13 => "INTERNAL_IP4_SUBNET",
        SUPPORTED_ATTRIBUTES = 14 => "SUPPORTED_ATTRIBUTES",
        INTERNAL_IP6_SUBNET = 15 => "INTERNAL_IP6_SUBNET",
        MIP6_HOME_PREFIX = 16 => "MIP6_HOME_PREFIX",
        INTERNAL_IP6_LINK = 17 => "INTERNAL_IP6_LINK",
        INTERNAL_IP6_PREFIX = 18 => "INTERNAL_IP6_PREFIX",
        HOME_AGENT_ADDRESS = 19 => "HOME_AGENT_ADDRESS",
        P_CSCF_IP4_ADDRESS = 20 => "P_CSCF_IP4_ADDRESS",
        P_CSCF_IP6_ADDRESS = 21 => "P_CSCF_IP6_ADDRESS",
        FTT_KAT = 22 => "FTT_KAT",
        EXTERNAL_SOURCE_IP4_NAT_INFO = 23 => "EXTERNAL_SOURCE_IP4_NAT_INFO",
        TIMEOUT_PERIOD_FOR_LIVENESS_CHECK = 24 => "TIMEOUT_PERIOD_FOR_LIVENESS_CHECK",
        INTERNAL_DNS_DOMAIN = 25 => "INTERNAL_DNS_DOMAIN",
        INTERNAL_DNSSEC_TA = 26 => "INTERNAL_DNSSEC_TA",
        ENCDNS_IP4 = 27 => "ENCDNS_IP4",
        ENCDNS_IP6 = 28 => "ENCDNS_IP6",
        ENCDNS_DIGEST_INFO = 29 => "ENCDNS_DIGEST_INFO",
    }
}

newtype_enum! {
    /// The type of a notification (RFC 7296 §3.10.1): an error below 16384, a status from there on.
    pub struct NotifyType(u16) {
        UNSUPPORTED_CRITICAL_PAYLOAD = 1 => "UNSUPPORTED_CRITICAL_PAYLOAD",
        INVALID_IKE_SPI = 4 => "INVALID_IKE_SPI",
        INVALID_MAJOR_VERSION = 5 => "INVALID_MAJOR_VERSION",
        INVALID_SYNTAX = 7 => "INVALID_SYNTAX",
        INVALID_MESSAGE_ID = 9 => "INVALID_MESSAGE_ID",
        INVALID_SPI = 11 => "INVALID_SPI",
        NO_PROPOSAL_CHOSEN = 14 => "NO_PROPOSAL_CHOSEN",
        INVALID_KE_PAYLOAD = 17 => "INVALID_KE_PAYLOAD",
        AUTHENTICATION_FAILED = 24 => "AUTHENTICATION_FAILED",
        SINGLE_PAIR_REQUIRED = 34 => "SINGLE_PAIR_REQUIRED",
        NO_ADDITIONAL_SAS = 35 => "NO_ADDITIONAL_SAS",
        INTERNAL_ADDRESS_FAILURE = 36 => "INTERNAL_ADDRESS_FAILURE",
        FAILED_CP_REQUIRED = 37 => "FAILED_CP_REQUIRED",
        TS_UNACCEPTABLE = 38 => "TS_UNACCEPTABLE",
        INVALID_SELECTORS = 39 => "INVALID_SELECTORS",
        UNACCEPTABLE_ADDRESSES = 40 => "UNACCEPTABLE_ADDRESSES",
        UNEXPECTED_NAT_DETECTED = 41 => "UNEXPECTED_NAT_DETECTED",
        USE_ASSIGNED_HOA = 42 => "USE_ASSIGNED_HoA",
        TEMPORARY_FAILURE = 43 => "TEMPORARY_FAILURE",
        CHILD_SA_NOT_FOUND = 44 => "CHILD_SA_NOT_FOUND",
        INVALID_GROUP_ID = 45 => "INVALID_GROUP_ID",
        AUTHORIZATION_FAILED = 46 => "AUTHORIZATION_FAILED",
        STATE_NOT_FOUND = 47 => "STATE_NOT_FOUND",
        TS_MAX_QUEUE = 48 => "TS_MAX_QUEUE",
        REGISTRATION_FAILED = 49 => "REGISTRATION_FAILED",
        INITIAL_CONTACT = 16384 => "INITIAL_CONTACT",
        SET_WINDOW_SIZE = 16385 => "SET_WINDOW_SIZE",
        ADDITIONAL_TS_POSSIBLE = 16386 => "ADDITIONAL_TS_POSSIBLE",
        IPCOMP_SUPPORTED = 16387 => "IPCOMP_SUPPORTED",
        NAT_DETECTION_SOURCE_IP = 16388 => "NAT_DETECTION_SOURCE_IP",
        NAT_DETECTION_DESTINATION_IP = 16389 => "NAT_DETECTION_DESTINATION_IP",
        COOKIE = 16390 => "COOKIE",
        USE_TRANSPORT_MODE = 16391 => "USE_TRANSPORT_MODE",
        HTTP_CERT_LOOKUP_SUPPORTED = 16392 => "HTTP_CERT_LOOKUP_SUPPORTED",
        REKEY_SA = 16393 => "REKEY_SA",
        ESP_TFC_PADDING_NOT_SUPPORTED = 16394 => "ESP_TFC_PADDING_NOT_SUPPORTED",
        NON_FIRST_FRAGMENTS_ALSO = 16395 => "NON_FIRST_FRAGMENTS_ALSO",
        MOBIKE_SUPPORTED = 16396 => "MOBIKE_SUPPORTED",
        ADDITIONAL_IP4_ADDRESS = 16397 => "ADDITIONAL_IP4_ADDRESS",
        ADDITIONAL_IP6_ADDRESS = 16398 => "ADDITIONAL_IP6_ADDRESS",
        NO_ADDITIONAL_ADDRESSES = 16399 => "NO_ADDITIONAL_ADDRESSES",
        UPDATE_SA_ADDRESSES = 16400 => "UPDATE_SA_ADDRESSES",
        COOKIE2 = 16401 => "COOKIE2",
        NO_NATS_ALLOWED = 16402 => "NO_NATS_ALLOWED",
        AUTH_LIFETIME = 16403 => "AUTH_LIFETIME",
        MULTIPLE_AUTH_SUPPORTED = 16404 => "MULTIPLE_AUTH_SUPPORTED",
        ANOTHER_AUTH_FOLLOWS = 16405 => "ANOTHER_AUTH_FOLLOWS",
        REDIRECT_SUPPORTED = 16406 => "REDIRECT_SUPPORTED",
        REDIRECT = 16407 => "REDIRECT",
        REDIRECTED_FROM = 16408 => "REDIRECTED_FROM",
        TICKET_LT_OPAQUE = 16409 => "TICKET_LT_OPAQUE",
        TICKET_REQUEST = 16410 => "TICKET_REQUEST",
        TICKET_ACK = 16411 => "TICKET_ACK",
        TICKET_NACK = 16412 => "TICKET_NACK",
        TICKET_OPAQUE = 16413 => "TICKET_OPAQUE",
        LINK_ID = 16414 => "LINK_ID",
        USE_WESP_MODE = 16415 => "USE_WESP_MODE",
        ROHC_SUPPORTED = 16416 => "ROHC_SUPPORTED",
        EAP_ONLY_AUTHENTICATION = 16417 => "EAP_ONLY_AUTHENTICATION",
        CHILDLESS_IKEV2_SUPPORTED = 16418 => "CHILDLESS_IKEV2_SUPPORTED",
        QUICK_CRASH_DETECTION = 16419 => "QUICK_CRASH_DETECTION",
        IKEV2_MESSAGE_ID_SYNC_SUPPORTED = 16420 => "IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
        IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED = 16421 => "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED",
        IKEV2_MESSAGE_ID_SYNC = 16422 => "IKEV2_MESSAGE_ID_SYNC",
        IPSEC_REPLAY_COUNTER_SYNC = 16423 => "IPSEC_REPLAY_COUNTER_SYNC",
        SECURE_PASSWORD_METHODS = 16424 => "SECURE_PASSWORD_METHODS",
        PSK_PERSIST = 16425 => "PSK_PERSIST",
        PSK_CONFIRM = 16426 => "PSK_CONFIRM",
        ERX_SUPPORTED = 16427 => "ERX_SUPPORTED",
        IFOM_CAPABILITY = 16428 => "IFOM_CAPABILITY",
        GROUP_SENDER = 16429 => "GROUP_SENDER",
        IKEV2_FRAGMENTATION_SUPPORTED = 16430 => "IKEV2_FRAGMENTATION_SUPPORTED",
        SIGNATURE_HASH_ALGORITHMS = 16431 => "SIGNATURE_HASH_ALGORITHMS",
        CLONE_IKE_SA_SUPPORTED = 16432 => "CLONE_IKE_SA_SUPPORTED",
        CLONE_IKE_SA = 16433 => "CLONE_IKE_SA",
        PUZZLE = 16434 => "PUZZLE",
        USE_PPK = 16435 => "USE_PPK",
        PPK_IDENTITY = 16436 => "PPK_IDENTITY",
        NO_PPK_AUTH = 16437 => "NO_PPK_AUTH",
        INTERMEDIATE_EXCHANGE_SUPPORTED = 16438 => "INTERMEDIATE_EXCHANGE_SUPPORTED",
        IP4_ALLOWED = 16439 => "IP4_ALLOWED",
        IP6_ALLOWED = 16440 => "IP6_ALLOWED",
        ADDITIONAL_KEY_EXCHANGE = 16441 => "ADDITIONAL_KEY_EXCHANGE",
        USE_AGGFRAG = 16442 => "USE_AGGFRAG",
        SUPPORTED_AUTH_METHODS = 16443 => "SUPPORTED_AUTH_METHODS",
        SA_RESOURCE_INFO = 16444 => "SA_RESOURCE_INFO",
        USE_PPK_INT = 16445 => "USE_PPK_INT",
        PPK_IDENTITY_KEY = 16446 => "PPK_IDENTITY_KEY",
        IKE_SA_INIT_FULL_TRANSCRIPT_AUTH = 16447 => "IKE_SA_INIT_FULL_TRANSCRIPT_AUTH",
    }
}

impl NotifyType {
    /// Whether the type is in the range of errors, known or not (RFC 7296 §3.10.1).
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 < 16384
    }

    /// Whether the type is a status.
    #[must_use]
    pub const fn is_status(self) -> bool {
        !self.is_error()
    }

    /// Whether the type is left to private use: 8192..=16383 for errors, 40960..=65535 for statuses.
    #[must_use]
    pub const fn is_private_use(self) -> bool {
        matches!(self.0, 8192..=16383 | 40960..=65535)
    }
}

newtype_enum! {
    /// The protocol a proposal, notify or deletion is about (RFC 7296 §3.3.1).
    pub struct ProtocolId(u8) {
        NONE = 0 => "none",
        IKE = 1 => "IKE",
        AH = 2 => "AH",
        ESP = 3 => "ESP",
        FC_ESP_HEADER = 4 => "FC_ESP_HEADER",
        FC_CT_AUTHENTICATION = 5 => "FC_CT_AUTHENTICATION",
        GIKE_UPDATE = 6 => "GIKE_UPDATE",
    }
}

newtype_enum! {
    /// The type of a transform attribute (RFC 7296 §3.3.5): fifteen bits on the wire.
    pub struct AttributeType(u16) {
        KEY_LENGTH = 14 => "Key Length",
    }
}

newtype_enum! {
    /// A compression of IPCOMP_SUPPORTED (RFC 7296 §3.10.1, RFC 3173).
    pub struct IpCompTransform(u8) {
        OUI = 1 => "IPCOMP_OUI",
        DEFLATE = 2 => "IPCOMP_DEFLATE",
        LZS = 3 => "IPCOMP_LZS",
        LZJH = 4 => "IPCOMP_LZJH",
    }
}

newtype_enum! {
    /// An EAP method (RFC 3748 §5).
    pub struct EapType(u8) {
        IDENTITY = 1 => "Identity",
        NOTIFICATION = 2 => "Notification",
        NAK = 3 => "Nak",
        MD5_CHALLENGE = 4 => "MD5-Challenge",
        GTC = 6 => "GTC",
        TLS = 13 => "TLS",
        SIM = 18 => "SIM",
        TTLS = 21 => "TTLS",
        AKA = 23 => "AKA",
        PEAP = 25 => "PEAP",
        MSCHAPV2 = 26 => "MSCHAPv2",
        MSCHAPV2_OLD = 29 => "MSCHAPv2 (old)",
        AKA_PRIME = 50 => "AKA'",
        EXPANDED = 254 => "Expanded",
    }
}
