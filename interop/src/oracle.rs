//! tshark as a judge: it decrypts a capture with the key tables we wrote, and must find everything in order.

use alloc::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::checked;

/// The tables, as Wireshark names its files.
pub(crate) const IKE_TABLE: &str = "ikev2_decryption_table";
/// The other one.
pub(crate) const ESP_TABLE: &str = "esp_sa";

/// What tshark 4.0 has names for, and so can decrypt or check. It has none for ChaCha20 and Poly1305 (4.6 knows them in ESP,
/// and so our tables name them there) nor for CCM in ESP; and CMAC and XCBC it does not compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// IKE messages are decrypted.
    pub(crate) ike: bool,
    /// ESP packets are decrypted.
    pub(crate) esp: bool,
    /// ICVs of ESP packets are checked.
    pub(crate) icv: bool,
}

impl Reach {
    /// All of it.
    pub(crate) const ALL: Self = Reach { ike: true, esp: true, icv: true };
}

/// What tshark makes of a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dissection {
    /// IKE messages that carry an encrypted payload.
    pub(crate) encrypted: usize,
    /// Those of them that it decrypted.
    pub(crate) decrypted: usize,
    /// IKE_AUTH messages whose AUTH payload it reads.
    pub(crate) authentications: usize,
    /// The domain names in ID payloads.
    pub(crate) identities: BTreeSet<String>,
    /// ESP packets.
    pub(crate) esp: usize,
    /// ESP packets with a good ICV.
    pub(crate) good_icv: usize,
    /// The SPIs of ESP packets.
    pub(crate) spis: BTreeSet<String>,
    /// ESP packets with an inner packet of the protocol that was asked for.
    pub(crate) inner: usize,
    /// Malformed packets.
    pub(crate) malformed: usize,
}

impl Dissection {
    /// Lets tshark read `capture` with the tables in the folder `tables`; `inner` is a protocol's name in tshark.
    pub(crate) fn of(capture: &Path, tables: &Path, inner: &str) -> Result<Self, String> {
        // tshark looks for its tables in a folder `wireshark` of the configuration folder.
        let configuration = tables.join("xdg");
        let folder = configuration.join("wireshark");
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        for table in [IKE_TABLE, ESP_TABLE] {
            fs::copy(tables.join(table), folder.join(table)).map_err(|error| format!("{table}: {error}"))?;
        }
        let mut command = Command::new("tshark");
        command
            .env("XDG_CONFIG_HOME", &configuration)
            .arg("-r")
            .arg(capture)
            .args(["-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE"])
            .args(["-o", "esp.enable_null_encryption_decode_heuristic:FALSE"])
            .args(["-T", "fields", "-E", "separator=;", "-e", "frame.protocols"])
            .args(["-e", "isakmp.enc.data", "-e", "isakmp.enc.decrypted", "-e", "isakmp.auth.data"])
            .args(["-e", "isakmp.id.data.fqdn", "-e", "esp.spi", "-e", "esp.icv_good"]);
        for (port, protocol) in unusual_ports(capture)? {
            command.args(["-d", &format!("udp.port=={port},{protocol}")]);
        }
        Ok(Self::read(&checked(&mut command)?, inner))
    }

    /// Counts; `lines` holds one packet a line.
    fn read(lines: &str, inner: &str) -> Self {
        let mut found = Dissection::default();
        for line in lines.lines() {
            let mut fields = line.split(';');
            let mut next = || fields.next().unwrap_or_default();
            let (protocols, encrypted, decrypted) = (next(), next(), next());
            let (authentication, identities, spi, icv) = (next(), next(), next(), next());
            found.malformed += usize::from(protocols.contains("malformed"));
            if !encrypted.is_empty() {
                found.encrypted += 1;
                found.decrypted += usize::from(!decrypted.is_empty());
                found.authentications += usize::from(!authentication.is_empty());
                found.identities.extend(identities.split(',').filter(|id| !id.is_empty()).map(str::to_owned));
            }
            if !spi.is_empty() {
                found.esp += 1;
                found.good_icv += usize::from(matches!(icv, "1" | "True"));
                found.inner += usize::from(
                    protocols.split(':').skip_while(|&name| name != "esp").any(|name| name == inner),
                );
                found.spis.insert(spi.to_owned());
            }
        }
        found
    }

    /// Wants everything that tshark can know decrypted, good and well formed.
    pub(crate) fn ensure_clean(&self, reach: Reach) -> Result<(), String> {
        let mut wrong = Vec::new();
        let mut check = |holds: bool, what: &str| {
            if !holds {
                wrong.push(what.to_owned());
            }
        };
        check(self.encrypted > 0, "there is no encrypted IKE message");
        check(self.decrypted == self.encrypted || !reach.ike, "not every IKE message is decrypted");
        check(self.inner == self.esp || !reach.esp, "not every ESP packet shows its inner packet");
        check(self.good_icv == self.esp || !reach.icv, "not every ESP packet has a good ICV");
        check(self.malformed == 0, "there are malformed packets");
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(format!("tshark: {}: {self:?}", wrong.join(", "))),
        }
    }
}

/// The UDP ports of a capture that tshark would not know, with the protocol each carries.
///
/// A port of which a packet begins with the non-ESP marker carries IKE, ESP and keepalives (RFC 3948 §2.2).
fn unusual_ports(capture: &Path) -> Result<Vec<(u16, &'static str)>, String> {
    let fields =
        ["-T", "fields", "-E", "separator=;", "-e", "udp.srcport", "-e", "udp.dstport", "-e", "udp.payload"];
    let lines = checked(Command::new("tshark").arg("-r").arg(capture).args(["-Y", "udp"]).args(fields))?;
    let (mut all, mut encapsulated) = (BTreeSet::new(), BTreeSet::new());
    for line in lines.lines() {
        let fields: Vec<&str> = line.split(';').collect();
        let [source, destination, payload] = fields[..] else { continue };
        for port in [source, destination].iter().filter_map(|port| port.parse::<u16>().ok()) {
            all.insert(port);
            if payload.starts_with("00000000") {
                encapsulated.insert(port);
            }
        }
    }
    let protocol = |port: &u16| if encapsulated.contains(port) { "udpencap" } else { "isakmp" };
    Ok(all.iter().filter(|&&port| port != 500 && port != 4500).map(|port| (*port, protocol(port))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted() {
        let lines = "\
eth:ethertype:arp;;;;;;
eth:ethertype:ip:udp:isakmp;;;;;;
eth:ethertype:ip:udp:udpencap:isakmp;1;1;0102;a.test,b.test;;
eth:ethertype:ip:udp:udpencap:isakmp;1;;;;;
eth:ethertype:ip:udp:udpencap:esp:ip:icmp:data;;;;;0xcfc79751;1
eth:ethertype:ip:udp:udpencap:esp;;;;;0xcfc79752;0
eth:ethertype:ip:udp:udpencap:_ws.malformed;;;;;;
";
        let found = Dissection::read(lines, "icmp");
        assert_eq!((found.encrypted, found.decrypted, found.authentications), (2, 1, 1));
        assert_eq!((found.esp, found.good_icv, found.inner, found.malformed), (2, 1, 1, 1));
        assert_eq!((found.identities.len(), found.spis.len()), (2, 2));
        assert!(found.ensure_clean(Reach::ALL).is_err_and(|reason| reason.contains("malformed packets")));
        assert!(Dissection::read("", "icmp").ensure_clean(Reach::ALL).is_err());
    }
}
