//! Stands for [`ipcomp`](https://www.rfc-editor.org/rfc/rfc3173) where the crate is built without it.

use ipsec_wire::IpProtocol;

use crate::EspOutbound;

/// Nobody has one.
pub(crate) enum Deflate {}

impl EspOutbound {
    #[allow(clippy::needless_pass_by_ref_mut)] // the same signature as with the feature
    pub(crate) fn compressed<'a>(
        &mut self,
        deflate: &'a mut Deflate,
        _payload: &[u8],
        _next: IpProtocol,
    ) -> Option<&'a [u8]> {
        match *deflate {}
    }
}
