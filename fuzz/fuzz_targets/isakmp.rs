//! IKEv1 messages: what is accepted is rebuilt octet for octet and can be shown; the rest is refused.
//!
//! The input is read as a message, then once more with version, flags and length set right, then as the
//! decrypted contents of a message whose first payload is of the type that the first octet says.
#![no_main]

use ipsec_wire::Limits;
use ipsec_wire::isakmp::{IsakmpChain, IsakmpView, PayloadKind, PayloadType, Payloads, emit_chain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    message(data);
    if data.len() >= 28 {
        let mut fixed = data.to_vec();
        (fixed[17], fixed[19]) = (0x10, 0);
        fixed[24..28].copy_from_slice(&(data.len() as u32).to_be_bytes());
        message(&fixed);
    }
    if let Some((&first, octets)) = data.split_first() {
        let first = PayloadType(first);
        if let Ok(chain) = IsakmpChain::parse(first, octets, 100, &Limits::DEFAULT) {
            assert_eq!(emit_chain(&chain.to_builders()), (first, chain.raw().to_vec()));
            assert_eq!(chain.raw().len() + chain.padding().len(), octets.len());
            bodies(chain.payloads());
            let _ = chain.to_string();
        }
    }
});

fn message(octets: &[u8]) {
    let tight = Limits::DEFAULT.payloads(2).proposals(1).transforms(2).attributes(3).notifies(1).spis(1);
    let under_tight_limits = IsakmpView::parse(octets, &tight).is_ok();
    match IsakmpView::parse(octets, &Limits::DEFAULT) {
        Ok(view) => {
            assert_eq!(view.to_builder().emit(), octets);
            bodies(view.payloads());
            assert!(!view.to_string().is_empty());
            let _ = format!("{view:#}");
        }
        Err(error) => assert!(error.offset <= octets.len() && !under_tight_limits, "{error}"),
    }
}

fn bodies(payloads: Payloads<'_>) {
    for payload in payloads {
        match payload.kind() {
            PayloadKind::Sa(sa) => {
                for proposal in sa.proposals() {
                    for transform in proposal.transforms() {
                        let _ = proposal.transform_name(transform.id);
                        transform.attributes.iter().for_each(|attribute| _ = attribute.number());
                    }
                }
            }
            PayloadKind::Attributes { attributes, .. } => attributes.iter().for_each(drop),
            PayloadKind::Id(id) => _ = (id.address(), id.addresses(), id.text()),
            PayloadKind::Notify(notify) => _ = notify.dpd_sequence(),
            PayloadKind::Delete(delete) => {
                assert!(delete.spis().all(|spi| spi.len() == usize::from(delete.spi_size)));
            }
            _ => {}
        }
    }
}
