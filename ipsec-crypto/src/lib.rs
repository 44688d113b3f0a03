//! The algorithms of IKEv2, ESP and AH behind small traits, and a provider that gathers them.
//!
//! An algorithm is a *row*: a `&'static dyn` object that knows its IANA number, its lengths and its standing in the
//! RFCs, and that makes keyed objects. A [`CryptoProvider`] is a struct of tables of rows; it is passed by value or
//! reference and never global. The portable rows are in `rustcrypto` (feature `rustcrypto`).
//!
//! ```
//! # #[cfg(feature = "rustcrypto")] {
//! use ipsec_crypto::{Suite, rustcrypto};
//!
//! let provider = rustcrypto::provider();
//! let suite = Suite::esp("aes256gcm16-esn")?;
//! suite.supported_by(&provider)?;
//!
//! // Keyed once, then nothing is allocated per packet: the nonce is salt and IV, the tag is written behind the data.
//! let (id, _) = suite.encr[0];
//! let row = provider.encr(id).expect("supported");
//! let key = row.aead_key(&[7; 32])?;
//! let (mut data, mut tag) = (*b"inner packet", [0; 16]);
//! key.seal(&[1; 12], b"header", &mut data, &mut tag)?;
//! key.open(&[1; 12], b"header", &mut data, &tag)?;
//! assert_eq!(&data, b"inner packet");
//! # }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod encr;
mod equal;
mod error;
mod integ;
mod ke;
mod prf;
mod provider;
#[cfg(feature = "rustcrypto")]
pub mod rustcrypto;
mod secret;
mod sign;
mod status;
mod suite;
mod wireshark;

pub use encr::{AeadKey, CipherKey, EncryptionAlgorithm, IvRule, KeyLimits};
pub use equal::check_equal;
pub use error::{CryptoError, PeerPublicError};
pub use integ::{IntegrityAlgorithm, MacKey};
pub use ke::{ActiveKeyExchange, KeyExchangeMethod};
pub use prf::{MAX_PRF_OUTPUT, PrfAlgorithm, PrfKey, prf, prf_plus};
pub use provider::CryptoProvider;
pub use secret::Secret;
pub use sign::{SignatureVerifier, Signer, algorithm_id};
pub use status::Status;
pub use suite::{MissingRow, Suite, SuiteError, SuiteErrorKind, SuiteProtocol, SuiteSet};
