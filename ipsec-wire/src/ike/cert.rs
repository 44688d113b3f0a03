//! The CERT and CERTREQ payloads (RFC 7296 §3.6, §3.7): an encoding and its data.

use alloc::vec::Vec;

use super::registry::CertEncoding;
use crate::error::{ParseError, ParseErrorKind};

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

            pub(crate) fn emit(&self, out: &mut Vec<u8>) {
                out.push(self.encoding.0);
                out.extend_from_slice(&self.data);
            }
        }
    };
}

certificate_payload!(CertView Cert, "CERT", "The certificate, or a hash and a URL.");
certificate_payload!(CertReqView CertReq, "CERTREQ", "The authorities: SHA-1 hashes of 20 octets each for X.509.");
