//! Reading the vector files.

use std::path::Path;

use serde_json::Value;

use super::{Counts, Verdict};

/// A file of Wycheproof, by its name without `_test.json`.
pub(super) fn wycheproof(name: &str) -> Value {
    read(&format!("wycheproof/{name}_test.json"))
}

fn read(name: &str) -> Value {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors")).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The cases of the RFCs, and those computed by another implementation, for a table and number of the registry.
pub(super) fn own(kind: &str, id: u16) -> Vec<(Verdict, Value)> {
    let files = [("rfc.json", Verdict::Valid), ("computed.json", Verdict::Computed)];
    let mut cases = Vec::new();
    for (name, verdict) in files {
        let file = read(name);
        let ours = |case: &&Value| case["type"] == kind && case["id"] == id;
        cases.extend(list(&file, "tests").iter().filter(ours).map(|case| (verdict, case.clone())));
    }
    cases
}

/// Signatures of another implementation for a row.
pub(super) fn signatures(row: &str) -> Vec<Value> {
    let file = read("signatures.json");
    list(&file, "tests").iter().filter(|case| case["row"] == row).cloned().collect()
}

/// PKCS#8 and SubjectPublicKeyInfo of the test keys, by kind.
pub(super) fn keys() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let file = read("signatures.json");
    let key = |case: &Value| (text(case, "kind").to_owned(), octets(case, "pkcs8"), octets(case, "spki"));
    list(&file, "keys").iter().map(key).collect()
}

/// Every group with each of its cases.
pub(super) fn cases(file: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    list(file, "testGroups")
        .iter()
        .flat_map(|group| list(group, "tests").iter().map(move |case| (group, case)))
}

/// What the file says of the case.
pub(super) fn verdict(case: &Value) -> Verdict {
    match text(case, "result") {
        "valid" => Verdict::Valid,
        "invalid" => Verdict::Invalid,
        "acceptable" => Verdict::Acceptable,
        other => panic!("result {other}"),
    }
}

/// Whether every case of the file was counted.
pub(super) fn all_counted(counts: &Counts, before: usize, file: &Value) {
    let counted: usize = counts.0.values().sum();
    assert_eq!(counted - before, number(file, "numberOfTests"));
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value}"))
}

pub(super) fn octets(value: &Value, field: &str) -> Vec<u8> {
    hex::decode(text(value, field)).unwrap_or_else(|error| panic!("{field}: {error} in {value}"))
}

pub(super) fn number(value: &Value, field: &str) -> usize {
    let number = value[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {value}"));
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(super) fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().unwrap_or_else(|| panic!("no list {field} in {value}"))
}
