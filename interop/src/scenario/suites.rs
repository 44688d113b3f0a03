//! Whether both sides mean the same algorithms: our proposal strings against strongSwan's listing.

use super::ensure;

/// Wants the peer's listing to name every algorithm of our proposal string.
pub(super) fn same(ours: &str, theirs: &str) -> Result<(), String> {
    for token in ours.split('-') {
        let name = listed(token).ok_or_else(|| format!("the peer's name of {token} is not known here"))?;
        ensure(theirs.split(['/', ':']).any(|part| part == name), || {
            format!("we use {ours}, the peer {theirs}")
        })?;
    }
    Ok(())
}

/// strongSwan's name of an algorithm in its listing.
fn listed(token: &str) -> Option<String> {
    let fixed = match token {
        "chacha20poly1305" => "CHACHA20_POLY1305",
        "null" => "NULL",
        "3des" => "3DES_CBC",
        "md5" => "HMAC_MD5_96",
        "sha1" => "HMAC_SHA1_96",
        "sha256" => "HMAC_SHA2_256_128",
        "sha384" => "HMAC_SHA2_384_192",
        "sha512" => "HMAC_SHA2_512_256",
        "aesxcbc" => "AES_XCBC_96",
        "aescmac" => "AES_CMAC_96",
        "prfmd5" => "PRF_HMAC_MD5",
        "prfsha1" => "PRF_HMAC_SHA1",
        "prfsha256" => "PRF_HMAC_SHA2_256",
        "prfsha384" => "PRF_HMAC_SHA2_384",
        "prfsha512" => "PRF_HMAC_SHA2_512",
        "prfaesxcbc" => "PRF_AES128_XCBC",
        "prfaescmac" => "PRF_AES128_CMAC",
        "x25519" => "CURVE_25519",
        "x448" | "curve448" => "CURVE_448",
        "ecp256" => "ECP_256",
        "ecp384" => "ECP_384",
        "ecp521" => "ECP_521",
        "ecp256bp" => "ECP_256_BP",
        "ecp384bp" => "ECP_384_BP",
        "ecp512bp" => "ECP_512_BP",
        "modp1024s160" => "MODP_1024_160",
        "modp2048s224" => "MODP_2048_224",
        "modp2048s256" => "MODP_2048_256",
        _ => "",
    };
    if !fixed.is_empty() {
        return Some(fixed.to_owned());
    }
    if let Some(bits) = token.strip_prefix("modp") {
        return Some(format!("MODP_{bits}"));
    }
    let (cipher, rest) = match token.strip_prefix("aes") {
        Some(rest) => ("AES", rest),
        None => ("CAMELLIA", token.strip_prefix("camellia")?),
    };
    let (bits, mode) = rest.split_at_checked(3)?;
    Some(match mode {
        "" => format!("{cipher}_CBC-{bits}"),
        "ctr" => format!("{cipher}_CTR-{bits}"),
        mode if mode.starts_with("gcm") => format!("{cipher}_GCM_{}-{bits}", &mode[3..]),
        mode if mode.starts_with("ccm") => format!("{cipher}_CCM_{}-{bits}", &mode[3..]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_are_compared() {
        let listing = "AES_GCM_16-256/PRF_HMAC_SHA2_384/MODP_3072";
        assert_eq!(same("aes256gcm16-prfsha384-modp3072", listing), Ok(()));
        assert!(same("aes128gcm16-prfsha384-modp3072", listing).is_err());
        assert_eq!(same("camellia192-sha256", "ESP:CAMELLIA_CBC-192/HMAC_SHA2_256_128"), Ok(()));
        assert!(same("rot13", listing).is_err_and(|reason| reason.contains("not known")));
    }
}
