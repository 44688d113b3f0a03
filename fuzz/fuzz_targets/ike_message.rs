//! IKE messages: what is accepted is rebuilt octet for octet and can be shown; the rest is refused.
//!
//! The input is read as a message, then once more with version and length set right, then as the decrypted
//! contents of an SK payload whose first payload is of the type that the first octet says.
#![no_main]

use ipsec_wire::Limits;
use ipsec_wire::ike::{
    CfgValue, EapView, Header, MessageView, PayloadChain, PayloadKind, PayloadType, emit_chain,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    message(data);
    if data.len() >= Header::LEN {
        let mut fixed = data.to_vec();
        fixed[17] = 0x20;
        fixed[24..28].copy_from_slice(&(data.len() as u32).to_be_bytes());
        message(&fixed);
    }
    if let Some((&first, octets)) = data.split_first() {
        chain(PayloadType(first), octets);
    }
});

fn message(octets: &[u8]) {
    let tight = Limits::DEFAULT.payloads(2).proposals(2).transforms(3).attributes(1).selectors(1).spis(1);
    let under_tight_limits = MessageView::parse(octets, &tight).is_ok();
    match MessageView::parse(octets, &Limits::DEFAULT) {
        Ok(view) => {
            assert_eq!(view.to_builder().emit(), octets);
            let end = view.payloads().last().map_or(Header::LEN, |last| last.offset + 4 + last.body.len());
            assert_eq!(end, octets.len());
            for payload in view.payloads() {
                let kind = payload.kind();
                let opaque =
                    matches!(kind, PayloadKind::Unknown(_) | PayloadKind::Gspm(_) | PayloadKind::Ps(_));
                assert_eq!(opaque, !payload.payload_type.is_understood());
                typed(kind);
            }
            assert!(!view.to_string().is_empty());
            let _ = (format!("{view:#}"), view.summary().to_string(), view.unsupported_critical());
        }
        Err(error) => {
            assert!(error.offset <= octets.len() && !under_tight_limits, "{error}");
        }
    }
}

/// What a body says in typed form is what its octets say.
fn typed(kind: PayloadKind<'_>) {
    match kind {
        PayloadKind::Notify(notify) => assert_eq!(notify.content().to_vec(), notify.data),
        PayloadKind::Cp(cp) => cp.attributes().for_each(|(kind, value)| {
            assert_eq!(CfgValue::read(kind, value).to_vec(), value);
        }),
        PayloadKind::Eap(packet) => {
            if let Ok(eap) = EapView::parse(packet, 0) {
                assert_eq!(eap.to_vec(), packet);
                assert!(eap.method().is_none_or(|method| method.to_vec() == eap.body));
            }
        }
        PayloadKind::Auth(auth) => {
            if let Some(parts) = auth.digital_signature() {
                let _ = parts.algorithm_identifier().map(|read| (read.name(), read.pss_hash()));
            }
        }
        _ => {}
    }
}

fn chain(first: PayloadType, octets: &[u8]) {
    if let Ok(chain) = PayloadChain::parse(first, octets, 100, &Limits::DEFAULT) {
        assert_eq!(emit_chain(&chain.to_builders()), (first, octets.to_vec()));
        chain.payloads().for_each(|payload| typed(payload.kind()));
        let _ = (chain.to_string(), chain.summary(true).to_string());
    }
}
