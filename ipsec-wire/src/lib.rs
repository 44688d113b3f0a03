//! Packets of IPsec and IKE as typed values: parsed once, viewed without copying, rebuilt without loss.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod num;
