//! Laws of IKE messages: nothing panics, what is accepted is rebuilt octet for octet, what is built
//! well-formed is read back equal, and what is built ill-formed is refused or still obeys the first two.

mod common;

use bytes::BytesMut;
use common::{inner_payload, message, packets, with_flags};
use ipsec_wire::ike::*;
use ipsec_wire::{Counted, IkeSpi, Limits, ParseErrorKind};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

/// Reads everything there is to read of an accepted message.
fn accepted(view: MessageView<'_>) {
    assert_eq!(view.to_builder().emit(), view.raw());
    let mut end = Header::LEN;
    for payload in view.payloads() {
        assert_eq!(payload.offset, end, "payloads stand one behind the other");
        end += PAYLOAD_HEADER_LEN + payload.body.len();
        typed(&payload);
    }
    assert_eq!(end, view.raw().len(), "payloads fill the message");
    assert!(!format!("{view}").is_empty() && !format!("{view:#}").is_empty());
    assert_eq!(view.summary().to_string().is_empty(), view.payloads().next().is_none());
}

/// What is understood has a kind, and what a body says in typed form is what its octets say.
fn typed(payload: &PayloadView<'_>) {
    let kind = payload.kind();
    let opaque = matches!(kind, PayloadKind::Unknown(_) | PayloadKind::Gspm(_) | PayloadKind::Ps(_));
    assert_eq!(opaque, !payload.payload_type.is_understood());
    match kind {
        PayloadKind::Notify(notify) => assert_eq!(notify.content().to_vec(), notify.data),
        PayloadKind::Cp(cp) => {
            for (kind, value) in cp.attributes() {
                assert_eq!(CfgValue::read(kind, value).to_vec(), value, "{kind}");
            }
            assert_eq!(cp.values().count(), cp.attributes().count());
        }
        PayloadKind::Eap(packet) => {
            if let Ok(eap) = EapView::parse(packet, payload.offset + 4) {
                assert_eq!(eap.to_vec(), packet);
                assert_eq!(
                    eap.method().map(|method| method.to_vec()),
                    eap.eap_type().map(|_| eap.body.to_vec())
                );
            }
        }
        PayloadKind::Auth(auth) => {
            if let Some(parts) = auth.digital_signature() {
                let again =
                    Auth::digital_signature(parts.algorithm, parts.signature).expect("it fitted before");
                assert_eq!(again.data, auth.data);
                let der = parts.algorithm_identifier().map(|read| read.der);
                assert!(der.is_none_or(|der| der == parts.algorithm));
            }
        }
        PayloadKind::Ps(solution) => {
            assert!(solution.keys().is_none_or(|keys| keys.concat() == solution.data));
        }
        PayloadKind::Vendor(vendor) => {
            assert!(vendor_name(vendor).is_none_or(|known| vendor.ends_with(known.rest)));
        }
        _ => {}
    }
}

fn parse_and_check(raw: &[u8]) -> bool {
    let tight = Limits::DEFAULT.payloads(3).proposals(2).transforms(4).attributes(2).selectors(2).notifies(1);
    let _ = MessageView::parse(raw, &tight);
    match MessageView::parse(raw, &Limits::DEFAULT) {
        Ok(view) => {
            accepted(view);
            true
        }
        Err(error) => {
            assert!(error.offset <= raw.len(), "{error} in {} octets", raw.len());
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

fn empty() -> MessageBuilder {
    MessageBuilder::new(IkeSpi([1; 8]), IkeSpi([2; 8]), ExchangeType::INFORMATIONAL, Flags::INITIATOR, 5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn well_formed_messages_come_back_equal(builder in message()) {
        let raw = builder.emit();
        let message = Message::parse(raw.clone(), &Limits::DEFAULT).unwrap();
        accepted(message.view());
        prop_assert_eq!(&message.to_builder(), &builder);
        prop_assert_eq!(&message.into_inner(), &raw);
        // Behind other octets of the same buffer, and shared without a copy.
        let mut buffer = BytesMut::from(&[0; 4][..]);
        builder.emit_into(&mut buffer);
        prop_assert_eq!(&buffer[4..], &raw[..]);
        let shared = Message::parse(buffer.freeze().slice(4..), &Limits::DEFAULT).unwrap();
        prop_assert_eq!(shared.clone().into_inner(), raw);
        prop_assert_eq!(shared.to_builder(), builder);
    }

    #[test]
    fn decrypted_chains_come_back_equal(payloads in vec(with_flags(inner_payload()), 0..7), base in 0usize..2000) {
        let (first, raw) = emit_chain(&payloads);
        let chain = PayloadChain::parse(first, &raw, base, &Limits::DEFAULT).unwrap();
        prop_assert_eq!(chain.to_builders(), payloads);
        prop_assert!(chain.payloads().next().is_none_or(|payload| payload.offset == base));
        prop_assert_eq!(chain.to_string().is_empty(), raw.is_empty());
    }

    #[test]
    fn a_datagram_shorter_or_longer_than_its_length_is_refused(builder in message(), cut: Index, more in 1usize..9) {
        let mut raw = builder.emit();
        let length = raw.len();
        let short = cut.index(length);
        let at = if short < Header::LEN { 0 } else { 24 };
        let error = MessageView::parse(&raw[..short], &Limits::DEFAULT).unwrap_err();
        prop_assert_eq!(error, ParseErrorKind::Truncated.at_octet(at));
        raw.resize(length + more, 0);
        let error = MessageView::parse(&raw, &Limits::DEFAULT).unwrap_err();
        prop_assert_eq!(error, ParseErrorKind::TrailingOctets.at_octet(length));
    }

    #[test]
    fn any_octets_are_read_or_refused(mut raw in vec(any::<u8>(), 0..600), fix: bool) {
        if fix && raw.len() >= Header::LEN {
            let length = raw.len() as u32;
            raw[17] = 0x20;
            raw[24..28].copy_from_slice(&length.to_be_bytes());
        }
        parse_and_check(&raw);
        for first in [PayloadType::SA, PayloadType::TSI, PayloadType::CP, PayloadType::DELETE, PayloadType::NOTIFY] {
            let _ = PayloadChain::parse(first, &raw, 0, &Limits::DEFAULT).map(|chain| chain.to_string());
        }
    }

    #[test]
    fn damaged_messages_are_read_or_refused(builder in message(), damage in vec((any::<Index>(), any::<u8>()), 1..4)) {
        let mut raw = builder.emit();
        for (at, value) in damage {
            let at = at.index(raw.len());
            raw[at] = value;
        }
        parse_and_check(&raw);
    }

    #[test]
    fn overridden_fields_are_written_as_they_are_told(
        builder in message(),
        which: Index,
        next in option::of(any::<u8>()),
        length in option::of(any::<u16>()),
        header in (option::of(any::<u8>()), option::of(0u32..700), vec(any::<u8>(), 0..5)),
    ) {
        let mut builder = builder;
        builder.next_payload = header.0.map(PayloadType);
        builder.length = header.1;
        builder.trailing = header.2;
        if !builder.payloads.is_empty() {
            let at = which.index(builder.payloads.len());
            builder.payloads[at].next_payload = next.map(PayloadType);
            builder.payloads[at].length = length;
        }
        let raw = builder.emit();
        if let Some(length) = builder.length {
            prop_assert_eq!(&raw[24..28], &length.to_be_bytes());
        }
        if let Some(PayloadType(next)) = builder.next_payload {
            prop_assert_eq!(raw[16], next);
        }
        prop_assert!(raw.ends_with(&builder.trailing));
        parse_and_check(&raw);
    }
}

/// A shorthand for the errors that tests expect.
trait AtOctet {
    fn at_octet(self, offset: usize) -> ipsec_wire::ParseError;
}

impl AtOctet for ParseErrorKind {
    fn at_octet(self, offset: usize) -> ipsec_wire::ParseError {
        ipsec_wire::ParseError::new(self, offset)
    }
}

#[test]
fn captured_messages_with_every_octet_changed() {
    let mut seen = [0u32; 2];
    for mut raw in packets(include_str!("data/ikev2four.hex")).into_iter().take(5) {
        for at in 0..raw.len() {
            for value in [0, 1, raw[at].wrapping_add(1), raw[at] ^ 0x80, 0xff] {
                let was = core::mem::replace(&mut raw[at], value);
                seen[usize::from(parse_and_check(&raw))] += 1;
                raw[at] = was;
            }
        }
    }
    assert!(seen[0] > 300 && seen[1] > 3000, "refused and accepted: {seen:?}");
}

#[test]
fn packets_that_crashed_dissectors() {
    let all = packets(include_str!("data/once-crashed-dissectors.hex"));
    assert_eq!(all.len(), 11);
    assert!(all.iter().all(|raw| !parse_and_check(raw)), "none of them is a sound IKEv2 message");
}

#[test]
fn an_absurd_base_offset_does_no_harm() {
    let types =
        [PayloadType::SA, PayloadType::KE, PayloadType::NOTIFY, PayloadType::DELETE, PayloadType::TSI];
    for (first, octet) in types.into_iter().flat_map(|first| [0, 1, 4, 8, 255].map(|octet| (first, octet))) {
        for octets in [vec![octet; 64], [&[0, 0, 0, 64][..], &[octet; 60]].concat()] {
            let _ = PayloadChain::parse(first, &octets, usize::MAX, &Limits::DEFAULT);
            let _ = SaView::parse(&octets, usize::MAX, &Limits::DEFAULT);
            let _ = TsView::parse(&octets, usize::MAX, &Limits::DEFAULT);
            let _ = CpView::parse(&octets, usize::MAX, &Limits::DEFAULT);
            let _ = (NotifyView::parse(&octets, usize::MAX), DeleteView::parse(&octets, usize::MAX));
            // A view that nobody validated.
            for payload_type in (0..=u8::MAX).map(PayloadType) {
                for body in [&octets[..], &octets[..3]] {
                    let next_payload = PayloadType::NONE;
                    let payload =
                        PayloadView { payload_type, next_payload, flags: 0, body, offset: usize::MAX };
                    let _ = (payload.to_string(), payload.to_builder());
                }
            }
        }
    }
}

#[test]
fn chains_that_do_not_end_where_the_message_ends() {
    let parse = |builder: &MessageBuilder| MessageView::parse(&builder.emit(), &Limits::DEFAULT).map(drop);
    let nonce = || PayloadBuilder::from(Payload::Nonce(vec![7; 16]));
    let two = empty().with(nonce()).with(nonce());
    assert_eq!(parse(&two), Ok(()));

    let mut early = two.clone();
    early.payloads[0].next_payload = Some(PayloadType::NONE);
    assert_eq!(parse(&early), Err(ParseErrorKind::TrailingOctets.at_octet(48)));
    let mut late = two.clone();
    late.payloads[1].next_payload = Some(PayloadType::VENDOR);
    assert_eq!(parse(&late), Err(ParseErrorKind::Truncated.at_octet(68)));
    let mut none = two.clone();
    none.next_payload = Some(PayloadType::NONE);
    assert_eq!(parse(&none), Err(ParseErrorKind::TrailingOctets.at_octet(28)));
    for (length, kind) in [(3, ParseErrorKind::BadLength), (21, ParseErrorKind::Truncated)] {
        let mut wrong = two.clone();
        wrong.payloads[1].length = Some(length);
        assert_eq!(parse(&wrong), Err(kind.at_octet(50)));
    }
    let mut short = empty();
    short.length = Some(27);
    assert_eq!(parse(&short), Err(ParseErrorKind::BadLength.at_octet(24)));
    let mut one = empty();
    one.version = 0x10;
    assert_eq!(parse(&one), Err(ParseErrorKind::UnsupportedVersion(1).at_octet(17)));
}

#[test]
fn an_encrypted_payload_is_the_last_and_holds_no_other() {
    let sk = || SkBody { next: PayloadType::NOTIFY, body: vec![0xee; 40] };
    let message = empty().with(Payload::Nonce(vec![1])).with(sk());
    let raw = message.emit();
    let view = MessageView::parse(&raw, &Limits::DEFAULT).unwrap();
    let found = view.encrypted().unwrap();
    assert_eq!((found.next, found.body, found.payload_offset), (PayloadType::NOTIFY, &[0xee; 40][..], 33));
    assert_eq!(view.payloads().count(), 2);

    let raw = empty().with(sk()).with(Payload::Nonce(vec![1; 16])).emit();
    let error = MessageView::parse(&raw, &Limits::DEFAULT).unwrap_err();
    assert_eq!(error, ParseErrorKind::TrailingOctets.at_octet(28 + 44));

    for nested in [Payload::Sk(sk()), Payload::Skf(SkfBody::default())] {
        let kind = nested.payload_type();
        let (first, raw) = emit_chain(&[Payload::Nonce(vec![1; 16]), nested]);
        let error = PayloadChain::parse(first, &raw, 60, &Limits::DEFAULT).unwrap_err();
        assert_eq!(error, ParseErrorKind::UnexpectedPayload(kind.0).at_octet(80));
    }
}

#[test]
fn a_critical_payload_that_is_not_understood_is_surfaced() {
    let unknown = |kind: u8| Payload::Unknown { payload_type: PayloadType(kind), body: vec![1, 2] };
    let raw = empty().with(unknown(200)).with(PayloadBuilder::from(unknown(201)).critical()).emit();
    let view = MessageView::parse(&raw, &Limits::DEFAULT).unwrap();
    assert_eq!(view.unsupported_critical(), Some(PayloadType(201)));
    let raw = empty().with(PayloadBuilder::from(Payload::Nonce(vec![0; 16])).critical()).emit();
    let view = MessageView::parse(&raw, &Limits::DEFAULT).unwrap();
    assert_eq!(view.unsupported_critical(), None);
}

#[test]
fn caps_are_totals_over_the_message() {
    let notify = || Notify::new(NotifyType::COOKIE, vec![]);
    let raw = empty().with(notify()).with(Payload::Nonce(vec![])).with(notify()).emit();
    let parse = |limits: Limits| MessageView::parse(&raw, &limits).map(drop);
    assert_eq!(parse(Limits::DEFAULT.notifies(2).payloads(3).message_len(48)), Ok(()));
    let error = |counted, at| Err(ParseErrorKind::TooMany(counted).at_octet(at));
    assert_eq!(parse(Limits::DEFAULT.notifies(1)), error(Counted::Notifies, 44));
    assert_eq!(parse(Limits::DEFAULT.payloads(2)), error(Counted::Payloads, 40));
    assert_eq!(parse(Limits::DEFAULT.message_len(47)), error(Counted::Octets, 47));
}

#[test]
fn a_body_longer_than_its_length_field_does_not_parse() {
    let raw = empty().with(Payload::Vendor(vec![0; 70_000])).emit();
    assert_eq!((raw.len(), &raw[30..32]), (28 + 4 + 70_000, &[0xff; 2][..]));
    assert!(MessageView::parse(&raw, &Limits::DEFAULT.message_len(100_000)).is_err());
}
