//! Vendor ids known by name (RFC 7296 §3.12).
//!
//! Most are the MD5 of a text; some go on with a version. What the table does not know is text or octets.

/// A vendor id that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VendorName<'a> {
    /// What it stands for.
    pub name: &'static str,
    /// What follows the known octets, such as a version.
    pub rest: &'a [u8],
}

/// Whether octets may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    Prefix,
}
use Form::{Prefix, Whole};

const fn md5(hash: u128) -> [u8; 16] {
    hash.to_be_bytes()
}

macro_rules! vendors {
    ($($form:ident $octets:expr => $name:literal,)*) => {
        const VENDORS: &[(Form, &[u8], &str)] = &[$(($form, &$octets, $name),)*];
    };
}

vendors! {
    Whole md5(0x882fe56d_6fd20dbc_2251613b_2ebe5beb) => "strongSwan",
    Whole md5(0x4a131c81_07035845_5c5728f2_0e95452f) => "RFC 3947 NAT-T",
    Whole md5(0x90cb8091_3ebb696e_086381b5_ec427b1f) => "draft-ietf-ipsec-nat-t-ike-02\\n",
    Whole md5(0xcd604643_35df21f8_7cfdb2fc_68b6a448) => "draft-ietf-ipsec-nat-t-ike-02",
    Whole md5(0x7d9419a6_5310ca6f_2c179d92_15529d56) => "draft-ietf-ipsec-nat-t-ike-03",
    Whole md5(0x4485152d_18b6bbcd_0be8a846_9579ddcc) => "draft-ietf-ipsec-nat-t-ike-00",
    Whole md5(0x16f6ca16_e4a4066d_83821a0f_0aeaa862) => "draft-ietf-ipsec-nat-t-ike-01",
    Whole md5(0x9909b64e_ed937c65_73de52ac_e952fa6b) => "draft-ietf-ipsec-nat-t-ike-04",
    Whole md5(0x80d0bb3d_ef54565e_e84645d4_c85ce3ee) => "draft-ietf-ipsec-nat-t-ike-05",
    Whole md5(0x4d1e0e13_6deafa34_c4f3ea9f_02ec7285) => "draft-ietf-ipsec-nat-t-ike-06",
    Whole md5(0x439b59f8_ba676c4c_7737ae22_eab8f582) => "draft-ietf-ipsec-nat-t-ike-07",
    Whole md5(0x8f8d8382_6d246b6f_c7a8a6a4_28c11de8) => "draft-ietf-ipsec-nat-t-ike-08",
    Whole md5(0x4df37928_e9fc4fd1_b3262170_d515c662) => "draft-ietf-ipsec-nat-t-ike",
    Whole md5(0x27bab5dc_01ea0760_ea4e3190_ac27c0d0) => "draft-stenberg-ipsec-nat-traversal-01",
    Whole md5(0x6105c422_e76847e4_3f968480_1292aecd) => "draft-stenberg-ipsec-nat-traversal-02",
    Prefix md5(0x4048b7d5_6ebce885_25e7de7f_00d6c2d3) => "FRAGMENTATION",
    Prefix md5(0x1e2b5169_05991c7d_7c96fcbf_b587e461) => "MS NT5 ISAKMPOAKLEY",
    Whole md5(0x26244d38_eddb61b3_172a36e3_d0cfb819) => "Vid-Initial-Contact",
    Whole md5(0x214ca4fa_ffa7f32d_6748e530_3395ae83) => "MS-MamieExists",
    Whole md5(0xfb1de3cd_f341b7ea_16b7e5be_0855f120) => "MS-Negotiation Discovery Capable",
    Whole md5(0xe3a5966a_76379fe7_07228231_e5ce8652) => "IKE CGA version 1",
    Whole md5(0x621b04bb_09882ac1_e15935fe_fa24aeee) => "GSSAPI",
    Whole md5(0xad2c0dd0_b9c32083_ccba25b8_861ec455) => "A GSS-API Authentication Method for IKE",
    // Text with a version of two octets behind fourteen of its hash, and a hash cut to eight.
    Prefix [0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9, 0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57]
        => "Dead Peer Detection (RFC 3706)",
    Prefix [0x12, 0xf5, 0xf2, 0x8c, 0x45, 0x71, 0x68, 0xa9, 0x70, 0x2d, 0x9f, 0xe2, 0x74, 0xcc]
        => "CISCO-UNITY",
    Whole [0x09, 0x00, 0x26, 0x89, 0xdf, 0xd6, 0xb7, 0x12] => "XAUTH",
    Prefix *b"HeartBeat_Notify" => "HeartBeat_Notify",
    Prefix *b"CISCO-DELETE-REASON" => "CISCO-DELETE-REASON",
    Prefix *b"CISCO(COPYRIGHT)" => "CISCO(COPYRIGHT)",
    Prefix *b"CISCO-GRE-MODE" => "CISCO-GRE-MODE",
    Prefix *b"CISCO-DYNAMIC-ROUTE" => "CISCO-DYNAMIC-ROUTE",
    Prefix *b"CISCOVPN-REV-" => "CISCOVPN-REV",
    Prefix *b"FLEXVPN-SUPPORTED" => "FLEXVPN-SUPPORTED",
    Prefix *b"Opportunistic IPsec" => "Opportunistic IPsec",
    Prefix *b"OE-Libreswan" => "Libreswan",
}

/// The name of a vendor id, where it is known.
#[must_use]
pub fn vendor_name(vendor_id: &[u8]) -> Option<VendorName<'_>> {
    VENDORS.iter().find_map(|&(form, octets, name)| {
        let rest = vendor_id.strip_prefix(octets)?;
        (form == Prefix || rest.is_empty()).then_some(VendorName { name, rest })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use md5::{Digest, Md5};

    #[test]
    fn hashes_of_their_texts() {
        let mut hashed = 0;
        for (_, octets, name) in VENDORS.iter().filter(|(_, octets, _)| octets.len() == 16) {
            let text = match *name {
                "RFC 3947 NAT-T" => "RFC 3947",
                "draft-ietf-ipsec-nat-t-ike-02\\n" => "draft-ietf-ipsec-nat-t-ike-02\n",
                name if name.as_bytes() == *octets => continue,
                name => name,
            };
            assert_eq!(&Md5::digest(text)[..], *octets, "{name}");
            assert_eq!(vendor_name(octets).map(|vendor| vendor.name), Some(*name));
            hashed += 1;
        }
        assert_eq!(hashed, 23);
        assert_eq!(
            &Md5::digest("CISCO-UNITY")[..14],
            VENDORS.iter().find(|v| v.2 == "CISCO-UNITY").unwrap().1
        );
        let xauth = Md5::digest("draft-ietf-ipsra-isakmp-xauth-06.txt");
        assert_eq!(vendor_name(&xauth[..8]).map(|vendor| vendor.name), Some("XAUTH"));
    }

    #[test]
    fn versions_and_strangers() {
        let windows = [&Md5::digest("MS NT5 ISAKMPOAKLEY")[..], &[0, 0, 0, 9]].concat();
        assert_eq!(
            vendor_name(&windows),
            Some(VendorName { name: "MS NT5 ISAKMPOAKLEY", rest: &[0, 0, 0, 9] })
        );
        let longer = [&Md5::digest("strongSwan")[..], &[0]].concat();
        assert_eq!(vendor_name(&longer), None);
        assert_eq!(vendor_name(&[]), None);
    }
}
