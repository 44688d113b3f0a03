//! strongSwan's charon as the peer: its configuration, its process, and the control socket that drives it.
//!
//! ESP runs in charon's own process (`kernel-libipsec`), because a kernel with ESP is not to be had
//! everywhere. Its peer therefore always sees a NAT: ESP goes in UDP on port 4500, in tunnel mode.

use core::fmt::Write as _;
use core::time::Duration;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use crate::case::Families;
use crate::netns::{self, Side};
use crate::process::{self, POLL, checked};

/// The plugins to load; with an explicit list nothing else is. kernel-libipsec stands before kernel-netlink.
const PLUGINS: &str = "random nonce drbg kdf aes sha1 sha2 hmac gcm ccm ctr cmac xcbc chapoly curve25519 openssl \
                       gmp mgf1 md5 pem pkcs1 pkcs8 x509 pubkey constraints revocation attr kernel-libipsec \
                       kernel-netlink socket-default updown vici";

/// How long charon may take to open its control socket.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The name of the connection in swanctl's configuration.
pub(crate) const CONNECTION: &str = "peer";
/// The name of its one child.
pub(crate) const CHILD: &str = "net";

/// What a case sets in the peer's configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// IKE proposals in strongSwan's notation.
    pub(crate) proposals: &'static str,
    /// ESP proposals of the child.
    pub(crate) esp_proposals: &'static str,
    /// The pre-shared key.
    pub(crate) secret: &'static str,
    /// The network behind it, when it is not the usual one.
    pub(crate) subnet: Option<&'static str>,
    /// The versions of IP.
    pub(crate) families: Families,
    /// Further settings of the connection.
    pub(crate) connection: &'static [&'static str],
    /// Further settings of the daemon.
    pub(crate) charon: &'static [&'static str],
}

impl Settings {
    /// A connection with these proposals and the usual pre-shared key.
    pub(crate) const fn new(proposals: &'static str, esp_proposals: &'static str) -> Self {
        Settings {
            proposals,
            esp_proposals,
            secret: "swordfish",
            subnet: None,
            families: Families::V4,
            connection: &[],
            charon: &[],
        }
    }

    /// The same with another network behind it.
    pub(crate) const fn subnet(self, subnet: &'static str) -> Self {
        Settings { subnet: Some(subnet), ..self }
    }

    /// The same with further settings of the connection.
    pub(crate) const fn connection(self, connection: &'static [&'static str]) -> Self {
        Settings { connection, ..self }
    }

    /// The same with further settings of the daemon.
    pub(crate) const fn charon(self, charon: &'static [&'static str]) -> Self {
        Settings { charon, ..self }
    }

    fn strongswan_conf(&self, dir: &Path) -> String {
        let dir = dir.display();
        let further: String = self.charon.iter().map(|line| format!("  {line}\n")).collect();
        format!(
            "charon {{
  load_modular = no
  load = {PLUGINS}
  plugins {{
    vici {{
      socket = unix://{dir}/vici
    }}
  }}
  retransmit_tries = 4
  retransmit_timeout = 2
{further}  filelog {{
    all {{
      path = {dir}/charon.log
      time_format = %H:%M:%S
      ike_name = yes
      default = 1
      ike = 2
      cfg = 2
      enc = 1
      esp = 1
      flush_line = yes
    }}
  }}
}}
swanctl {{
  load = pem pkcs1 pkcs8 x509 pubkey openssl random nonce
}}
"
        )
    }

    fn swanctl_conf(&self, local: Side, remote: Side) -> String {
        let mut further = String::new();
        for line in self.connection {
            let _ = writeln!(further, "    {line}");
        }
        let Settings { proposals, esp_proposals, secret, families: Families { outer, inner }, .. } = *self;
        format!(
            "connections {{
  {CONNECTION} {{
    version = 2
    local_addrs = {local_outer}
    remote_addrs = {remote_outer}
    proposals = {proposals}
    mobike = no
{further}    local {{
      auth = psk
      id = {local_id}
    }}
    remote {{
      auth = psk
      id = {remote_id}
    }}
    children {{
      {CHILD} {{
        local_ts = {local_subnet}
        remote_ts = {remote_subnet}
        esp_proposals = {esp_proposals}
      }}
    }}
  }}
}}
secrets {{
  ike-1 {{
    id-a = {local_id}
    id-b = {remote_id}
    secret = \"{secret}\"
  }}
}}
",
            local_outer = local.outer(outer),
            remote_outer = remote.outer(outer),
            local_id = local.id,
            remote_id = remote.id,
            local_subnet = self.subnet.map_or_else(|| local.subnet(inner), str::to_owned),
            remote_subnet = remote.subnet(inner),
        )
    }
}

/// A running charon with its configuration loaded; dropping it ends the daemon.
#[derive(Debug)]
pub(crate) struct Charon {
    child: Child,
    /// The control socket.
    pub(crate) vici: Vici,
}

impl Charon {
    /// Starts charon for `local` in the namespace `namespace`, with everything it writes in `dir`.
    pub(crate) fn start(
        settings: &Settings,
        namespace: &str,
        (local, remote): (Side, Side),
        dir: &Path,
    ) -> Result<Self, String> {
        let write = |name: &str, text: String| {
            fs::write(dir.join(name), text).map_err(|error| format!("{name} cannot be written: {error}"))
        };
        fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        write("strongswan.conf", settings.strongswan_conf(dir))?;
        write("swanctl.conf", settings.swanctl_conf(local, remote))?;
        let output = File::create(dir.join("charon.out")).map_err(|error| error.to_string())?;
        // The pid file's place under /run is compiled in: every instance gets a /run of its own.
        let child = netns::inside(namespace, "unshare")
            .args(["-m", "sh", "-c", "mount -t tmpfs t /run && exec /usr/lib/ipsec/charon"])
            .env("STRONGSWAN_CONF", dir.join("strongswan.conf"))
            .stdin(Stdio::null())
            .stderr(output.try_clone().map_err(|error| error.to_string())?)
            .stdout(output)
            .spawn()
            .map_err(|error| format!("charon does not start: {error}"))?;
        let mut charon = Charon { child, vici: Vici::new(dir) };
        charon.load()?;
        Ok(charon)
    }

    fn load(&mut self) -> Result<(), String> {
        let end = Instant::now() + START_LIMIT;
        loop {
            // `--stats` answers as soon as the daemon does; before that the socket is missing or refuses.
            if self.vici.socket().exists() && checked(&mut self.vici.swanctl(&["--stats"])).is_ok() {
                break;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("charon ended at once: {status}"));
            }
            if Instant::now() >= end {
                return Err("charon does not open its control socket".into());
            }
            thread::sleep(POLL);
        }
        checked(&mut self.vici.swanctl(&["--load-all"])).map(drop)
    }
}

impl Drop for Charon {
    fn drop(&mut self) {
        process::stop(&mut self.child);
    }
}

/// The control socket of a charon, which is a file: usable from any namespace.
#[derive(Clone, Debug)]
pub(crate) struct Vici {
    dir: PathBuf,
}

impl Vici {
    /// The socket of the charon that runs in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Vici { dir: dir.to_owned() }
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("vici")
    }

    /// A swanctl command; it exits with 0 when what was asked for is done.
    pub(crate) fn swanctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("swanctl");
        command
            .args(arguments)
            .args(["--uri", &format!("unix://{}", self.socket().display())])
            .env("STRONGSWAN_CONF", self.dir.join("strongswan.conf"))
            .env("SWANCTL_DIR", &self.dir)
            .env("PATH", search_path());
        command
    }

    /// `--initiate`, with a limit in seconds that a loaded machine keeps.
    pub(crate) fn initiate(&self) -> Command {
        self.swanctl(&["--initiate", "--child", CHILD, "--timeout", "40"])
    }

    /// `--terminate` of the IKE SA.
    pub(crate) fn terminate_ike(&self) -> Command {
        self.swanctl(&["--terminate", "--ike", CONNECTION, "--timeout", "40"])
    }

    /// `--terminate` of the Child SA.
    pub(crate) fn terminate_child(&self) -> Command {
        self.swanctl(&["--terminate", "--child", CHILD, "--timeout", "40"])
    }

    /// `--rekey` of the IKE SA; it returns before the exchange is done.
    pub(crate) fn rekey_ike(&self) -> Command {
        self.swanctl(&["--rekey", "--ike", CONNECTION])
    }

    /// `--rekey` of the IKE SA by a new authentication; it returns before the exchange is done.
    pub(crate) fn reauthenticate(&self) -> Command {
        self.swanctl(&["--rekey", "--ike", CONNECTION, "--reauth"])
    }

    /// `--rekey` of the Child SA; it returns before the exchange is done.
    pub(crate) fn rekey_child(&self) -> Command {
        self.swanctl(&["--rekey", "--child", CHILD])
    }

    /// The SAs the peer has.
    pub(crate) fn sas(&self) -> Result<Sas, String> {
        checked(&mut self.swanctl(&["--list-sas"])).map(|text| Sas::parse(&text))
    }

    /// How often `text` stands in charon's log.
    pub(crate) fn log_count(&self, text: &str) -> usize {
        let log = fs::read(self.dir.join("charon.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).lines().filter(|line| line.contains(text)).count()
    }
}

/// swanctl is in a folder that root's search path may lack.
fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/sbin:/sbin:/usr/bin:/bin")
}

/// What `--list-sas` shows, as far as the cases look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sas {
    /// Established IKE SAs.
    pub(crate) ike: Vec<IkeSaLine>,
    /// Installed Child SAs.
    pub(crate) children: Vec<ChildSaLine>,
}

/// An IKE SA of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IkeSaLine {
    /// Its number in this charon: a rekeyed one has a new number.
    pub(crate) number: u32,
    /// The initiator's SPI.
    pub(crate) spi_i: u64,
    /// The responder's SPI.
    pub(crate) spi_r: u64,
    /// The negotiated algorithms, in strongSwan's notation.
    pub(crate) suite: String,
}

/// A Child SA of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChildSaLine {
    /// Its number in this charon: a rekeyed one has a new number.
    pub(crate) number: u32,
    /// The mode and the encapsulation.
    pub(crate) mode: String,
    /// The negotiated algorithms, in strongSwan's notation.
    pub(crate) suite: String,
    /// The SPI of what the peer receives.
    pub(crate) spi_in: u32,
    /// The SPI of what the peer sends.
    pub(crate) spi_out: u32,
}

impl Sas {
    /// Reads the listing.
    ///
    /// ```text
    /// peer: #1, ESTABLISHED, IKEv2, 5c1f..._i* 9a01..._r
    ///   local  'b.test' @ 10.10.0.2[4500]
    ///   remote 'a.test' @ 10.10.0.1[4500]
    ///   AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519
    ///   established 0s ago, rekeying in 14105s
    ///   net: #1, reqid 1, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-256
    ///     installed 0s ago, rekeying in 3398s, expires in 3960s
    ///     in  c53e5bf1,      0 bytes,     0 packets
    ///     out c9d4c3a5,      0 bytes,     0 packets
    /// ```
    pub(crate) fn parse(text: &str) -> Self {
        let mut sas = Sas::default();
        let mut in_ike = false;
        let mut in_child = false;
        for line in text.lines() {
            let fields: Vec<&str> = line.trim().split(", ").map(str::trim).collect();
            let number = fields
                .first()
                .and_then(|first| first.split_once(": #"))
                .and_then(|(_, number)| number.parse().ok());
            match (number, line.starts_with(' ')) {
                (Some(number), false) => {
                    in_ike = fields.get(1) == Some(&"ESTABLISHED");
                    in_child = false;
                    let spi = |suffix: &str| {
                        let field = fields.get(3).copied().unwrap_or_default();
                        let word = field.split(' ').map(|word| word.trim_end_matches('*'));
                        word.filter_map(|word| word.strip_suffix(suffix))
                            .find_map(|hex| u64::from_str_radix(hex, 16).ok())
                            .unwrap_or_default()
                    };
                    if in_ike {
                        let (spi_i, spi_r) = (spi("_i"), spi("_r"));
                        sas.ike.push(IkeSaLine { number, spi_i, spi_r, suite: String::new() });
                    }
                }
                (Some(number), true) => {
                    in_child = fields.get(2) == Some(&"INSTALLED");
                    if in_child {
                        let field = |at: usize| fields.get(at).copied().unwrap_or_default().to_owned();
                        let (mode, suite) = (field(3), field(4));
                        sas.children.push(ChildSaLine { number, mode, suite, spi_in: 0, spi_out: 0 });
                    }
                }
                (None, _) if in_child => {
                    let mut words = fields[0].split_whitespace();
                    let direction = words.next();
                    let spi = words.next().and_then(|hex| u32::from_str_radix(hex, 16).ok());
                    if let (Some(child), Some(spi)) = (sas.children.last_mut(), spi) {
                        match direction {
                            Some("in") => child.spi_in = spi,
                            Some("out") => child.spi_out = spi,
                            _ => {}
                        }
                    }
                }
                (None, _) if in_ike => {
                    let bare = line.trim();
                    if let Some(ike) = sas.ike.last_mut()
                        && ike.suite.is_empty()
                        && bare.contains("PRF_")
                    {
                        ike.suite = bare.to_owned();
                    }
                }
                (None, _) => {}
            }
        }
        sas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read() {
        let text = "\
peer: #2, ESTABLISHED, IKEv2, 5c1f000000000001_i 9a01000000000002_r*
  local  'b.test' @ 10.10.0.2[4500]
  remote 'a.test' @ 10.10.0.1[4500]
  AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE_25519
  established 0s ago, rekeying in 14105s
  net: #1, reqid 1, REKEYED, TUNNEL-in-UDP, ESP:AES_GCM_16-256
    installed 2s ago
    in  c0000001,      0 bytes,     0 packets
    out c0000002,      0 bytes,     0 packets
  net: #3, reqid 1, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-256
    installed 0s ago, rekeying in 3398s, expires in 3960s
    in  c53e5bf1,    168 bytes,     2 packets,     0s ago
    out c9d4c3a5,      0 bytes,     0 packets
    local  10.2.0.0/24
    remote 10.1.0.0/24
";
        let sas = Sas::parse(text);
        assert_eq!(
            sas.ike,
            [IkeSaLine {
                number: 2,
                spi_i: 0x5c1f_0000_0000_0001,
                spi_r: 0x9a01_0000_0000_0002,
                suite: "AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE_25519".into(),
            }]
        );
        assert_eq!(
            sas.children,
            [ChildSaLine {
                number: 3,
                mode: "TUNNEL-in-UDP".into(),
                suite: "ESP:AES_GCM_16-256".into(),
                spi_in: 0xc53e_5bf1,
                spi_out: 0xc9d4_c3a5,
            }]
        );
        assert_eq!(Sas::parse(""), Sas::default());
    }
}
