//! The keys of one IKE SA as its key log tells them, for whoever speaks in it without being one of its ends.

use ikev2_core::crypt::SkProtection;
use ikev2_core::keys::{IkeSuite, SkKeys};
use ipsec_crypto::{CryptoProvider, Secret};
use ipsec_sa::Role;
use ipsec_wire::IkeSpi;
use ipsec_wire::ike::{EncrId, KeId, PrfId};

/// SPIs and message keys out of a line of `ikev2_decryption_table`.
#[derive(Debug)]
pub struct IkeKeys {
    /// The initiator's SPI.
    pub spi_i: IkeSpi,
    /// The responder's SPI.
    pub spi_r: IkeSpi,
    ei: Secret,
    er: Secret,
}

impl IkeKeys {
    /// `None` for a line of another form.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut fields = line.split(',');
        let mut octets = || hex::decode(fields.next()?).ok();
        Some(Self {
            spi_i: IkeSpi::from_slice(&octets()?)?,
            spi_r: IkeSpi::from_slice(&octets()?)?,
            ei: Secret::new(&octets()?),
            er: Secret::new(&octets()?),
        })
    }

    /// Seals messages of one side and opens those of the other, under AES-GCM with an ICV of 16 octets and
    /// HMAC-SHA2-256. `None`: the rows or the length of the keys are others.
    #[must_use]
    pub fn protection(&self, provider: &CryptoProvider, role: Role) -> Option<SkProtection> {
        let encr = provider.encr(EncrId::AES_GCM_16)?;
        let suite = IkeSuite {
            encr,
            key_len: self.ei.len().checked_sub(encr.salt_len())?,
            prf: provider.prf(PrfId::HMAC_SHA2_256)?,
            integ: None,
            ke: KeId::CURVE25519,
        };
        let none = || Secret::new(&[]);
        let keys = SkKeys {
            d: none(),
            ai: none(),
            ar: none(),
            ei: self.ei.duplicate(),
            er: self.er.duplicate(),
            pi: none(),
            pr: none(),
        };
        SkProtection::new(&suite, &keys, role).ok()
    }
}
