//! Nested bodies in typed form: notify data, configuration values, EAP packets, signature algorithms.
//!
//! The first two octets choose the type; what the rest says in typed form is what its octets say.
#![no_main]

use ipsec_wire::Limits;
use ipsec_wire::ike::{
    AlgorithmIdentifier, AuthView, CertEncoding, CertReqView, CertView, CfgAttributeType, CfgValue, CpView,
    DigitalSignature, EapMethod, EapType, EapView, NotifyData, NotifyType, NotifyView, SaView, TsView,
    vendor_name,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[a, b], octets)) = data.split_first_chunk() else { return };
    // A registry's numbers by their index, so that few are wasted on unknown ones.
    let known = NotifyType::KNOWN[usize::from(a) % NotifyType::KNOWN.len()].0;
    for notify_type in [known, NotifyType(u16::from_be_bytes([a, b]))] {
        let content = NotifyData::read(notify_type, octets);
        assert_eq!(content.to_vec(), octets);
        if let NotifyData::AuthMethods(methods) = content {
            let mut again = Vec::new();
            methods.iter().for_each(|announced| announced.emit(&mut again));
            assert_eq!(again, octets);
        }
    }
    for kind in [u16::from(a) % 32, u16::from_be_bytes([a, b])] {
        assert_eq!(CfgValue::read(CfgAttributeType(kind), octets).to_vec(), octets);
    }
    let method = EapMethod::read(EapType(a), octets);
    assert_eq!(method.to_vec()[1..], *octets);
    if let Ok(eap) = EapView::parse(octets, 0) {
        assert_eq!(eap.to_vec(), octets);
    }
    if let Ok(algorithm) = AlgorithmIdentifier::parse(octets, 0) {
        let _ = (algorithm.name(), algorithm.pss_hash());
    }
    if let Ok(parts) = DigitalSignature::parse(octets, 0) {
        assert_eq!(1 + parts.algorithm.len() + parts.signature.len(), octets.len());
    }
    assert!(vendor_name(octets).is_none_or(|known| octets.ends_with(known.rest)));
    // Every body's own parser, at any offset.
    let offset = if a & 1 == 0 { usize::from(b) } else { usize::MAX };
    let _ = (NotifyView::parse(octets, offset), AuthView::parse(octets, offset));
    let _ = SaView::parse(octets, offset, &Limits::DEFAULT).map(|sa| sa.to_owned());
    let _ = TsView::parse(octets, offset, &Limits::DEFAULT).map(|ts| ts.to_owned());
    let _ = CpView::parse(octets, offset, &Limits::DEFAULT).map(|cp| cp.values().count());
    let encoding = CertEncoding(a % 16);
    let _ = (
        CertView { encoding, data: octets }.hash_and_url(),
        CertReqView { encoding, data: octets }.authorities(),
    );
});
