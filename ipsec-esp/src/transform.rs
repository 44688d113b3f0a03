//! The half of an SA that does not change from packet to packet: keys, layout and outer header. It works on `&self`,
//! so that one SA can be shared, and takes sequence numbers as values that are spent.

use core::fmt;
use core::net::IpAddr;
use core::ops::Range;

use ipsec_crypto::CryptoProvider;
use ipsec_sa::{Direction, Mode, Outer, ReservedSeq, SaParams};
use ipsec_wire::ike::SnId;
use ipsec_wire::{IpProtocol, Spi};
use rand_core::CryptoRng;

use crate::cipher::{Cipher, HEADER_LEN, IvSource, Lengths};
use crate::flow_label::FlowLabel;
use crate::padding::{self, TRAILER_LEN};
use crate::template::{Fields, OuterHeader, Template};
use crate::{OpenError, SaError, SealError};
use ipsec_sa::tunnel::OuterFields;

/// Keys, layout and outer header of one direction of an SA.
pub struct EspTransform {
    cipher: Cipher,
    lengths: Lengths,
    esn: bool,
    mode: Mode,
    /// Octets of SPI, sequence number and IV.
    header_len: u8,
    spi: Spi,
    iv: IvSource,
    template: Template,
}

/// What a packet needs around its payload, in octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Room {
    /// In front: outer header, SPI, sequence number, IV.
    pub head: usize,
    /// Behind: padding, trailer, ICV.
    pub tail: usize,
}

/// An authentic packet before its trailer was looked at.
pub(crate) struct Plaintext {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl EspTransform {
    /// The sealing half of an outbound SA. `rng` is asked once, and only for a cipher whose IVs must not be foretold.
    ///
    /// # Errors
    /// [`SaError`].
    pub fn new(
        params: &SaParams,
        provider: &CryptoProvider,
        outer: OuterHeader,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, SaError> {
        if params.direction != Direction::Outbound {
            return Err(SaError::Direction);
        }
        Self::keyed(params, provider, Template::new(params, outer)?, Some(rng))
    }

    /// The opening half of an inbound SA.
    pub(crate) fn for_opening(params: &SaParams, provider: &CryptoProvider) -> Result<Self, SaError> {
        Self::keyed(params, provider, Template::new(params, OuterHeader::None)?, None)
    }

    fn keyed(
        params: &SaParams,
        provider: &CryptoProvider,
        template: Template,
        rng: Option<&mut dyn CryptoRng>,
    ) -> Result<Self, SaError> {
        let lengths = Lengths::new(params, provider)?;
        Ok(Self {
            cipher: Cipher::new(params, provider, &lengths)?,
            lengths,
            esn: params.sequence == SnId::SEQUENTIAL_64,
            mode: params.mode,
            header_len: HEADER_LEN as u8 + lengths.iv,
            spi: params.spi,
            iv: IvSource::new(params, provider, &lengths, rng)?,
            template,
        })
    }

    /// The SPI that its packets carry.
    #[must_use]
    pub const fn spi(&self) -> Spi {
        self.spi
    }

    /// Whether sequence numbers have 64 bits.
    #[must_use]
    pub const fn is_esn(&self) -> bool {
        self.esn
    }

    /// Tunnel, transport or BEET.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Brings in what the next packet will need of the SA.
    #[inline]
    pub(crate) fn warm(&self) {
        core::hint::black_box(self.spi);
        self.cipher.warm();
    }

    /// Whether the sealing half makes whole IP packets.
    pub(crate) fn writes_header(&self) -> bool {
        self.template.writes_ip()
    }

    /// Whether the sealing half puts UDP in front.
    pub(crate) const fn is_udp(&self) -> bool {
        self.template.is_udp()
    }

    /// The outer addresses: ours and the peer's.
    pub(crate) const fn addresses(&self) -> (IpAddr, IpAddr) {
        self.template.addresses()
    }

    /// The room that a payload of `payload` octets needs around it.
    #[must_use]
    #[inline]
    pub fn room(&self, payload: usize) -> Room {
        let padding = padding::padding_len(payload, usize::from(self.lengths.align));
        Room {
            head: self.template.len() + usize::from(self.header_len),
            tail: padding + TRAILER_LEN + usize::from(self.lengths.icv),
        }
    }

    /// The most room that any payload needs.
    #[must_use]
    pub fn max_room(&self) -> Room {
        Room {
            head: self.template.len() + usize::from(self.header_len),
            tail: usize::from(self.lengths.align) - 1 + TRAILER_LEN + usize::from(self.lengths.icv),
        }
    }

    /// DSCP, ECN and DF for the outer header of `inner`, where somebody else writes it: to be asked before sealing.
    /// `None`: `inner` is not an IP packet of the version that `next` announces.
    #[must_use]
    pub fn outer_fields(&self, next: IpProtocol, inner: &[u8]) -> Option<OuterFields> {
        OuterFields::new(self.template.policy(), next, inner)
    }

    /// Sets how an outer IPv6 header comes by its flow label; it stays zero without that.
    #[must_use]
    pub fn with_flow_label(mut self, rule: FlowLabel) -> Self {
        self.template.set_flow_label(rule);
        self
    }

    /// Moves the SA to other outer addresses or another encapsulation (RFC 4555 §3.5).
    ///
    /// # Errors
    /// [`SaError::MixedFamilies`] or [`SaError::OuterHeader`], and nothing changes.
    pub fn update(&mut self, outer: &Outer) -> Result<(), SaError> {
        self.template = self.template.updated(outer)?;
        Ok(())
    }

    /// Whether a payload can be sealed, before a sequence number is taken for it.
    ///
    /// # Errors
    /// [`SealError::Range`], [`SealError::NoRoom`], [`SealError::TooLong`].
    #[inline]
    pub fn check(&self, buf_len: usize, payload: &Range<usize>) -> Result<(), SealError> {
        let len = match payload.end.checked_sub(payload.start) {
            Some(len) if payload.end <= buf_len => len,
            _ => return Err(SealError::Range),
        };
        let Room { head, tail } = self.room(len);
        if payload.start < head || buf_len - payload.end < tail {
            return Err(SealError::NoRoom { head, tail });
        }
        if usize::from(self.header_len) + len + tail > self.template.max_esp_len() {
            return Err(SealError::TooLong);
        }
        Ok(())
    }

    /// Seals the payload in place under a sequence number, which is spent whatever comes of it, and returns where
    /// the packet lies.
    ///
    /// # Errors
    /// [`SealError`]; what is in the payload's range then is unspecified.
    #[inline]
    pub fn seal_at(
        &self,
        seq: ReservedSeq,
        buf: &mut [u8],
        payload: Range<usize>,
        next: IpProtocol,
    ) -> Result<Range<usize>, SealError> {
        self.check(buf.len(), &payload)?;
        self.seal_admitted(&seq, None, None, buf, payload, next)
    }

    /// [`EspTransform::seal_at`] with the caller's IV, to reproduce known packets. Whoever calls it answers for the
    /// IV: one that repeats under a counter mode gives the plaintext away (RFC 4106 §2).
    ///
    /// # Errors
    /// [`SealError`], [`SealError::Iv`] for an IV of the wrong length among them.
    pub fn seal_at_with_iv(
        &self,
        seq: ReservedSeq,
        iv: &[u8],
        buf: &mut [u8],
        payload: Range<usize>,
        next: IpProtocol,
    ) -> Result<Range<usize>, SealError> {
        self.check(buf.len(), &payload)?;
        self.seal_admitted(&seq, Some(iv), None, buf, payload, next)
    }

    /// What the outer header takes from `inner`.
    #[inline]
    pub(crate) fn fields(&self, next: IpProtocol, inner: &[u8]) -> Result<Fields, SealError> {
        self.template.fields(next, inner)
    }

    /// Seals what passed [`EspTransform::check`]. Without `fields` the payload is asked for them.
    #[inline]
    pub(crate) fn seal_admitted(
        &self,
        seq: &ReservedSeq,
        iv: Option<&[u8]>,
        fields: Option<Fields>,
        buf: &mut [u8],
        payload: Range<usize>,
        next: IpProtocol,
    ) -> Result<Range<usize>, SealError> {
        let len = payload.len();
        let Room { head, tail } = self.room(len);
        let range = payload.start - head..payload.end + tail;
        let packet = buf.get_mut(range.clone()).ok_or(SealError::Range)?;
        let (outer, esp) = packet.split_at_mut_checked(self.template.len()).ok_or(SealError::Range)?;
        let (header, rest) =
            esp.split_at_mut_checked(usize::from(self.header_len)).ok_or(SealError::Range)?;
        let (body, icv) =
            rest.split_at_mut_checked(len + tail - usize::from(self.lengths.icv)).ok_or(SealError::Range)?;
        let (inner, trailer) = body.split_at_mut_checked(len).ok_or(SealError::Range)?;

        let fields = match fields {
            None => self.template.fields(next, inner)?,
            Some(fields) => fields,
        };
        padding::write(trailer, next).ok_or(SealError::Range)?;
        let (fixed, iv_field) = header.split_first_chunk_mut::<HEADER_LEN>().ok_or(SealError::Range)?;
        let [a, b, c, d] = self.spi.to_bytes();
        let [e, f, g, h] = seq.low().to_be_bytes();
        *fixed = [a, b, c, d, e, f, g, h];
        match iv {
            None => self.iv.write(seq.value(), iv_field)?,
            Some(iv) if iv.len() == iv_field.len() => iv_field.copy_from_slice(iv),
            Some(_) => return Err(SealError::Iv),
        }
        self.cipher.seal(&self.lengths, self.esn, seq.value(), header, body, icv)?;

        // Unique as long as RFC 6864 §4.3 asks for: packets of one SA differ in their numbers, and SAs in their SPIs.
        let id = (seq.low() ^ self.spi.0) as u16;
        self.template.write(outer, esp, fields, id).ok_or(SealError::Range)?;
        Ok(range)
    }

    /// Checks the ICV of a packet whose whole sequence number is `seq`, and decrypts it.
    #[inline]
    pub(crate) fn open(&self, seq: u64, packet: &mut [u8]) -> Result<Plaintext, OpenError> {
        let start = usize::from(self.header_len);
        let (header, rest) = packet.split_at_mut_checked(start).ok_or(OpenError::Truncated)?;
        let body_len = rest.len().checked_sub(usize::from(self.lengths.icv)).ok_or(OpenError::Truncated)?;
        let (body, icv) = rest.split_at_mut_checked(body_len).ok_or(OpenError::Truncated)?;
        // The cipher's blocks only: a sender that forgets RFC 4303's four octets does no harm.
        if body_len < TRAILER_LEN || body_len & (usize::from(self.lengths.block) - 1) != 0 {
            return Err(OpenError::Truncated);
        }
        self.cipher.open(&self.lengths, self.esn, seq, header, body, icv)?;
        Ok(Plaintext { start, end: start + body_len })
    }
}

impl fmt::Debug for EspTransform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EspTransform")
            .field("spi", &self.spi)
            .field("mode", &self.mode)
            .field("esn", &self.esn)
            .field("cipher", &self.cipher)
            .field("lengths", &self.lengths)
            .field("iv", &self.iv)
            .field("template", &self.template)
            .finish()
    }
}
