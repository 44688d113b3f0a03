//! Several packets of several SAs at once: first everything that will be needed is touched, then the work is done, so
//! that the waits for memory overlap.

use core::fmt;
use core::hint::black_box;
use core::ops::Range;

use ipsec_sa::ReservedSeq;
use ipsec_wire::IpProtocol;

use crate::{EspTransform, SealError};

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
    let touched = jobs.iter().fold(0u32, |sum, job| {
        let first = job.buf.get(job.payload.start).copied().unwrap_or(0);
        sum.wrapping_add(job.sa.spi().0).wrapping_add(u32::from(first))
    });
    // The sum is worth nothing; that it was computed brought the lines in.
    black_box(touched);
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
