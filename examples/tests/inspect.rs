//! `inspect` on captures of other implementations, against what tcpdump prints of them.

use std::path::PathBuf;
use std::process::{Command, Output};

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
    assert_eq!(inspect("README.md", &[]).status.code(), Some(2));
    let wrong_table = inspect("ikev2pI2.pcap", &["--ike-keys", "@README.md"]);
    assert_eq!(wrong_table.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong_table.stderr).contains("line 3: 8 fields"), "{wrong_table:?}");
}
