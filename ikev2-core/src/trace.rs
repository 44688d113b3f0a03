//! Names of payloads as ladder diagrams and the RFC write them.

use alloc::string::String;
use core::fmt::Write;

use ipsec_wire::ike::{Payload, PayloadKind, PayloadType, Payloads};

/// `SA KE Ni N(COOKIE)`, in order. `response` tells Ni from Nr.
pub(crate) fn names(payloads: Payloads<'_>, response: bool) -> String {
    let mut out = String::new();
    for payload in payloads {
        if !out.is_empty() {
            out.push(' ');
        }
        // Writing to a String does not fail.
        let _ = match payload.kind() {
            PayloadKind::Notify(notify) => write!(out, "N({})", notify.notify_type),
            PayloadKind::Nonce(_) => out.write_str(if response { "Nr" } else { "Ni" }),
            PayloadKind::Delete(_) => out.write_str("D"),
            PayloadKind::Vendor(_) => out.write_str("V"),
            _ => match short(payload.payload_type) {
                Some(name) => out.write_str(name),
                None => write!(out, "{}", payload.payload_type),
            },
        };
    }
    out
}

fn short(payload_type: PayloadType) -> Option<&'static str> {
    Some(match payload_type {
        PayloadType::SA => "SA",
        PayloadType::KE => "KE",
        PayloadType::IDI => "IDi",
        PayloadType::IDR => "IDr",
        PayloadType::CERT => "CERT",
        PayloadType::CERTREQ => "CERTREQ",
        PayloadType::AUTH => "AUTH",
        PayloadType::TSI => "TSi",
        PayloadType::TSR => "TSr",
        PayloadType::SK => "SK",
        PayloadType::SKF => "SKF",
        PayloadType::CP => "CP",
        PayloadType::EAP => "EAP",
        _ => return None,
    })
}

/// The same for payloads that are about to be sent inside SK.
pub(crate) fn names_of(payloads: &[Payload], response: bool) -> String {
    let (first, octets) = ipsec_wire::ike::emit_chain(payloads);
    let limits = ipsec_wire::Limits::default();
    match ipsec_wire::ike::PayloadChain::parse(first, &octets, 0, &limits) {
        Ok(chain) => crate::ike_sa::sk_names(&chain, response),
        Err(_) => String::from("SK{?}"),
    }
}
