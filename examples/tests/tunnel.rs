//! The `tunnel` program as a user starts it: what it prints and how it ends.

#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "starts a program")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn tunnel(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tunnel")).args(arguments).output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// A directory of this test program's own.
fn directory(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    directory
}

#[test]
fn the_transfer_holds_and_the_report_says_what_happened() {
    let output = tunnel(&["--megabytes", "4"]);
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{report}{}", text(&output.stderr));
    for line in [
        "IKE_SA_INIT request 0",
        "SK{N(REKEY_SA) SA Ni KE TSi TSr}",
        "aes256gcm16-prfsha384-x25519",
        "aes256gcm16-esn",
        "the Child SA replaced 2 times, the IKE SA 1 times",
        "dropped     nothing",
        "everything held",
    ] {
        assert!(report.contains(line), "{line} in\n{report}");
    }
    let digests: Vec<&str> = report
        .lines()
        .filter_map(|line| line.strip_prefix("SHA-256 "))
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert_eq!(digests.len(), 2);
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn the_octets_come_from_the_seed() {
    let digest = |seed: &str| {
        let report = text(&tunnel(&["--megabytes", "1", "--seed", seed]).stdout);
        report.lines().find(|line| line.starts_with("SHA-256 received")).map(str::to_owned).unwrap()
    };
    assert_eq!(digest("5"), digest("5"));
    assert_ne!(digest("5"), digest("6"));
}

#[test]
fn losses_are_made_good() {
    let output = tunnel(&["--megabytes", "2", "--loss", "5", "--seed", "3"]);
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{report}{}", text(&output.stderr));
    assert!(report.contains("on purpose"), "{report}");
}

#[test]
fn a_plain_cipher_with_an_hmac_and_no_extended_numbers_works_too() {
    let suite = "aes256-sha256-ecp256";
    let output = tunnel(&["--megabytes", "1", "--suite", suite, "--esp", "aes256-sha256"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains(suite));
}

#[test]
fn a_capture_has_all_datagrams_and_the_keys_of_every_sa() {
    let directory = directory("capture");
    let output = tunnel(&["--megabytes", "1", "--capture", directory.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let capture = fs::read(directory.join("tunnel.pcapng")).unwrap();
    assert!(capture.len() > 1 << 20 && capture.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]));
    let lines = |name: &str| fs::read_to_string(directory.join(name)).unwrap().lines().count();
    assert_eq!(lines("ikev2_decryption_table"), 2, "before and after the rekey");
    assert_eq!(lines("esp_sa"), 6, "three Child SAs, both ways");
}

#[test]
fn errors_say_what_to_do_next() {
    for (arguments, code, hint) in [
        (&["--suite", "aes256gcm16-prfsha348-x25519"][..], 2, "prfsha384"),
        (&["--esp", "aes256gcm16-esn", "--capture", "x"], 2, "Take esn out"),
        (&["--loss", "99"], 2, "between 0 and 25"),
        (&["--megabytes", "0"], 2, "--help"),
        (&["--suite", "aes256-sha256-ecp512bp"], 2, "Take another algorithm"),
    ] {
        let output = tunnel(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(text(&output.stderr).contains(hint), "{}", text(&output.stderr));
    }
    let file = directory("file");
    fs::write(&file, b"in the way").unwrap();
    let output = tunnel(&["--capture", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("Name a directory"), "{}", text(&output.stderr));
}

#[test]
fn the_help_is_complete() {
    let help = text(&tunnel(&["--help"]).stdout);
    for option in [
        "--megabytes",
        "--loss",
        "--seed",
        "--suite",
        "--esp",
        "--mtu",
        "--capture",
        "--patience",
        "Exit codes",
    ] {
        assert!(help.contains(option), "{option} in\n{help}");
    }
}

#[test]
fn whoever_stops_reading_gets_the_result_all_the_same() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tunnel"));
    let mut child = command.args(["--megabytes", "1"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
