//! Several packets of several SAs at once: first everything that will be needed is touched, then the work is done, so
//! that the waits for memory overlap.

use core::fmt;
use core::hint::black_box;
use core::ops::Range;

use ipsec_sa::ReservedSeq;
use ipsec_wire::IpProtocol;

use crate::cipher::HEADER_LEN;
use crate::{EspInbound, EspTransform, OpenError, Opened, SealError};

/// One packet to be sealed.
pub struct SealJob<'a> {
    sa: &'a EspTransform,
    seq: Option<ReservedSeq>,
    buf: &'a mut [u8],
    payload: Range<usize>,
    next: IpProtocol,
    sealed: Option<Result<Range<usize>, SealError>>,
}

impl<'a> SealJob<'a> {
    /// The arguments of [`EspTransform::seal_at`].
    pub fn new(
        sa: &'a EspTransform,
        seq: ReservedSeq,
        buf: &'a mut [u8],
        payload: Range<usize>,
        next: IpProtocol,
    ) -> Self {
        Self { sa, seq: Some(seq), buf, payload, next, sealed: None }
    }

    /// Where the packet lies in the buffer, or why it was not sealed; `None` before [`seal_batch`].
    #[must_use]
    pub fn sealed(&self) -> Option<Result<Range<usize>, SealError>> {
        self.sealed.clone()
    }

    /// The packet, once it is sealed.
    #[must_use]
    pub fn packet(&self) -> Option<&[u8]> {
        self.buf.get(self.sealed.as_ref()?.as_ref().ok()?.clone())
    }
}

/// Seals every job that was not sealed before.
pub fn seal_batch(jobs: &mut [SealJob<'_>]) {
    for job in jobs.iter().filter(|job| job.seq.is_some()) {
        job.sa.warm();
        black_box(job.buf.get(job.payload.start).copied());
    }
    for job in jobs {
        if let Some(seq) = job.seq.take() {
            job.sealed = Some(job.sa.seal_at(seq, job.buf, job.payload.clone(), job.next));
        }
    }
}

impl fmt::Debug for SealJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealJob")
            .field("spi", &self.sa.spi())
            .field("payload", &self.payload)
            .field("next", &self.next)
            .field("sealed", &self.sealed)
            .finish_non_exhaustive()
    }
}

/// One packet to be opened. Packets of the same SA wait for each other: their jobs name it by its place.
pub struct OpenJob<'a> {
    sa: usize,
    packet: &'a mut [u8],
    opened: Option<Result<Opened, OpenError>>,
}

impl<'a> OpenJob<'a> {
    /// A packet from its SPI on, for the SA at place `sa` of what [`open_batch`] is given.
    pub fn new(sa: usize, packet: &'a mut [u8]) -> Self {
        Self { sa, packet, opened: None }
    }

    /// Where the payload lies in the packet, or why it was not opened; `None` before [`open_batch`], and for an SA that
    /// is not there.
    #[must_use]
    pub const fn opened(&self) -> Option<&Result<Opened, OpenError>> {
        self.opened.as_ref()
    }

    /// The payload, once it is opened.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        self.packet.get(self.opened.as_ref()?.as_ref().ok()?.payload.clone())
    }
}

/// Opens every job that was not opened before, in order.
pub fn open_batch(sas: &mut [&mut EspInbound], jobs: &mut [OpenJob<'_>]) {
    for job in jobs.iter().filter(|job| job.opened.is_none()) {
        if let Some(sa) = sas.get(job.sa) {
            sa.transform().warm();
        }
        black_box(job.packet.get(HEADER_LEN).copied());
    }
    for job in jobs.iter_mut().filter(|job| job.opened.is_none()) {
        if let Some(sa) = sas.get_mut(job.sa) {
            job.opened = Some(sa.open_in_place(job.packet));
        }
    }
}

impl fmt::Debug for OpenJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenJob").field("sa", &self.sa).field("opened", &self.opened).finish_non_exhaustive()
    }
}
