//! `inspect` on captures of other implementations, against what tcpdump prints of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ipsec_sa::Fragments;
use ipsec_wire::ike::{ExchangeType, Flags, MessageBuilder, Payload};
use ipsec_wire::ip::Ipv4Header;
use ipsec_wire::{IkeSpi, IpProtocol};
use serde_json::Value;

fn inspect(capture: &str, more: &[&str]) -> Output {
    let data = |name: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_inspect"));
    command.arg(data(capture));
    for argument in more {
        // A table is a file of the same folder.
        match argument.strip_prefix('@') {
            Some(table) => command.arg(data(table)),
            None => command.arg(argument),
        };
    }
    command.output().expect("inspect runs")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn objects(output: &Output) -> Vec<Value> {
    text(output).lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

fn of<'v>(objects: &'v [Value], name: &str) -> Vec<&'v Value> {
    objects.iter().map(|object| &object[name]).collect()
}

#[test]
fn an_ike_auth_decrypted() {
    let output = inspect("ikev2pI2.pcap", &["--ike-keys", "@ikev2_decryption_table"]);
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output);
    assert!(shown.contains("IKE_AUTH request 0: SK {IDi AUTH}"), "{shown}");
    assert!(
        shown.contains("\n      IDi (35), 12 octets\n        type ID_FQDN (2)\n        \"west\"\n"),
        "{shown}"
    );
    assert!(!shown.contains('\x1b'), "no colour but on a terminal");
    // Without keys it still parses.
    let output = inspect("ikev2pI2.pcap", &["--brief"]);
    assert_eq!((output.status.code(), text(&output).lines().count()), (Some(0), 2));
}

#[test]
fn esp_decrypted() {
    let output = inspect("08-sunrise-sunset-aes.pcap", &["--json", "--esp-keys", "@esp_sa"]);
    assert_eq!(output.status.code(), Some(0));
    let packets = objects(&output);
    assert_eq!(packets.len(), 8);
    for (packet, number) in packets.iter().zip(1..) {
        assert_eq!((&packet["protocol"], &packet["spi"]), (&"ESP".into(), &"0xd1234567".into()));
        assert_eq!((packet["seq"].as_u64(), packet["icv_checked"].as_bool()), (Some(number), None));
        assert_eq!(packet["inside"], "192.0.2.1 > 192.0.1.1, ICMP type 8 code 0, 84 octets");
    }
}

#[test]
fn captures_that_parse_whole() {
    let ikev2 = objects(&inspect("ikev2four.pcap", &["--json"]));
    assert_eq!(ikev2.len(), 21);
    assert_eq!(ikev2[1]["payloads"], Value::from(vec!["N(COOKIE)"]));
    assert!(of(&ikev2, "protocol").iter().all(|protocol| **protocol == "IKEv2"));

    let ikev1 = objects(&inspect("ISAKMP_sa_setup.pcap", &["--json"]));
    assert_eq!(ikev1.len(), 9);
    assert!(of(&ikev1, "protocol").iter().all(|protocol| **protocol == "IKEv1"));
    assert_eq!(ikev1[0]["payloads"], Value::from(vec!["SA", "VID", "VID", "VID"]));

    let natt = objects(&inspect("isakmp4500.pcap", &["--json"]));
    let count = |protocol: &str| of(&natt, "protocol").iter().filter(|found| **found == protocol).count();
    assert!(count("IKEv1") > 11 && count("ESP") == 8 && count("NAT-keepalive") == 4, "{natt:?}");

    let ah = objects(&inspect("OSPFv3_with_AH.pcap", &["--json"]));
    assert!(ah.len() > 24 && of(&ah, "next_header").iter().all(|next| **next == "OSPF"));
    for capture in ["ikev2four.pcap", "ISAKMP_sa_setup.pcap", "isakmp4500.pcap", "OSPFv3_with_AH.pcap"] {
        assert_eq!(inspect(capture, &[]).status.code(), Some(0), "{capture}");
    }
}

#[test]
fn what_does_not_parse_is_said_and_counts() {
    for capture in ["isakmp-pointer-loop.pcap", "ikev2pI2-segfault.pcapng"] {
        let output = inspect(capture, &["--color", "always"]);
        assert_eq!(output.status.code(), Some(1), "{capture}");
        assert!(text(&output).contains("\x1b[31mdoes not parse: "), "{capture}");
        let objects = objects(&inspect(capture, &["--json"]));
        assert!(of(&objects, "error").iter().any(|error| error.is_string()), "{capture}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    assert_eq!(inspect("none.pcap", &[]).status.code(), Some(2));
    let no_capture = inspect("README.md", &[]);
    assert_eq!(no_capture.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&no_capture.stderr).contains("neither pcap nor pcapng"),
        "{no_capture:?}"
    );
    let wrong_table = inspect("ikev2pI2.pcap", &["--ike-keys", "@README.md"]);
    assert_eq!(wrong_table.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&wrong_table.stderr)
            .contains("line 3: a line of Wireshark's table ikev2_decryption_table has 8 fields"),
        "{wrong_table:?}"
    );
}

/// A capture of the `tunnel` program and the keys of its run, in a directory of the test's own.
fn tunnel(name: &str, more: &[&str]) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tunnel"));
    let output = command.args(["--megabytes", "1"]).arg("--capture").arg(&directory).args(more).output();
    let output = output.expect("tunnel runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    directory
}

fn of_tunnel(directory: &Path, more: &[&str]) -> Output {
    let file = |name: &str| directory.join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_inspect"));
    command.arg(file("tunnel.pcapng")).arg("--ike-keys").arg(file("ikev2_decryption_table"));
    command.arg("--esp-keys").arg(file("esp_sa")).args(more).output().expect("inspect runs")
}

#[test]
fn every_packet_of_a_tunnel_decrypted() {
    for (name, suites) in [
        ("inspect-combined", &[][..]),
        ("inspect-plain", &["--suite", "aes128-sha256-x25519", "--esp", "aes256-sha512"]),
    ] {
        let directory = tunnel(name, suites);
        let output = of_tunnel(&directory, &["--json"]);
        let packets = objects(&output);
        assert_eq!(output.status.code(), Some(0), "{:?}", packets.iter().find(|it| it["error"].is_string()));
        let counted = |protocol: &str| packets.iter().filter(|it| it["protocol"] == protocol).count();
        assert!(counted("IKEv2") >= 10 && counted("ESP") > 700, "{} {}", counted("IKEv2"), counted("ESP"));
        assert_eq!(counted("IKEv2") + counted("ESP") + counted("NAT-keepalive"), packets.len());
        // Every ICV is checked, and inside every ESP packet is one of the TCP transfer.
        for packet in &packets {
            let inside = packet["inside"].as_str().unwrap_or_default();
            match packet["protocol"].as_str() {
                Some("ESP") => assert!(inside.starts_with("10.") && inside.contains("TCP"), "{packet}"),
                _ if packet["exchange"] == "IKE_SA_INIT" => continue,
                _ => assert!(packet["inside"].is_array(), "{packet}"),
            }
            assert_eq!(packet["icv_checked"], true, "{packet}");
        }
        let of_exchange = |name: &str| packets.iter().filter(|it| it["exchange"] == name).count();
        assert_eq!((of_exchange("IKE_SA_INIT"), of_exchange("IKE_AUTH")), (2, 2));
        assert_eq!(of_exchange("CREATE_CHILD_SA"), 6, "two Child SAs and the IKE SA are replaced");
    }
}

#[test]
fn a_wrong_key_is_said_and_counts() {
    let directory = tunnel("inspect-wrong", &[]);
    let table = directory.join("esp_sa");
    let keys = std::fs::read_to_string(&table).expect("table");
    // Another digit at the end of the first SA's salt.
    let end = keys.find("\",\"NULL\"").expect("a key");
    let digit = if keys.as_bytes()[end - 1] == b'0' { "1" } else { "0" };
    std::fs::write(&table, [&keys[..end - 1], digit, &keys[end..]].concat()).expect("written");
    let output = of_tunnel(&directory, &["--brief", "--color", "always"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("\x1b[31mdoes not parse: "), "{}", text(&output));
}

#[test]
fn the_help_is_complete() {
    let output = Command::new(env!("CARGO_BIN_EXE_inspect")).arg("--help").output().expect("inspect runs");
    let help = text(&output);
    for said in [
        "--ike-keys",
        "--esp-keys",
        "--ike-port",
        "--encap-port",
        "--json",
        "--brief",
        "--whole",
        "--color",
        "IKETCP",
        "Exit codes",
        "Examples",
        "NO_COLOR",
    ] {
        assert!(help.contains(said), "{said} in\n{help}");
    }
    assert_eq!(output.status.code(), Some(0));
}

/// A capture of IP packets without frames around them.
fn capture_of(name: &str, packets: &[Vec<u8>]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = words(&[0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65_535, 101]);
    for (second, packet) in (1..).zip(packets) {
        let len = u32::try_from(packet.len()).unwrap();
        file.extend(words(&[second, 0, len, len]));
        file.extend(packet);
    }
    std::fs::write(&path, file).expect("written");
    path
}

#[test]
fn fragments_of_ip_are_put_together() {
    let vendor = Payload::Vendor(vec![0x77; 2000]);
    let message =
        MessageBuilder::new(IkeSpi([1; 8]), IkeSpi::ZERO, ExchangeType::IKE_SA_INIT, Flags::INITIATOR, 0)
            .with(vendor)
            .emit();
    let len = u16::try_from(8 + message.len()).unwrap();
    let [high, low] = len.to_be_bytes();
    let (src, dst) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    let header = Ipv4Header { tos: 0, id: 9, df: false, ttl: 64, protocol: IpProtocol::UDP, src, dst };
    let udp = [1, 244, 1, 244, high, low, 0, 0];
    let packet = [&header.emit(20 + len)[..], &udp, &message].concat();
    let mut cut = Fragments::ipv4(&packet, 900).unwrap();
    let mut pieces = Vec::new();
    let mut out = [0; 900];
    while let Some(len) = cut.write_next(&mut out).unwrap() {
        pieces.push(out[..len].to_vec());
    }
    assert_eq!(pieces.len(), 3);
    pieces.reverse();
    let whole = capture_of("fragments.pcap", &pieces);
    let output = inspect(whole.to_str().unwrap(), &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let objects = objects(&output);
    let last = objects.last().unwrap();
    assert_eq!((&last["protocol"], &last["octets"]), (&"IKEv2".into(), &message.len().into()), "{last}");
    assert_eq!(last["reassembled_octets"], packet.len());
    // Without the one in the middle there is no message, and nothing has failed.
    pieces.remove(1);
    let part = capture_of("part.pcap", &pieces);
    let output = inspect(part.to_str().unwrap(), &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(!text(&output).contains("IKEv2"), "{}", text(&output));
}

/// The packets of a capture without frames around them.
fn packets_of(capture: &str) -> Vec<Vec<u8>> {
    let file =
        std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(capture)).unwrap();
    let (mut rest, mut packets) = (&file[24..], Vec::new());
    while let Some((header, after)) = rest.split_first_chunk::<16>() {
        let len = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        let (packet, after) = after.split_at(len);
        packets.push(packet.to_vec());
        rest = after;
    }
    packets
}

const TCP_KEYS: [&str; 4] =
    ["--ike-keys", "@tcp_encap_ikev2_decryption_table", "--esp-keys", "@tcp_encap_esp_sa"];

/// What is in a capture over TCP: the frame, which end sent it, what it is, and what tells it from others.
fn over_tcp(capture: &str, more: &[&str]) -> (Option<i32>, Vec<(u64, String)>) {
    let output = inspect(capture, &[&["--json"], &TCP_KEYS[..], more].concat());
    let packets = objects(&output);
    let shown = packets.iter().map(|packet| {
        assert_eq!(packet["transport"], "TCP", "{packet}");
        let text = |name: &str| packet[name].as_str().unwrap_or_default();
        let from = packet["src_port"].as_u64().unwrap();
        let what = match text("protocol") {
            _ if packet["error"].is_string() => text("error").to_owned(),
            "IKEv2" => format!("{} {} {}", text("exchange"), packet["message_id"], packet["inside"]),
            "ESP" => format!("ESP {} {} {}", text("spi"), packet["seq"], text("inside")),
            _ => format!("{} {}", text("protocol"), text("summary")),
        };
        assert!(text("inside").is_empty() || packet["icv_checked"] == true, "{packet}");
        (packet["number"].as_u64().unwrap(), format!("{from} {what}"))
    });
    (output.status.code(), shown.collect())
}

#[test]
fn a_tcp_stream_in_awkward_segments() {
    // The frames, lengths, sequence numbers and inner packets are also those that tshark 4.0 reassembles and decrypts.
    let expected = [
        (5, "40000 TCP-encapsulation stream prefix"),
        (9, "40000 IKE_SA_INIT 0 null"),
        (10, "4500 IKE_SA_INIT 0 null"),
        (13, "40000 INFORMATIONAL 1 []"),
        (13, "40000 ESP 0xc0ffee01 1 10.1.0.1 > 10.2.0.2, ICMP type 8 code 0, 68 octets"),
        (13, "40000 NAT-keepalive "),
        (13, "40000 TCP-encapsulation empty message"),
        (15, "4500 INFORMATIONAL 1 []"),
        (15, "4500 ESP 0xc0ffee02 1 10.2.0.2 > 10.1.0.1, ICMP type 0 code 0, 68 octets"),
        (20, "40000 ESP 0xc0ffee01 2 10.1.0.1 > 10.2.0.2, ICMP type 8 code 0, 1328 octets"),
        (20, "40000 ESP 0xc0ffee01 3 10.1.0.1 > 10.2.0.2, ICMP type 8 code 0, 28 octets"),
        (20, "40000 INFORMATIONAL 2 [\"D\"]"),
        (21, "4500 ESP 0xc0ffee02 2 10.2.0.2 > 10.1.0.1, ICMP type 0 code 0, 1328 octets"),
        (21, "4500 INFORMATIONAL 2 []"),
        (33, "50001 TCP-encapsulation stream prefix"),
        (33, "50001 IKE_SA_INIT 0 null"),
        (34, "8443 IKE_SA_INIT 0 null"),
        (34, "8443 ESP 0xc0ffee02 3 10.2.0.2 > 10.1.0.1, ICMP type 0 code 0, 37 octets"),
    ];
    let expected = expected.map(|(number, what)| (number, what.to_owned()));
    let (code, shown) = over_tcp("tcp_encap.pcap", &[]);
    assert_eq!((code, shown.as_slice()), (Some(0), &expected[..]));
    // In the opposite order behind the SYNs, in the end the same.
    let mut packets = packets_of("tcp_encap.pcap");
    packets[2..21].reverse();
    packets.swap(0, 1);
    let reversed = capture_of("tcp-reversed.pcap", &packets);
    let (code, shown) = over_tcp(reversed.to_str().unwrap(), &[]);
    let sorted = |shown: &[(u64, String)]| {
        let mut shown: Vec<String> = shown.iter().map(|(_, what)| what.clone()).collect();
        shown.sort();
        shown
    };
    assert_eq!((code, sorted(&shown)), (Some(0), sorted(&expected)));

    let text = text(&inspect("tcp_encap.pcap", &["--brief"]));
    assert!(
        text.contains(" 192.0.2.2:4500 > 192.0.2.1:40000 TCP IKEv2 IKE_SA_INIT response 0: SA KE"),
        "{text}"
    );
}

#[test]
fn a_segment_of_a_tcp_stream_is_missing() {
    let whole = over_tcp("tcp_encap.pcap", &[]).1;
    let packets = packets_of("tcp_encap.pcap");
    let mut lost = packets.clone();
    lost.remove(18);
    let (code, shown) = over_tcp(capture_of("tcp-lost.pcap", &lost).to_str().unwrap(), &[]);
    assert_eq!(code, Some(1));
    let errors: Vec<_> = shown.iter().filter(|(_, what)| what.contains("not in the capture")).collect();
    // What the client sent behind it is missing, at its end that is said, and all of the server's is there.
    assert_eq!(errors.len(), 1, "{shown:?}");
    assert!(errors[0].1.starts_with("40000 what the sender sent from sequence number 163 on"), "{errors:?}");
    let of =
        |shown: &[(u64, String)], port: &str| shown.iter().filter(|(_, it)| it.starts_with(port)).count();
    assert_eq!((of(&shown, "4500 "), of(&shown, "40000 ")), (of(&whole, "4500 "), 6 + 1));

    // What begins in the middle is taken from a message on, where a port says what it is.
    let middle = capture_of("tcp-middle.pcap", &packets[33..34]);
    let (code, shown) = over_tcp(middle.to_str().unwrap(), &["--encap-port", "8443"]);
    assert_eq!(code, Some(0));
    assert_eq!(shown.iter().map(|(_, what)| what).collect::<Vec<_>>(), [&whole[16].1, &whole[17].1]);
    assert_eq!(over_tcp(middle.to_str().unwrap(), &[]), (Some(0), vec![]));
    let middle = capture_of("tcp-unaligned.pcap", &packets[10..24]);
    let (code, shown) = over_tcp(middle.to_str().unwrap(), &[]);
    assert_eq!((code, shown.len()), (Some(0), 2), "{shown:?}");
    assert!(shown.iter().all(|(_, what)| what.contains("beginning is not in the capture")), "{shown:?}");
}
