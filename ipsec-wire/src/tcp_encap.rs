//! IKE and ESP in a TCP stream (RFC 9329): a prefix once, then messages behind their lengths.
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |            Length             |     IKE: four zero octets     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               |
//! |                               |  IKE message or ESP packet    ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! [`TcpDeframer`] takes a stream as it comes in, in pieces of any size, and hands out one message at a
//! time without copying it. A buffer needs no more than [`MAX_FRAME_LEN`] octets before it gives one.

use alloc::vec::Vec;

use bytes::{Buf, BufMut, BytesMut};

use crate::octets::u16_at;
use crate::udp_encap::{NON_ESP_MARKER, UdpEncap, UdpEncapRange, classify_udp_encap, locate_udp_encap};

/// What the originator of the connection sends once, in front of everything (RFC 9329 §4).
pub const STREAM_PREFIX: [u8; 6] = *b"IKETCP";
/// Octets of the length field, which counts itself.
pub const LENGTH_LEN: usize = 2;
/// Octets of the longest frame, length field included.
pub const MAX_FRAME_LEN: usize = u16::MAX as usize;

/// Why a stream cannot be followed any further: the connection is to be closed (RFC 9329 §3, §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TcpEncapError {
    /// The stream does not start with the prefix.
    #[error("the stream does not start with IKETCP")]
    BadPrefix,
    /// A length of 0 or 1, which does not even cover itself.
    #[error("frame length {0}")]
    BadLength(u16),
}

/// A message that a frame has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{len} octets do not fit into one frame")]
pub struct FrameTooLong {
    /// Octets of the message.
    pub len: usize,
}

/// A frame at the start of a stream's octets, or how many are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framed<'a> {
    /// There is a whole frame.
    Frame {
        /// What it carries: IKE without the marker, ESP, a keepalive, or too little for either, which is
        /// ignored.
        content: UdpEncap<'a>,
        /// Octets of the frame, its length field included.
        len: usize,
    },
    /// So many octets at least are still to come.
    Missing(usize),
}

/// Looks for a frame at the start of a stream's octets, behind the prefix.
///
/// # Errors
/// `BadLength`: whoever sent it has lost the thread.
pub fn read_frame(stream: &[u8]) -> Result<Framed<'_>, TcpEncapError> {
    let Some(length) = u16_at(stream, 0) else {
        return Ok(Framed::Missing(LENGTH_LEN - stream.len().min(1)));
    };
    let len = usize::from(length);
    if len < LENGTH_LEN {
        return Err(TcpEncapError::BadLength(length));
    }
    match stream.get(LENGTH_LEN..len) {
        Some(content) => Ok(Framed::Frame { content: classify_udp_encap(content), len }),
        None => Ok(Framed::Missing(len - stream.len())),
    }
}

/// What a frame carried, taken out of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TcpMessage {
    /// An IKE message, without the marker.
    Ike(BytesMut),
    /// An ESP packet.
    Esp(BytesMut),
}

/// Follows one direction of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpDeframer {
    prefix_seen: bool,
    failed: Option<TcpEncapError>,
}

impl TcpDeframer {
    /// For the side that accepted the connection: the prefix comes first.
    #[must_use]
    pub const fn accepted() -> Self {
        Self { prefix_seen: false, failed: None }
    }

    /// For the side that opened the connection: no prefix comes back.
    #[must_use]
    pub const fn opened() -> Self {
        Self { prefix_seen: true, failed: None }
    }

    /// Takes the next message out of what has come in; `None` when more is needed. Keepalives and frames
    /// too short to hold anything are skipped (RFC 9329 §3, §7.6). What is not taken stays in the buffer.
    ///
    /// # Errors
    /// The connection is to be closed; every further call says the same.
    pub fn next(&mut self, stream: &mut BytesMut) -> Result<Option<TcpMessage>, TcpEncapError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.step(stream).inspect_err(|error| self.failed = Some(*error))
    }

    fn step(&mut self, stream: &mut BytesMut) -> Result<Option<TcpMessage>, TcpEncapError> {
        if !self.prefix_seen {
            let seen = stream.len().min(STREAM_PREFIX.len());
            if stream.get(..seen) != STREAM_PREFIX.get(..seen) {
                return Err(TcpEncapError::BadPrefix);
            }
            if seen < STREAM_PREFIX.len() {
                return Ok(None);
            }
            stream.advance(STREAM_PREFIX.len());
            self.prefix_seen = true;
        }
        while let Framed::Frame { len, .. } = read_frame(stream)? {
            // `read_frame` has seen that many octets.
            let mut content = stream.split_to(len.min(stream.len()));
            content.advance(LENGTH_LEN.min(content.len()));
            match locate_udp_encap(&content) {
                UdpEncapRange::Ike(range) => {
                    content.advance(range.start);
                    return Ok(Some(TcpMessage::Ike(content)));
                }
                UdpEncapRange::Esp(_) => return Ok(Some(TcpMessage::Esp(content))),
                UdpEncapRange::Keepalive | UdpEncapRange::TooShort => {}
            }
        }
        Ok(None)
    }
}

/// Appends the frame of an IKE message.
///
/// # Errors
/// More than 65529 octets; nothing is written then.
pub fn frame_ike(message: &[u8], out: &mut impl BufMut) -> Result<(), FrameTooLong> {
    let length = frame_length(NON_ESP_MARKER.len(), message)?;
    out.put_u16(length);
    out.put_slice(&NON_ESP_MARKER);
    out.put_slice(message);
    Ok(())
}

/// Appends the frame of an ESP packet.
///
/// # Errors
/// More than 65533 octets; nothing is written then.
pub fn frame_esp(packet: &[u8], out: &mut impl BufMut) -> Result<(), FrameTooLong> {
    let length = frame_length(0, packet)?;
    out.put_u16(length);
    out.put_slice(packet);
    Ok(())
}

fn frame_length(marker: usize, content: &[u8]) -> Result<u16, FrameTooLong> {
    u16::try_from(LENGTH_LEN + marker + content.len()).map_err(|_| FrameTooLong { len: content.len() })
}

/// The frame of a NAT keepalive: one octet behind its length. TCP's own keepalives are to be preferred.
#[must_use]
pub fn keepalive_frame() -> Vec<u8> {
    [&[0, 3][..], &crate::NAT_KEEPALIVE].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_stream_in_single_octets() {
        let mut stream = STREAM_PREFIX.to_vec();
        frame_ike(b"message", &mut stream).unwrap();
        stream.extend_from_slice(&keepalive_frame());
        stream.extend_from_slice(&[0, 2]);
        frame_esp(&[1, 2, 3, 4, 5], &mut stream).unwrap();
        assert_eq!(hex::encode(&stream[6..19]), "000d000000006d657373616765");
        let (mut deframer, mut buffer, mut found) = (TcpDeframer::accepted(), BytesMut::new(), vec![]);
        for octet in stream {
            buffer.put_u8(octet);
            while let Some(message) = deframer.next(&mut buffer).unwrap() {
                found.push(message);
            }
        }
        let expected = [
            TcpMessage::Ike(BytesMut::from(&b"message"[..])),
            TcpMessage::Esp(BytesMut::from(&[1, 2, 3, 4, 5][..])),
        ];
        assert_eq!(found, expected);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_stream_that_is_none() {
        let mut deframer = TcpDeframer::accepted();
        let mut buffer = BytesMut::from(&b"IKE"[..]);
        assert_eq!(deframer.next(&mut buffer), Ok(None));
        buffer.extend_from_slice(b"UDP");
        assert_eq!(deframer.next(&mut buffer), Err(TcpEncapError::BadPrefix));
        assert_eq!(deframer.next(&mut BytesMut::new()), Err(TcpEncapError::BadPrefix));
        for length in [0, 1] {
            let mut buffer = BytesMut::from(&[0, length, 0, 0][..]);
            let error = Err(TcpEncapError::BadLength(length.into()));
            assert_eq!(TcpDeframer::opened().next(&mut buffer), error);
        }
    }

    #[test]
    fn what_is_missing() {
        assert_eq!(read_frame(&[]), Ok(Framed::Missing(2)));
        assert_eq!(read_frame(&[0]), Ok(Framed::Missing(1)));
        assert_eq!(read_frame(&[0, 9, 1]), Ok(Framed::Missing(6)));
        let whole = read_frame(&[0, 6, 0, 0, 0, 0, 77]);
        assert_eq!(whole, Ok(Framed::Frame { content: UdpEncap::Ike(&[]), len: 6 }));
    }

    #[test]
    fn the_longest_frames() {
        let mut out = Vec::new();
        frame_ike(&vec![1; 65529], &mut out).unwrap();
        assert_eq!((out.len(), &out[..2]), (MAX_FRAME_LEN, &[0xff; 2][..]));
        assert_eq!(frame_ike(&vec![1; 65530], &mut out), Err(FrameTooLong { len: 65530 }));
        assert_eq!(frame_esp(&vec![1; 65534], &mut out), Err(FrameTooLong { len: 65534 }));
        assert_eq!(out.len(), MAX_FRAME_LEN);
    }
}
