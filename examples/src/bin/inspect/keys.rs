//! Wireshark's key tables: `ikev2_decryption_table` and `esp_sa`.

use alloc::collections::BTreeMap;

use ikev2_core::crypt::SkProtection;
use ikev2_core::keys::{IkeSuite, SkKeys};
use ipsec_crypto::{CipherKey, CryptoProvider, Secret, rustcrypto};
use ipsec_esp::EspInbound;
use ipsec_sa::{Direction, Encapsulation, Outer, Role, SaAlgorithms, SaKeys, SaParams};
use ipsec_wire::ike::{EncrId, IntegId, KeId, MessageView, PayloadType, PrfId, SnId};
use ipsec_wire::{EspView, IkeSpi, IpProtocol, Spi};

/// The two directions of an IKE SA: what opens the original initiator's messages, and the responder's.
pub(crate) struct IkeKeys {
    pub(crate) of_initiator: IkeKey,
    pub(crate) of_responder: IkeKey,
}

/// What opens the messages of one side.
pub(crate) enum IkeKey {
    Checked(Box<SkProtection>),
    /// The integrity algorithm is not known or not to be checked.
    Unchecked(Plain),
}

/// A plain cipher, and where in a packet it works.
pub(crate) struct Plain {
    cipher: Box<dyn CipherKey>,
    iv_len: usize,
    block_len: usize,
    icv_len: usize,
}

impl Plain {
    /// The plaintext of a body from its IV to the end of its ICV.
    fn decrypt(&self, body: &[u8]) -> Option<Vec<u8>> {
        let (iv, rest) = body.split_at_checked(self.iv_len)?;
        let mut text = rest.get(..rest.len().checked_sub(self.icv_len)?)?.to_vec();
        if text.is_empty() || !text.len().is_multiple_of(self.block_len.max(1)) {
            return None;
        }
        self.cipher.decrypt(iv, &mut text).ok()?;
        Some(text)
    }
}

/// The decrypted contents of an SK or SKF payload.
pub(crate) struct OpenedIke {
    pub(crate) first: PayloadType,
    pub(crate) payloads: Vec<u8>,
    /// Number and total of a fragment; 1 of 1 for a whole message.
    pub(crate) part: (u16, u16),
    pub(crate) checked: bool,
}

impl IkeKey {
    /// Decrypts a message that has passed its parser.
    pub(crate) fn open(&self, view: MessageView<'_>) -> Result<OpenedIke, String> {
        let fragment = view.fragment();
        let part = fragment.map_or((1, 1), |skf| (skf.fragment_number, skf.total_fragments));
        match self {
            Self::Checked(protection) => {
                let mut octets = view.raw().to_vec();
                let opened = match fragment {
                    Some(_) => protection.open_fragment(&mut octets).map(|it| (it.first, it.plaintext)),
                    None => protection.open(&mut octets).map(|it| (it.first, it.plaintext)),
                };
                let (first, range) = opened.map_err(|error| error.to_string())?;
                let payloads = octets.get(range).unwrap_or_default().to_vec();
                Ok(OpenedIke { first, payloads, part, checked: true })
            }
            Self::Unchecked(plain) => {
                let whole = view.encrypted().map(|sk| (sk.next, sk.body));
                let found = whole.or(fragment.map(|skf| (skf.next, skf.body)));
                let (first, body) = found.ok_or("no encrypted payload")?;
                let mut payloads = plain.decrypt(body).ok_or("does not decrypt")?;
                let padding = payloads.pop().map_or(0, usize::from);
                let end = payloads.len().checked_sub(padding).ok_or("does not decrypt to padding")?;
                payloads.truncate(end);
                Ok(OpenedIke { first, payloads, part, checked: false })
            }
        }
    }
}

/// What opens the packets of an ESP SA.
enum EspKeys {
    Checked(Box<EspInbound>),
    /// The integrity key is not known: its octets are cut off and not looked at.
    Unchecked(Plain),
}

/// A packet that was decrypted.
pub(crate) struct Opened {
    pub(crate) next_header: IpProtocol,
    pub(crate) payload: Vec<u8>,
    /// Whether the ICV was right; `None` when its key is not known.
    pub(crate) checked: Option<bool>,
}

pub(crate) struct KeyTables {
    provider: CryptoProvider,
    ike: BTreeMap<(IkeSpi, IkeSpi), IkeKeys>,
    esp: BTreeMap<u32, EspKeys>,
}

/// The fields of a line: with or without quotes, apart by commas.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(core::mem::take(&mut field)),
            _ => field.push(character),
        }
    }
    fields.push(field);
    fields.iter().map(|field| field.trim().to_owned()).collect()
}

fn octets(field: &str) -> Result<Vec<u8>, String> {
    hex::decode(field.strip_prefix("0x").unwrap_or(field)).map_err(|error| format!("key: {error}"))
}

fn spi(field: &str) -> Result<IkeSpi, String> {
    IkeSpi::from_slice(&octets(field)?).ok_or_else(|| format!("an SPI of eight octets, not {field:?}"))
}

/// The lines that say something, with their numbers.
fn lines(table: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = table.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// An algorithm by how its name begins; of several the one that says most stands first.
fn by_name<T: Copy>(names: &[(&str, T)], name: &str) -> Result<T, String> {
    let found = names.iter().find(|(prefix, _)| name.starts_with(prefix));
    found.map(|(_, id)| *id).ok_or_else(|| format!("algorithm {name:?} is not known here"))
}

fn combined(name: &str) -> Option<EncrId> {
    let icv = |eight, twelve, sixteen| match name {
        _ if name.contains("with 8 octet") => eight,
        _ if name.contains("with 12 octet") => twelve,
        _ => sixteen,
    };
    if name.starts_with("AES-GCM") {
        Some(icv(EncrId::AES_GCM_8, EncrId::AES_GCM_12, EncrId::AES_GCM_16))
    } else if name.starts_with("AES-CCM") {
        Some(icv(EncrId::AES_CCM_8, EncrId::AES_CCM_12, EncrId::AES_CCM_16))
    } else {
        None
    }
}

/// Names that Wireshark has besides those that the provider's rows know themselves by.
fn encryption(name: &str) -> Result<EncrId, String> {
    const NAMES: &[(&str, EncrId)] = &[
        ("AES-CBC", EncrId::AES_CBC),
        ("AES-CTR", EncrId::AES_CTR),
        ("ChaCha20", EncrId::CHACHA20_POLY1305),
        ("TripleDES", EncrId::TRIPLE_DES),
        ("3DES", EncrId::TRIPLE_DES),
        ("NULL", EncrId::NULL),
    ];
    combined(name).map_or_else(|| by_name(NAMES, name), Ok)
}

/// `None` for none at all.
fn integrity(name: &str) -> Result<Option<IntegId>, String> {
    const NAMES: &[(&str, Option<IntegId>)] = &[
        ("HMAC_MD5_96", Some(IntegId::HMAC_MD5_96)),
        ("HMAC_SHA1_96", Some(IntegId::HMAC_SHA1_96)),
        ("HMAC_SHA_1_96", Some(IntegId::HMAC_SHA1_96)),
        ("HMAC_SHA2_256_128", Some(IntegId::HMAC_SHA2_256_128)),
        ("HMAC_SHA2_384_192", Some(IntegId::HMAC_SHA2_384_192)),
        ("HMAC_SHA2_512_256", Some(IntegId::HMAC_SHA2_512_256)),
        ("HMAC_SHA_256_128", Some(IntegId::HMAC_SHA2_256_128)),
        ("HMAC_SHA_384_192", Some(IntegId::HMAC_SHA2_384_192)),
        ("HMAC_SHA_512_256", Some(IntegId::HMAC_SHA2_512_256)),
        ("NONE", None),
        ("NULL", None),
    ];
    // The two tables do not agree on hyphens.
    by_name(NAMES, &name.replace('-', "_"))
}

/// Octets of the ICV of "ANY 96 bit authentication [no checking]" and its like.
fn any_icv(name: &str) -> Option<usize> {
    let bits: String = name.strip_prefix("ANY ")?.chars().take_while(char::is_ascii_digit).collect();
    bits.parse::<usize>().ok().map(|bits| bits / 8)
}

const IKE_TABLE: &str = "ikev2_decryption_table";
const ESP_TABLE: &str = "esp_sa";

/// A line that is not one of the table.
fn wrong(table: &str, fields: &[String]) -> String {
    format!(
        "a line of Wireshark's table {table} has 8 fields, this one has {}; is it that file?",
        fields.len()
    )
}

impl KeyTables {
    pub(crate) fn new() -> Self {
        Self { provider: rustcrypto::provider(), ike: BTreeMap::new(), esp: BTreeMap::new() }
    }

    /// The algorithm that Wireshark calls so in either of its tables.
    fn encryption(&self, name: &str) -> Result<EncrId, String> {
        let row = self.provider.encr.iter().find(|row| {
            let by_len = |len: &usize| row.wireshark_ike(*len) == Some(name);
            row.wireshark_esp() == Some(name) || row.key_lengths().iter().any(by_len)
        });
        row.map_or_else(|| encryption(name), |row| Ok(row.id()))
    }

    /// Takes in the lines of an `ikev2_decryption_table`.
    pub(crate) fn read_ike(&mut self, table: &str) -> Result<(), String> {
        for (number, line) in lines(table) {
            let (spis, keys) = self.ike_line(line).map_err(|what| format!("line {number}: {what}"))?;
            self.ike.insert(spis, keys);
        }
        Ok(())
    }

    fn ike_line(&self, line: &str) -> Result<((IkeSpi, IkeSpi), IkeKeys), String> {
        let fields = fields(line);
        let [spi_i, spi_r, ei, er, encr, ai, ar, integ] =
            <[String; 8]>::try_from(fields).map_err(|fields| wrong(IKE_TABLE, &fields))?;
        let (ei, er, ai, ar) = (octets(&ei)?, octets(&er)?, octets(&ai)?, octets(&ar)?);
        let encr = self.provider.encr(self.encryption(&encr)?).ok_or_else(|| format!("no {encr} here"))?;
        let spis = (spi(&spi_i)?, spi(&spi_r)?);
        let id = if any_icv(&integ).is_some() { None } else { integrity(&integ)? };
        let row = id.and_then(|id| self.provider.integ(id));
        if let Some(icv_len) = any_icv(&integ).or_else(|| id.filter(|_| row.is_none()).map(icv_len)) {
            let plain = |key: &[u8]| {
                let cipher = encr.cipher_key(key).map_err(|error| error.to_string())?;
                let (iv_len, block_len) = (encr.iv_len(), encr.block_len());
                Ok::<_, String>(IkeKey::Unchecked(Plain { cipher, iv_len, block_len, icv_len }))
            };
            return Ok((spis, IkeKeys { of_initiator: plain(&ei)?, of_responder: plain(&er)? }));
        }
        let integ = row;
        // A message is opened without PRF and key exchange: any will do.
        let prf = self.provider.prf(PrfId::HMAC_SHA2_256).ok_or("no PRF here")?;
        let key_len = ei.len().saturating_sub(encr.salt_len());
        let suite = IkeSuite { encr, key_len, prf, integ, ke: KeId::NONE };
        let (new, none) = (|octets: &[u8]| Secret::new(octets), || Secret::new(&[]));
        let (ai, ar, ei, er) = (new(&ai), new(&ar), new(&ei), new(&er));
        let keys = SkKeys { d: none(), ai, ar, ei, er, pi: none(), pr: none() };
        let protection = |role| {
            let protection = SkProtection::new(&suite, &keys, role).map_err(|error| error.to_string())?;
            Ok::<_, String>(IkeKey::Checked(Box::new(protection)))
        };
        let keys = IkeKeys {
            of_initiator: protection(Role::Responder)?,
            of_responder: protection(Role::Initiator)?,
        };
        Ok((spis, keys))
    }

    /// Takes in the lines of an `esp_sa`.
    pub(crate) fn read_esp(&mut self, table: &str) -> Result<(), String> {
        for (number, line) in lines(table) {
            let (spi, keys) = self.esp_line(line).map_err(|what| format!("line {number}: {what}"))?;
            self.esp.insert(spi, keys);
        }
        Ok(())
    }

    fn esp_line(&self, line: &str) -> Result<(u32, EspKeys), String> {
        // Newer versions of Wireshark have one field more: the octets of sequence numbers, and what stands above them.
        let mut fields = fields(line);
        let extended = fields.get(8).is_some_and(|kind| kind.starts_with("64"));
        fields.truncate(8);
        let [_, _, _, spi, encr, encr_key, integ, integ_key] =
            <[String; 8]>::try_from(fields).map_err(|fields| wrong(ESP_TABLE, &fields))?;
        let digits = spi.strip_prefix("0x").ok_or("an SPI in hexadecimal")?;
        let number = u32::from_str_radix(digits, 16).map_err(|error| format!("SPI: {error}"))?;
        let key = octets(&encr_key)?;
        let row = self.provider.encr(self.encryption(&encr)?).ok_or_else(|| format!("no {encr} here"))?;
        if let Some(icv_len) = any_icv(&integ) {
            let cipher = row.cipher_key(&key).map_err(|error| error.to_string())?;
            let (iv_len, block_len) = (row.iv_len(), row.block_len());
            return Ok((number, EspKeys::Unchecked(Plain { cipher, iv_len, block_len, icv_len })));
        }
        let key_bits =
            (key.len().saturating_sub(row.salt_len()) * 8).try_into().map_err(|_| "key too long")?;
        let algorithms = SaAlgorithms { encr: Some(row.id()), key_bits, integ: integrity(&integ)? };
        let keys = SaKeys { encr: Secret::new(&key), integ: Secret::new(&octets(&integ_key)?) };
        let nowhere = core::net::Ipv4Addr::UNSPECIFIED.into();
        let outer = Outer { local: nowhere, remote: nowhere, encapsulation: Encapsulation::None };
        // Captures hold packets twice and in any order: no replay protection. Transport mode takes whatever is inside.
        let params = SaParams::new(Spi(number), Direction::Inbound, Role::Responder, algorithms, keys, outer)
            .with_mode(ipsec_sa::Mode::Transport)
            .with_sequence(if extended { SnId::SEQUENTIAL_64 } else { SnId::SEQUENTIAL_32 }, 0)
            .with_replay_window(0);
        let inbound = EspInbound::new(&params, &self.provider).map_err(|error| error.to_string())?;
        Ok((number, EspKeys::Checked(Box::new(inbound))))
    }

    /// The keys of the IKE SA with these SPIs.
    pub(crate) fn ike(&self, initiator: IkeSpi, responder: IkeSpi) -> Option<&IkeKeys> {
        self.ike.get(&(initiator, responder))
    }

    /// Whether there is a key for a packet, from its SPI on.
    pub(crate) fn has_esp(&self, packet: &[u8]) -> bool {
        EspView::parse(packet).is_ok_and(|view| self.esp.contains_key(&view.spi.0))
    }

    /// Decrypts a packet from its SPI on; `None` when no key is given for it.
    pub(crate) fn open_esp(&mut self, packet: &[u8]) -> Option<Result<Opened, String>> {
        let view = EspView::parse(packet).ok()?;
        match self.esp.get_mut(&view.spi.0)? {
            EspKeys::Checked(inbound) => {
                let mut octets = packet.to_vec();
                Some(match inbound.open_in_place(&mut octets) {
                    Ok(opened) => Ok(Opened {
                        next_header: opened.next_header,
                        payload: octets.get(opened.payload).unwrap_or_default().to_vec(),
                        checked: Some(true),
                    }),
                    Err(error) => Err(error.to_string()),
                })
            }
            EspKeys::Unchecked(plain) => {
                Some(unchecked(plain, view.body).ok_or_else(|| "does not decrypt to padding".into()))
            }
        }
    }
}

/// Octets of the ICV of an algorithm that the provider does not have.
fn icv_len(integ: IntegId) -> usize {
    match integ {
        IntegId::HMAC_MD5_96 | IntegId::HMAC_SHA1_96 => 12,
        IntegId::HMAC_SHA2_384_192 => 24,
        IntegId::HMAC_SHA2_512_256 => 32,
        _ => 16,
    }
}

/// Decrypts without a look at the ICV. That the padding counts from 1 on (RFC 4303 §2.4) is all that is checked.
fn unchecked(plain: &Plain, body: &[u8]) -> Option<Opened> {
    let text = plain.decrypt(body)?;
    let (rest, &[padding_len, next_header]) = text.split_last_chunk()?;
    let (payload, padding) = rest.split_at_checked(rest.len().checked_sub(padding_len.into())?)?;
    let counted = padding.iter().zip(1u8..).all(|(octet, expected)| *octet == expected);
    counted.then(|| Opened { next_header: IpProtocol(next_header), payload: payload.to_vec(), checked: None })
}
