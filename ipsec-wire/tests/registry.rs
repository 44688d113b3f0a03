//! Every code point of the IKEv2 registries under its name.
//!
//! The numbers stand here a second time, taken from IANA's "Internet Key Exchange Version 2 (IKEv2)
//! Parameters" and the RFCs that the registry cites, not from the code under test.

use ipsec_wire::IpProtocol;
use ipsec_wire::ike::*;

/// Whether what people see is the constant's name, letters and digits alone compared; in front may stand what the registry
/// puts there ("ENCR_", "ID_").
fn says(shown: &str, constant: &str) -> bool {
    let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "").to_ascii_uppercase();
    plain(shown).ends_with(&plain(constant))
}

/// Compares a registry with a table: the same numbers, no more and no fewer, each under its constant. Where the registry's
/// own name is another, it stands in the table.
macro_rules! code_points {
    ($test:ident: $registry:ident { $($number:literal $name:ident $(= $text:literal)?)* }) => {
        #[test]
        fn $test() {
            let table = [$( ($number, $registry::$name, stringify!($name), [$($text,)? ""][0]) ),*];
            for (number, constant, name, text) in table {
                assert_eq!(constant.value(), number);
                assert_eq!($registry::from(number), constant);
                let shown = constant.name().unwrap_or_default();
                assert!(shown == text || text.is_empty() && says(shown, name), "{number}: {shown}");
            }
            let numbers: Vec<_> = table.iter().map(|(number, ..)| *number).collect();
            let known: Vec<_> = $registry::KNOWN.iter().map(|(constant, _)| constant.value()).collect();
            assert_eq!(known, numbers);
            let mut names: Vec<_> = $registry::KNOWN.iter().map(|(_, name)| *name).collect();
            names.sort_unstable();
            names.dedup();
            assert!(names.len() == table.len() || stringify!($registry) == "ExchangeType");
            for number in (0..=u8::MAX).map(|n| n.into()).filter(|n| !numbers.contains(n)) {
                let unknown = $registry(number);
                assert_eq!(unknown.name(), None);
                assert_eq!(unknown.to_string(), format!("{}({number})", stringify!($registry)));
            }
        }
    };
}

code_points! { exchange_type: ExchangeType {
    1 BASE 2 IDENTITY_PROTECTION 3 AUTHENTICATION_ONLY 4 AGGRESSIVE 5 INFORMATIONAL_V1 = "Informational" 6 TRANSACTION
    32 QUICK_MODE 33 NEW_GROUP_MODE 34 IKE_SA_INIT 35 IKE_AUTH 36 CREATE_CHILD_SA 37 INFORMATIONAL
    38 IKE_SESSION_RESUME 39 GSA_AUTH 40 GSA_REGISTRATION 41 GSA_REKEY 42 GSA_INBAND_REKEY
    43 IKE_INTERMEDIATE 44 IKE_FOLLOWUP_KE
} }

code_points! { payload_type: PayloadType {
    0 NONE 33 SA 34 KE 35 IDI 36 IDR 37 CERT 38 CERTREQ 39 AUTH 40 NONCE 41 NOTIFY = "N" 42 DELETE = "D" 43 VENDOR = "V"
    44 TSI 45 TSR 46 SK 47 CP 48 EAP 49 GSPM 50 IDG 51 GSA 52 KD 53 SKF 54 PS
} }

code_points! { transform_type: TransformType {
    1 ENCR 2 PRF 3 INTEG 4 KE 5 SN 6 ADDKE1 7 ADDKE2 8 ADDKE3 9 ADDKE4 10 ADDKE5 11 ADDKE6 12 ADDKE7 13 KWA
    14 GCAUTH
} }

code_points! { encr_id: EncrId {
    1 DES_IV64 2 DES 3 TRIPLE_DES = "ENCR_3DES" 4 RC5 5 IDEA 6 CAST 7 BLOWFISH 8 TRIPLE_IDEA = "ENCR_3IDEA" 9 DES_IV32 11 NULL 12 AES_CBC
    13 AES_CTR 14 AES_CCM_8 15 AES_CCM_12 16 AES_CCM_16 18 AES_GCM_8 19 AES_GCM_12 20 AES_GCM_16
    21 NULL_AUTH_AES_GMAC 23 CAMELLIA_CBC 24 CAMELLIA_CTR 25 CAMELLIA_CCM_8 26 CAMELLIA_CCM_12 27 CAMELLIA_CCM_16
    28 CHACHA20_POLY1305 29 AES_CCM_8_IIV 30 AES_GCM_16_IIV 31 CHACHA20_POLY1305_IIV 32 KUZNYECHIK_MGM_KTREE
    33 MAGMA_MGM_KTREE 34 KUZNYECHIK_MGM_MAC_KTREE 35 MAGMA_MGM_MAC_KTREE
} }

code_points! { prf_id: PrfId {
    1 HMAC_MD5 2 HMAC_SHA1 3 HMAC_TIGER 4 AES128_XCBC 5 HMAC_SHA2_256 6 HMAC_SHA2_384 7 HMAC_SHA2_512
    8 AES128_CMAC 9 HMAC_STREEBOG_512
} }

code_points! { integ_id: IntegId {
    0 NONE 1 HMAC_MD5_96 2 HMAC_SHA1_96 3 DES_MAC 4 KPDK_MD5 5 AES_XCBC_96 6 HMAC_MD5_128 7 HMAC_SHA1_160
    8 AES_CMAC_96 9 AES_128_GMAC 10 AES_192_GMAC 11 AES_256_GMAC 12 HMAC_SHA2_256_128 13 HMAC_SHA2_384_192
    14 HMAC_SHA2_512_256
} }

code_points! { ke_id: KeId {
    0 NONE 1 MODP_768 2 MODP_1024 5 MODP_1536 14 MODP_2048 15 MODP_3072 16 MODP_4096 17 MODP_6144
    18 MODP_8192 19 ECP_256 20 ECP_384 21 ECP_521 22 MODP_1024_160 23 MODP_2048_224 24 MODP_2048_256
    25 ECP_192 26 ECP_224 27 BRAINPOOL_P224R1 28 BRAINPOOL_P256R1 29 BRAINPOOL_P384R1 30 BRAINPOOL_P512R1
    31 CURVE25519 32 CURVE448 33 GOST3410_2012_256 34 GOST3410_2012_512 35 ML_KEM_512 36 ML_KEM_768 37 ML_KEM_1024
} }

code_points! { sn_id: SnId {
    0 SEQUENTIAL_32 = "32-bit sequential" 1 SEQUENTIAL_64 = "64-bit sequential (ESN)" 2 UNSPECIFIED_32 = "32-bit unspecified"
} }

code_points! { auth_method: AuthMethod {
    1 RSA_SIGNATURE = "RSA Digital Signature" 2 SHARED_KEY_MIC = "Shared Key Message Integrity Code" 3 DSS_SIGNATURE = "DSS Digital Signature" 9 ECDSA_256 = "ECDSA with SHA-256 on P-256" 10 ECDSA_384 = "ECDSA with SHA-384 on P-384" 11 ECDSA_521 = "ECDSA with SHA-512 on P-521"
    12 SECURE_PASSWORD 13 NULL = "NULL Authentication" 14 DIGITAL_SIGNATURE
} }

code_points! { hash_id: HashId {
    1 SHA1 2 SHA2_256 3 SHA2_384 4 SHA2_512 5 IDENTITY 6 STREEBOG_256 7 STREEBOG_512
} }

code_points! { id_type: IdType {
    1 IPV4_ADDR 2 FQDN 3 RFC822_ADDR 4 IPV4_ADDR_SUBNET 5 IPV6_ADDR 6 IPV6_ADDR_SUBNET 7 IPV4_ADDR_RANGE
    8 IPV6_ADDR_RANGE 9 DER_ASN1_DN 10 DER_ASN1_GN 11 KEY_ID 12 FC_NAME 13 NULL
} }

code_points! { cert_encoding: CertEncoding {
    1 PKCS7_X509 = "PKCS #7 wrapped X.509 certificate" 2 PGP = "PGP Certificate" 3 DNS_SIGNED_KEY 4 X509_SIGNATURE = "X.509 Certificate - Signature" 6 KERBEROS_TOKEN 7 CRL 8 ARL 9 SPKI = "SPKI Certificate"
    10 X509_ATTRIBUTE = "X.509 Certificate - Attribute" 11 RAW_RSA_KEY = "Raw RSA Key (deprecated)" 12 HASH_AND_URL_X509 = "Hash and URL of X.509 certificate" 13 HASH_AND_URL_BUNDLE = "Hash and URL of X.509 bundle" 14 OCSP_CONTENT
    15 RAW_PUBLIC_KEY
} }

code_points! { ts_type: TsType {
    7 IPV4_ADDR_RANGE 8 IPV6_ADDR_RANGE 9 FC_ADDR_RANGE 10 SECLABEL
} }

code_points! { cfg_type: CfgType {
    1 REQUEST 2 REPLY 3 SET 4 ACK
} }

code_points! { cfg_attribute_type: CfgAttributeType {
    1 INTERNAL_IP4_ADDRESS 2 INTERNAL_IP4_NETMASK 3 INTERNAL_IP4_DNS 4 INTERNAL_IP4_NBNS
    5 INTERNAL_ADDRESS_EXPIRY = "INTERNAL_ADDRESS_EXPIRY (retired)" 6 INTERNAL_IP4_DHCP 7 APPLICATION_VERSION 8 INTERNAL_IP6_ADDRESS
    10 INTERNAL_IP6_DNS 12 INTERNAL_IP6_DHCP 13 INTERNAL_IP4_SUBNET 14 SUPPORTED_ATTRIBUTES
    15 INTERNAL_IP6_SUBNET 16 MIP6_HOME_PREFIX 17 INTERNAL_IP6_LINK 18 INTERNAL_IP6_PREFIX
    19 HOME_AGENT_ADDRESS 20 P_CSCF_IP4_ADDRESS 21 P_CSCF_IP6_ADDRESS 22 FTT_KAT
    23 EXTERNAL_SOURCE_IP4_NAT_INFO 24 TIMEOUT_PERIOD_FOR_LIVENESS_CHECK 25 INTERNAL_DNS_DOMAIN
    26 INTERNAL_DNSSEC_TA 27 ENCDNS_IP4 28 ENCDNS_IP6 29 ENCDNS_DIGEST_INFO
} }

code_points! { notify_type: NotifyType {
    1 UNSUPPORTED_CRITICAL_PAYLOAD 4 INVALID_IKE_SPI 5 INVALID_MAJOR_VERSION 7 INVALID_SYNTAX
    9 INVALID_MESSAGE_ID 11 INVALID_SPI 14 NO_PROPOSAL_CHOSEN 17 INVALID_KE_PAYLOAD 24 AUTHENTICATION_FAILED
    34 SINGLE_PAIR_REQUIRED 35 NO_ADDITIONAL_SAS 36 INTERNAL_ADDRESS_FAILURE 37 FAILED_CP_REQUIRED
    38 TS_UNACCEPTABLE 39 INVALID_SELECTORS 40 UNACCEPTABLE_ADDRESSES 41 UNEXPECTED_NAT_DETECTED
    42 USE_ASSIGNED_HOA 43 TEMPORARY_FAILURE 44 CHILD_SA_NOT_FOUND 45 INVALID_GROUP_ID
    46 AUTHORIZATION_FAILED 47 STATE_NOT_FOUND 48 TS_MAX_QUEUE 49 REGISTRATION_FAILED 16384 INITIAL_CONTACT
    16385 SET_WINDOW_SIZE 16386 ADDITIONAL_TS_POSSIBLE 16387 IPCOMP_SUPPORTED 16388 NAT_DETECTION_SOURCE_IP
    16389 NAT_DETECTION_DESTINATION_IP 16390 COOKIE 16391 USE_TRANSPORT_MODE
    16392 HTTP_CERT_LOOKUP_SUPPORTED 16393 REKEY_SA 16394 ESP_TFC_PADDING_NOT_SUPPORTED
    16395 NON_FIRST_FRAGMENTS_ALSO 16396 MOBIKE_SUPPORTED 16397 ADDITIONAL_IP4_ADDRESS
    16398 ADDITIONAL_IP6_ADDRESS 16399 NO_ADDITIONAL_ADDRESSES 16400 UPDATE_SA_ADDRESSES 16401 COOKIE2
    16402 NO_NATS_ALLOWED 16403 AUTH_LIFETIME 16404 MULTIPLE_AUTH_SUPPORTED 16405 ANOTHER_AUTH_FOLLOWS
    16406 REDIRECT_SUPPORTED 16407 REDIRECT 16408 REDIRECTED_FROM 16409 TICKET_LT_OPAQUE
    16410 TICKET_REQUEST 16411 TICKET_ACK 16412 TICKET_NACK 16413 TICKET_OPAQUE 16414 LINK_ID
    16415 USE_WESP_MODE 16416 ROHC_SUPPORTED 16417 EAP_ONLY_AUTHENTICATION 16418 CHILDLESS_IKEV2_SUPPORTED
    16419 QUICK_CRASH_DETECTION 16420 IKEV2_MESSAGE_ID_SYNC_SUPPORTED
    16421 IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED 16422 IKEV2_MESSAGE_ID_SYNC 16423 IPSEC_REPLAY_COUNTER_SYNC
    16424 SECURE_PASSWORD_METHODS 16425 PSK_PERSIST 16426 PSK_CONFIRM 16427 ERX_SUPPORTED
    16428 IFOM_CAPABILITY 16429 GROUP_SENDER 16430 IKEV2_FRAGMENTATION_SUPPORTED
    16431 SIGNATURE_HASH_ALGORITHMS 16432 CLONE_IKE_SA_SUPPORTED 16433 CLONE_IKE_SA 16434 PUZZLE
    16435 USE_PPK 16436 PPK_IDENTITY 16437 NO_PPK_AUTH 16438 INTERMEDIATE_EXCHANGE_SUPPORTED
    16439 IP4_ALLOWED 16440 IP6_ALLOWED 16441 ADDITIONAL_KEY_EXCHANGE 16442 USE_AGGFRAG
    16443 SUPPORTED_AUTH_METHODS 16444 SA_RESOURCE_INFO 16445 USE_PPK_INT 16446 PPK_IDENTITY_KEY
    16447 IKE_SA_INIT_FULL_TRANSCRIPT_AUTH
} }

code_points! { protocol_id: ProtocolId {
    0 NONE 1 IKE 2 AH 3 ESP 4 FC_ESP_HEADER 5 FC_CT_AUTHENTICATION 6 GIKE_UPDATE
} }

code_points! { ip_comp_transform: IpCompTransform {
    1 OUI 2 DEFLATE 3 LZS 4 LZJH
} }

code_points! { attribute_type: AttributeType {
    14 KEY_LENGTH
} }

code_points! { secure_password_method: SecurePasswordMethod {
    1 PACE 2 AUG_PAKE 3 SECURE_PSK = "Secure PSK Authentication"
} }

code_points! { eap_type: EapType {
    1 IDENTITY 2 NOTIFICATION 3 NAK 4 MD5_CHALLENGE 6 GTC 13 TLS 18 SIM 21 TTLS 23 AKA 25 PEAP 26 MSCHAPV2
    29 MSCHAPV2_OLD = "MSCHAPv2 (old)" 50 AKA_PRIME = "AKA'" 254 EXPANDED
} }

#[test]
fn notify_ranges() {
    assert!(NotifyType::REGISTRATION_FAILED.is_error() && !NotifyType::INITIAL_CONTACT.is_error());
    for (number, error, private) in [
        (8191, true, false),
        (8192, true, true),
        (16383, true, true),
        (16384, false, false),
        (40959, false, false),
        (40960, false, true),
        (65535, false, true),
    ] {
        let notify = NotifyType(number);
        assert_eq!((notify.is_error(), notify.is_private_use()), (error, private), "{number}");
        assert_eq!(notify.is_status(), !error);
    }
}

#[test]
fn transforms_are_named_by_their_type() {
    assert_eq!(TransformType::ENCR.id_name(20), Some("ENCR_AES_GCM_16"));
    assert_eq!(TransformType::ADDKE7.id_name(36), Some("ML_KEM_768"));
    assert_eq!(TransformType::SN.id_name(3), None);
    assert_eq!(TransformType(99).id_name(1), None);
    let exchanges = (0..=20).map(TransformType).filter(|kind| kind.is_key_exchange()).map(|kind| kind.0);
    assert!(exchanges.eq([4, 6, 7, 8, 9, 10, 11, 12]));
}

#[test]
fn ip_protocols() {
    // IANA "Protocol Numbers".
    let numbers = [
        (0, IpProtocol::HOP_BY_HOP),
        (1, IpProtocol::ICMP),
        (4, IpProtocol::IPV4),
        (6, IpProtocol::TCP),
        (17, IpProtocol::UDP),
        (41, IpProtocol::IPV6),
        (43, IpProtocol::ROUTING),
        (44, IpProtocol::FRAGMENT),
        (50, IpProtocol::ESP),
        (51, IpProtocol::AH),
        (58, IpProtocol::ICMPV6),
        (59, IpProtocol::NO_NEXT_HEADER),
        (60, IpProtocol::DEST_OPTS),
        (89, IpProtocol::OSPF),
        (108, IpProtocol::IPCOMP),
        (132, IpProtocol::SCTP),
        (135, IpProtocol::MOBILITY),
        (136, IpProtocol::UDP_LITE),
        (141, IpProtocol::WESP),
        (144, IpProtocol::AGGFRAG),
    ];
    for (number, protocol) in numbers {
        assert_eq!(protocol.value(), number);
    }
}
