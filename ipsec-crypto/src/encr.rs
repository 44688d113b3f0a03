//! Encryption algorithms (transform type 1): combined modes (RFC 5282, 4106, …) and plain ciphers.

use alloc::boxed::Box;
use core::fmt;

use ipsec_wire::ike::EncrId;

use crate::{CryptoError, Status, wireshark};

/// One row of the provider's encryption table: what an algorithm needs, and how to key it.
///
/// All lengths are octets. `KEYMAT` of one direction is the key followed by the salt (RFC 4106 §8.1).
pub trait EncryptionAlgorithm: Send + Sync + fmt::Debug {
    /// Transform id.
    fn id(&self) -> EncrId;
    /// Name in proposal strings without the key length, such as `aes-gcm-16`.
    fn name(&self) -> &'static str;
    /// Where the RFCs stand on it for ESP (RFC 8221).
    fn status(&self) -> Status {
        Status::of_encryption(self.id())
    }
    /// Where the RFCs stand on it for IKE's own messages (RFC 8247).
    fn ike_status(&self) -> Status {
        Status::of_encryption_in_ike(self.id())
    }
    /// Key lengths it takes, salt left out, shortest first.
    fn key_lengths(&self) -> &'static [usize];
    /// Whether a Key Length attribute must stand in a proposal (RFC 7296 §3.3.5).
    fn variable_key_length(&self) -> bool {
        self.key_lengths().len() > 1
    }
    /// Octets of salt that follow the key in KEYMAT; they open the nonce.
    fn salt_len(&self) -> usize;
    /// Octets of IV carried in each packet.
    fn iv_len(&self) -> usize;
    /// What the padded plaintext must be a multiple of (1 for stream modes; ESP itself asks for 4).
    fn block_len(&self) -> usize;
    /// Octets of the tag of a combined mode; 0 for a plain cipher.
    fn tag_len(&self) -> usize;
    /// Whether it is a combined mode, which takes no integrity transform.
    fn is_aead(&self) -> bool {
        self.tag_len() > 0
    }
    /// How the IV of a packet must be made.
    fn iv_rule(&self) -> IvRule;
    /// Whether the same inputs always give the same octets.
    fn deterministic(&self) -> bool {
        true
    }
    /// Octets of the nonce that a keyed object takes: the salt, and the IV even where it is not carried.
    fn nonce_len(&self) -> usize {
        self.salt_len() + if self.iv_rule() == IvRule::Implicit { IMPLICIT_IV_LEN } else { self.iv_len() }
    }
    /// How much one key may protect.
    fn limits(&self) -> KeyLimits {
        KeyLimits::NONE
    }
    /// The name in Wireshark's table of ESP SAs, where it has one.
    fn wireshark_esp(&self) -> Option<&'static str> {
        wireshark::esp_encryption(self.id())
    }
    /// The name in Wireshark's table of IKEv2 keys for a key of so many octets, where it has one.
    fn wireshark_ike(&self, key_len: usize) -> Option<&'static str> {
        wireshark::ike_encryption(self.id(), key_len)
    }
    /// Keys the combined mode. `key` is without salt.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`], or [`CryptoError::Unsupported`] for a plain cipher.
    fn aead_key(&self, key: &[u8]) -> Result<Box<dyn AeadKey>, CryptoError>;
    /// Keys the plain cipher.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`], or [`CryptoError::Unsupported`] for a combined mode.
    fn cipher_key(&self, key: &[u8]) -> Result<Box<dyn CipherKey>, CryptoError>;
}

/// Octets of an IV that is made from the sequence number (RFC 8750 §4).
const IMPLICIT_IV_LEN: usize = 8;

/// How much one key may protect before another should take its place; `u64::MAX` stands for no limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyLimits {
    /// Packets. For modes with an IV that must not repeat, how many IVs there are.
    pub packets: u64,
    /// Octets encrypted.
    pub octets: u64,
}

impl KeyLimits {
    /// Nothing but what the sequence numbers allow.
    pub const NONE: Self = Self { packets: u64::MAX, octets: u64::MAX };
    /// Modes over a cipher with blocks of 128 bits: 2^36 blocks, at which the advantage of whoever tells the ciphertext
    /// from noise is 2^-57, the margin of RFC 8446 §5.5.
    pub const BLOCK_128: Self = Self { packets: u64::MAX, octets: 1 << 40 };
    /// Modes over a cipher with blocks of 64 bits: the 2^20 blocks that NIST SP 800-67 allows Triple DES.
    pub const BLOCK_64: Self = Self { packets: u64::MAX, octets: 1 << 23 };
}

/// What a packet's IV has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IvRule {
    /// Never twice under a key; a counter will do (GCM, CCM, CTR, ChaCha20-Poly1305).
    Unique,
    /// Not to be foretold by an observer (CBC: RFC 3602 §3, RFC 4303 §2.3).
    Unpredictable,
    /// Not carried: the nonce is made from the sequence number (RFC 8750).
    Implicit,
}

/// A keyed combined mode. Its nonce is salt and IV together. `Debug` shows no octet of the key.
pub trait AeadKey: Send + Sync + fmt::Debug {
    /// Encrypts `data` in place and writes the tag.
    ///
    /// # Errors
    /// A nonce or tag of the wrong length.
    fn seal(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]) -> Result<(), CryptoError>;
    /// Checks the tag in constant time and decrypts `data` in place; on failure its contents are unspecified.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`], or a nonce or tag of the wrong length.
    fn open(&self, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), CryptoError>;
    /// Reads what sealing and opening will read of the key, so that whoever is about to use many keys waits for their memory
    /// once. Keys that cannot do it in less time than it saves do nothing.
    fn warm(&self) {}
}

/// A keyed plain cipher; its nonce is salt and IV together. `Debug` shows no octet of the key.
pub trait CipherKey: Send + Sync + fmt::Debug {
    /// Encrypts whole blocks in place. `iv` is the row's [`EncryptionAlgorithm::nonce_len`] long: salt first, where the
    /// row has one (the nonce of RFC 3686 §4).
    ///
    /// # Errors
    /// An IV or buffer of the wrong length.
    fn encrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError>;
    /// Decrypts whole blocks in place.
    ///
    /// # Errors
    /// An IV or buffer of the wrong length.
    fn decrypt(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError>;
}
