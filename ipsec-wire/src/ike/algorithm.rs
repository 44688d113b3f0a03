//! The AlgorithmIdentifier in front of a Digital Signature (RFC 7427 §3, RFC 5280 §4.1.1.2), as DER.

use alloc::vec::Vec;

use nom::bytes::complete::take;
use nom::number::complete::u8 as octet;
use nom::{IResult, Parser};

use super::auth::{Auth, AuthView};
use super::registry::AuthMethod;
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::base;

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// The algorithms that are known by name: object identifier, name.
const NAMES: &[(&[u8], &str)] = &[
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05], "sha1WithRSAEncryption"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b], "sha256WithRSAEncryption"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c], "sha384WithRSAEncryption"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d], "sha512WithRSAEncryption"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a], "RSASSA-PSS"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x03], "dsa-with-sha1"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x02], "dsa-with-sha256"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01], "ecdsa-with-sha1"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], "ecdsa-with-sha256"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], "ecdsa-with-sha384"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], "ecdsa-with-sha512"),
    (&[0x2b, 0x65, 0x70], "Ed25519"),
    (&[0x2b, 0x65, 0x71], "Ed448"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11], "ML-DSA-44"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12], "ML-DSA-65"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13], "ML-DSA-87"),
];

/// Hash functions as RSASSA-PSS names them: object identifier, name.
const HASHES: &[(&[u8], &str)] = &[
    (&[0x2b, 0x0e, 0x03, 0x02, 0x1a], "SHA-1"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01], "SHA-256"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02], "SHA-384"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03], "SHA-512"),
];

fn named(names: &[(&[u8], &'static str)], oid: &[u8]) -> Option<&'static str> {
    names.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

/// A DER element: tag and contents. Lengths of up to two octets, in their shortest form.
fn element(input: &[u8]) -> IResult<&[u8], (u8, &[u8])> {
    let (input, tag) = octet(input)?;
    let (input, length) = octet(input)?;
    let (input, length) = match length {
        0..=0x7f => (input, usize::from(length)),
        0x81 => {
            nom::combinator::verify(octet, |n| *n >= 0x80).parse(input).map(|(i, n)| (i, usize::from(n)))?
        }
        0x82 => nom::combinator::verify(nom::number::complete::be_u16, |n| *n > 0xff)
            .parse(input)
            .map(|(i, n)| (i, usize::from(n)))?,
        _ => return Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::LengthValue))),
    };
    let (input, contents) = take(length)(input)?;
    Ok((input, (tag, contents)))
}

/// The contents of the first element, where it has a tag.
fn inside(input: &[u8], tag: u8) -> Option<&[u8]> {
    element(input).ok().and_then(|(_, (found, contents))| (found == tag).then_some(contents))
}

/// A signature algorithm with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlgorithmIdentifier<'a> {
    /// The whole as DER: what simple implementations compare (RFC 7427 §3).
    pub der: &'a [u8],
    /// The contents of the object identifier.
    pub oid: &'a [u8],
    /// The parameters as DER; empty where there are none.
    pub parameters: &'a [u8],
}

impl<'a> AlgorithmIdentifier<'a> {
    /// Reads one that fills its octets, which stand at an offset of a message.
    ///
    /// # Errors
    /// `BadLength` for octets that are not a SEQUENCE that starts with an OBJECT IDENTIFIER and fills them.
    pub fn parse(der: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        Self::read(der).ok_or(ParseErrorKind::BadLength.at(offset))
    }

    fn read(der: &'a [u8]) -> Option<Self> {
        let (rest, (tag, contents)) = element(der).ok()?;
        if tag != SEQUENCE || !rest.is_empty() {
            return None;
        }
        let (parameters, (tag, oid)) = element(contents).ok()?;
        (tag == OBJECT_IDENTIFIER).then_some(Self { der, oid, parameters })
    }

    /// The algorithm's name, where it is known.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        named(NAMES, self.oid)
    }

    /// The hash of RSASSA-PSS, where it is known; without parameters it is SHA-1 (RFC 4055 §3.1).
    #[must_use]
    pub fn pss_hash(&self) -> Option<&'static str> {
        if self.name() != Some("RSASSA-PSS") {
            return None;
        }
        let Some(hash) = inside(inside(self.parameters, SEQUENCE)?, 0xa0) else { return Some("SHA-1") };
        named(HASHES, inside(inside(hash, SEQUENCE)?, OBJECT_IDENTIFIER)?)
    }
}

/// The data of an AUTH payload by the Digital Signature method, in its two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitalSignature<'a> {
    /// The algorithm's DER, up to 255 octets, whether it is readable or not.
    pub algorithm: &'a [u8],
    /// The signature value.
    pub signature: &'a [u8],
}

impl<'a> DigitalSignature<'a> {
    /// Splits the data of an AUTH payload, which stands at an offset of its message.
    ///
    /// # Errors
    /// `Truncated` when the algorithm does not fit.
    pub fn parse(data: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let truncated = ParseErrorKind::Truncated.at(base(offset));
        let (&length, rest) = data.split_first().ok_or(truncated)?;
        let (algorithm, signature) = rest.split_at_checked(usize::from(length)).ok_or(truncated)?;
        Ok(Self { algorithm, signature })
    }

    /// The algorithm, where its DER is readable.
    #[must_use]
    pub fn algorithm_identifier(&self) -> Option<AlgorithmIdentifier<'a>> {
        AlgorithmIdentifier::parse(self.algorithm, 0).ok()
    }
}

impl<'a> AuthView<'a> {
    /// The two parts of a proof by the Digital Signature method; `None` for other methods and where the
    /// algorithm does not fit.
    #[must_use]
    pub fn digital_signature(&self) -> Option<DigitalSignature<'a>> {
        let is_signature = self.method == AuthMethod::DIGITAL_SIGNATURE;
        is_signature.then(|| DigitalSignature::parse(self.data, 0).ok()).flatten()
    }
}

impl Auth {
    /// A proof by the Digital Signature method: the algorithm's DER and the signature. `None` for DER of
    /// more than 255 octets, which has no encoding.
    #[must_use]
    pub fn digital_signature(algorithm: &[u8], signature: &[u8]) -> Option<Self> {
        let length = u8::try_from(algorithm.len()).ok()?;
        let data: Vec<u8> = [&[length], algorithm, signature].concat();
        Some(Self::new(AuthMethod::DIGITAL_SIGNATURE, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    /// RFC 7427 appendix A, RFC 8420 appendix A.
    const LISTED: &[(&str, &str, Option<&str>)] = &[
        ("300d06092a864886f70d0101050500", "sha1WithRSAEncryption", None),
        ("300d06092a864886f70d01010b0500", "sha256WithRSAEncryption", None),
        ("300d06092a864886f70d01010c0500", "sha384WithRSAEncryption", None),
        ("300d06092a864886f70d01010d0500", "sha512WithRSAEncryption", None),
        ("300906072a8648ce380403", "dsa-with-sha1", None),
        ("300b0609608648016503040302", "dsa-with-sha256", None),
        ("300906072a8648ce3d0401", "ecdsa-with-sha1", None),
        ("300a06082a8648ce3d040302", "ecdsa-with-sha256", None),
        ("300a06082a8648ce3d040303", "ecdsa-with-sha384", None),
        ("300a06082a8648ce3d040304", "ecdsa-with-sha512", None),
        ("300d06092a864886f70d01010a3000", "RSASSA-PSS", Some("SHA-1")),
        (
            "303e06092a864886f70d01010a3031a00b300906052b0e03021a0500a118301606092a864886f70d010108300906052b\
             0e03021a0500a203020114a303020101",
            "RSASSA-PSS",
            Some("SHA-1"),
        ),
        (
            "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d01010830\
             0d06096086480165030402010500a203020120a303020101",
            "RSASSA-PSS",
            Some("SHA-256"),
        ),
        ("300506032b6570", "Ed25519", None),
        ("300506032b6571", "Ed448", None),
    ];

    #[test]
    fn the_objects_of_rfc_7427_and_rfc_8420() {
        for (der, name, hash) in LISTED {
            let der = hex::decode(der).unwrap();
            let algorithm = AlgorithmIdentifier::parse(&der, 0).unwrap();
            assert_eq!((algorithm.name(), algorithm.pss_hash()), (Some(*name), *hash));
            let auth = Auth::digital_signature(&der, b"signature").unwrap();
            let split = DigitalSignature::parse(&auth.data, 0).unwrap();
            assert_eq!((split.algorithm_identifier(), split.signature), (Some(algorithm), &b"signature"[..]));
            for cut in 0..der.len() {
                assert!(AlgorithmIdentifier::parse(&der[..cut], 9).is_err());
            }
            let longer = [&der[..], &[0]].concat();
            assert_eq!(AlgorithmIdentifier::parse(&longer, 9), Err(ParseErrorKind::BadLength.at(9)));
        }
    }

    #[test]
    fn what_is_not_der_is_refused() {
        // A length that is not in its shortest form, an indefinite one, and another type.
        for bad in ["30810506032b6570", "308006032b6570", "310506032b6570", "300502032b6570"] {
            assert!(AlgorithmIdentifier::parse(&hex::decode(bad).unwrap(), 0).is_err(), "{bad}");
        }
        assert_eq!(DigitalSignature::parse(&[3, 1, 2], 5), Err(ParseErrorKind::Truncated.at(5)));
        assert_eq!(Auth::digital_signature(&[0; 256], &[]), None);
        let long = hex::decode(format!("3082010506032b6570{}", "00".repeat(256))).unwrap();
        assert_eq!(AlgorithmIdentifier::parse(&long, 0).map(|a| a.parameters.len()), Ok(256));
    }
}
