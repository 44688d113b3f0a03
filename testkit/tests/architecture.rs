//! ARCHITECTURE.md leads from sections of the RFCs to files: they are there, and every crate of the family is named.

use std::path::Path;

#[test]
fn every_file_that_a_section_leads_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = include_str!("../../ARCHITECTURE.md");
    let (_, sections) = text.split_once("\n## Sections\n").unwrap();
    let (sections, _) = sections.split_once("\n## ").unwrap();
    let files: Vec<&str> = sections.split('`').filter(|part| part.ends_with(".rs")).collect();
    for rfc in ["7296", "4301", "4302", "4303"] {
        assert!(sections.contains(&format!("| RFC {rfc} |")), "no table for RFC {rfc}");
    }
    let missing: Vec<&&str> = files.iter().filter(|file| !root.join(file).is_file()).collect();
    assert!(missing.is_empty(), "no such files: {missing:?}");
    for name in ["ikev2-core", "ipsec", "ipsec-sa", "ipsec-esp", "ipsec-ah", "ipsec-wire"] {
        let folder = format!("{name}/src/");
        assert!(files.iter().any(|file| file.starts_with(&folder)), "nothing in {name}");
    }
}
