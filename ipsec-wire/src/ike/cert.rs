//! The CERT and CERTREQ payloads (RFC 7296 §3.6, §3.7): an encoding and its data.

use alloc::vec::Vec;
use core::slice::ChunksExact;
use core::str;

use super::registry::CertEncoding;
use crate::error::{ParseError, ParseErrorKind};
use crate::octets::Out;

macro_rules! certificate_payload {
    ($view:ident $owned:ident, $what:literal, $data:literal) => {
        #[doc = concat!("A ", $what, " payload.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $view<'a> {
            /// How the data is encoded.
            pub encoding: CertEncoding,
            #[doc = $data]
            pub data: &'a [u8],
        }

        impl<'a> $view<'a> {
            /// Reads a payload body that stands at an offset of its message.
            ///
            /// # Errors
            /// `Truncated` when it is empty.
            pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
                let (&encoding, data) = body.split_first().ok_or(ParseErrorKind::Truncated.at(offset))?;
                Ok(Self { encoding: CertEncoding(encoding), data })
            }

            /// The owned mirror.
            #[must_use]
            pub fn to_owned(&self) -> $owned {
                $owned { encoding: self.encoding, data: self.data.to_vec() }
            }
        }

        #[doc = concat!("A ", $what, " payload to build.")]
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $owned {
            /// How the data is encoded.
            pub encoding: CertEncoding,
            #[doc = $data]
            pub data: Vec<u8>,
        }

        impl $owned {
            #[doc = concat!("A ", $what, " payload of an encoding.")]
            #[must_use]
            pub fn new(encoding: CertEncoding, data: impl Into<Vec<u8>>) -> Self {
                Self { encoding, data: data.into() }
            }

            pub(crate) fn emit(&self, out: &mut impl Out) {
                out.push(self.encoding.0);
                out.extend_from_slice(&self.data);
            }
        }
    };
}

certificate_payload!(CertView Cert, "CERT", "The certificate, or a hash and a URL.");
certificate_payload!(CertReqView CertReq, "CERTREQ", "The authorities: SHA-1 hashes of 20 octets each for X.509.");

/// The data of the two hash-and-URL encodings (RFC 7296 §3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashAndUrl<'a> {
    /// The SHA-1 hash of what is to be fetched.
    pub hash: &'a [u8; 20],
    /// Where it is.
    pub url: &'a str,
}

impl<'a> CertView<'a> {
    /// Hash and URL; `None` for other encodings, fewer than 20 octets, or a URL that is not UTF-8.
    #[must_use]
    pub fn hash_and_url(&self) -> Option<HashAndUrl<'a>> {
        if !matches!(self.encoding, CertEncoding::HASH_AND_URL_X509 | CertEncoding::HASH_AND_URL_BUNDLE) {
            return None;
        }
        let (hash, url) = self.data.split_first_chunk()?;
        Some(HashAndUrl { hash, url: str::from_utf8(url).ok()? })
    }
}

impl Cert {
    /// A certificate that is to be fetched.
    #[must_use]
    pub fn hash_and_url(encoding: CertEncoding, hash: &[u8; 20], url: &str) -> Self {
        Self::new(encoding, [&hash[..], url.as_bytes()].concat())
    }
}

impl<'a> CertReqView<'a> {
    /// The SHA-1 hashes of the authorities' public keys, where the encoding has them (RFC 7296 §3.7, RFC
    /// 4806 §3.1); `None` for other encodings and octets that are not whole hashes.
    #[must_use]
    pub fn authorities(&self) -> Option<ChunksExact<'a, u8>> {
        let hashed = matches!(
            self.encoding,
            CertEncoding::X509_SIGNATURE
                | CertEncoding::HASH_AND_URL_X509
                | CertEncoding::HASH_AND_URL_BUNDLE
                | CertEncoding::OCSP_CONTENT
        );
        (hashed && self.data.len().is_multiple_of(20)).then(|| self.data.chunks_exact(20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_urls_and_authorities() {
        let cert = Cert::hash_and_url(CertEncoding::HASH_AND_URL_X509, &[7; 20], "http://a.example/c.der");
        let mut octets = Vec::new();
        cert.emit(&mut octets);
        let view = CertView::parse(&octets, 0).unwrap();
        let url = "http://a.example/c.der";
        assert_eq!(view.hash_and_url(), Some(HashAndUrl { hash: &[7; 20], url }));
        assert_eq!(CertView { data: &view.data[..19], ..view }.hash_and_url(), None);
        assert_eq!(CertView { encoding: CertEncoding::X509_SIGNATURE, ..view }.hash_and_url(), None);
        let data = [[1; 20], [2; 20]].concat();
        let request = CertReqView { encoding: CertEncoding::X509_SIGNATURE, data: &data };
        assert!(request.authorities().unwrap().eq([[1; 20], [2; 20]]));
        assert!(CertReqView { data: &data[1..], ..request }.authorities().is_none());
        assert!(CertReqView { encoding: CertEncoding::PGP, ..request }.authorities().is_none());
    }
}
