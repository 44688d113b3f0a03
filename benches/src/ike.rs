//! Two IKEv2 endpoints that speak to each other in memory, and the bare cryptography of what they do.

use core::hint::black_box;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ikev2_core::{
    ChildConfig, ConnectionConfig, ConnectionId, CookiePolicy, Endpoint, EndpointConfig, Event, Identity,
    IkeHandle, Input, Output, Path, PeerIdentity,
};
use ipsec_crypto::{AeadKey, CryptoProvider, KeyExchangeMethod, PrfAlgorithm, Secret, Suite, prf, prf_plus};
use ipsec_sa::Instant;
use ipsec_wire::Spi;
use ipsec_wire::ike::{EncrId, KeId, PrfId};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What the IKE SAs negotiate.
pub const IKE: &str = "aes256gcm16-prfsha256-x25519";

/// Address and port of a side.
fn host(side: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::from([192, 0, 2, if side == 0 { 1 } else { 2 }]), 500)
}

/// A generator; every one of a number of its own.
#[must_use]
pub fn rng(number: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(number)
}

/// One side: the initiator is 0. It has a shared key and one tunnel, and takes as many IKE SAs as there are.
///
/// # Panics
/// When a proposal does not parse.
#[must_use]
pub fn endpoint(
    side: usize,
    provider: &CryptoProvider,
    pfs: bool,
    cookie: CookiePolicy,
    seed: u64,
) -> Endpoint {
    let net = |side: usize| vec![format!("10.{side}.0.0/16").parse().expect("a prefix")];
    let name = |side: usize| Identity::fqdn(if side == 0 { "left.test" } else { "right.test" });
    let mut config = EndpointConfig::default();
    config.cookie = cookie;
    config.max_half_open = usize::MAX;
    config.max_half_open_per_source = usize::MAX;
    config.stateless_replies_per_second = u32::MAX;
    let mut endpoint =
        Endpoint::new(config, provider.clone(), Box::new(rng(seed << 1 | side as u64)), Instant::ZERO);
    let esp = if pfs { "aes256gcm16-x25519" } else { "aes256gcm16" };
    let child =
        ChildConfig::tunnel("net", net(side), net(1 - side), vec![Suite::esp(esp).expect("an ESP proposal")]);
    let mut connection = ConnectionConfig::psk(
        "peer",
        name(side),
        PeerIdentity::Exactly(name(1 - side)),
        Secret::new(b"swordfish"),
        vec![Suite::ike(IKE).expect("an IKE proposal")],
    )
    .between(host(side).ip(), host(1 - side).ip())
    .with_child(child);
    // Each of many IKE SAs counts, though it is always the same peer.
    connection.uniqueness = ikev2_core::Uniqueness::Keep;
    if side == 1 {
        // Whoever asks, from wherever.
        connection.remote = None;
    }
    endpoint.add_connection(connection).expect("the provider has it");
    endpoint
}

/// Two endpoints and what is between them.
#[derive(Debug)]
pub struct Peers {
    /// Initiator and responder.
    pub ends: [Endpoint; 2],
    /// What time it is for both.
    pub now: Instant,
    /// Lengths of the messages since [`Peers::forget`].
    pub lengths: Vec<usize>,
    /// The IKE SA in use, as the initiator names it.
    pub ike: Option<IkeHandle>,
    /// The Child SA in use, by the SPI of packets to the initiator.
    pub child: Option<Spi>,
}

impl Peers {
    /// Both idle.
    #[must_use]
    pub fn new(provider: &CryptoProvider, pfs: bool, seed: u64) -> Self {
        let ends = [0, 1].map(|side| endpoint(side, provider, pfs, CookiePolicy::Never, seed));
        Self { ends, now: Instant::from_secs(1), lengths: Vec::new(), ike: None, child: None }
    }

    /// Takes messages from one to the other until both are silent.
    pub fn talk(&mut self) {
        let mut waiting: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
        loop {
            for side in [0, 1] {
                loop {
                    match self.ends[side].poll_output() {
                        Output::Timeout(_) => break,
                        Output::Transmit { data, .. } => {
                            self.lengths.push(data.len());
                            waiting[1 - side].push(data);
                        }
                        Output::Event(handle, Event::ChildInstalled(install)) if side == 0 => {
                            (self.ike, self.child) = (Some(handle), Some(install.inbound.spi));
                        }
                        Output::Event(_, Event::IkeRekeyed { replaced_by }) if side == 0 => {
                            self.ike = Some(replaced_by);
                        }
                        Output::Event(..) => {}
                    }
                }
            }
            if waiting.iter().all(Vec::is_empty) {
                return;
            }
            for side in [0, 1] {
                for mut data in waiting[side].drain(..) {
                    let path = Path::udp(host(side), host(1 - side));
                    let input = Input::Datagram { now: self.now, path, ecn: 0, data: &mut data };
                    let _ = self.ends[side].handle_input(input);
                }
            }
        }
    }

    /// Begins to count messages anew.
    pub fn forget(&mut self) {
        self.lengths.clear();
    }

    /// Sets up an IKE SA with its child.
    ///
    /// # Panics
    /// When it does not come about.
    pub fn set_up(&mut self) {
        self.ends[0].connect(self.now, ConnectionId(0), Some(0), None).expect("it starts");
        self.talk();
        assert!(self.child.is_some(), "a child");
    }

    /// Replaces the child. A second passes, so that the peer's quota of such requests is never used up.
    ///
    /// # Panics
    /// When it does not come about.
    pub fn rekey_child(&mut self) {
        self.now += Duration::from_secs(1);
        let (ike, before) = (self.ike.expect("up"), self.child.expect("up"));
        self.ends[0].rekey_child(self.now, ike, before).expect("it is up");
        self.talk();
        assert_ne!(self.child, Some(before));
    }

    /// Replaces the IKE SA. A minute passes, so that the old one is forgotten.
    ///
    /// # Panics
    /// When it does not come about.
    pub fn rekey_ike(&mut self) {
        let before = self.ike.expect("up");
        self.ends[0].rekey_ike(self.now, before).expect("it is up");
        self.talk();
        assert_ne!(self.ike, Some(before));
        self.now += Duration::from_secs(31);
        for end in &mut self.ends {
            let _ = end.handle_input(Input::Timeout(self.now));
        }
        self.talk();
    }

    /// Asks the peer for a sign of life and gets it.
    ///
    /// # Panics
    /// When the IKE SA is gone.
    pub fn check_liveness(&mut self) {
        self.ends[0].check_liveness(self.now, self.ike.expect("up")).expect("it is up");
        self.talk();
    }
}

/// The cryptography of an exchange and nothing else, for both sides.
#[derive(Debug)]
pub struct Bare {
    prf: &'static dyn PrfAlgorithm,
    ke: &'static dyn KeyExchangeMethod,
    provider: CryptoProvider,
    keys: [Box<dyn AeadKey>; 2],
    nonces: [[u8; 32]; 2],
    rng: ChaCha20Rng,
    iv: u64,
    buffer: Vec<u8>,
}

/// Header, generic header of SK, IV and ICV: what of a message is not inside.
const ENVELOPE: usize = 28 + 4 + 8 + 16;

impl Bare {
    /// With the rows of a provider.
    ///
    /// # Panics
    /// When it lacks one.
    #[must_use]
    pub fn new(provider: &CryptoProvider) -> Self {
        let key = |first| aead(provider, &[first; 36]);
        Self {
            prf: provider.prf(PrfId::HMAC_SHA2_256).expect("a PRF"),
            ke: provider.ke(KeId::CURVE25519).expect("X25519"),
            provider: provider.clone(),
            keys: [key(1), key(2)],
            nonces: [[3; 32], [4; 32]],
            rng: rng(9),
            iv: 0,
            buffer: vec![0; 4096],
        }
    }

    /// Both sides' halves of one key exchange.
    fn exchange(&mut self) -> Secret {
        let active = self.ke.start(&mut self.rng).expect("it starts");
        let (answer, theirs) = self.ke.respond(active.public(), &mut self.rng).expect("it is answered");
        black_box(theirs);
        active.complete(&answer).expect("it is completed")
    }

    /// Both sides' keys of an IKE SA.
    fn ike_keys(&mut self, shared: &Secret, from_nonces: bool) -> Secret {
        let [ni, nr] = &self.nonces;
        let mut last = Secret::zeroed(0);
        for _ in 0..2 {
            let skeyseed = if from_nonces {
                prf(self.prf, &[*ni, *nr].concat(), &[shared.expose()])
            } else {
                prf(self.prf, &[5; 32], &[shared.expose(), ni, nr])
            };
            let seed: [&[u8]; 3] = [ni, nr, &[6; 16]];
            // SK_d, SK_pi, SK_pr, and two keys with their salts.
            last = prf_plus(self.prf, skeyseed.expect("a key").expose(), &seed, 3 * 32 + 2 * 36)
                .expect("as long");
            self.keys =
                [aead(&self.provider, &last.expose()[32..68]), aead(&self.provider, &last.expose()[68..104])];
            black_box(&self.keys);
        }
        last
    }

    /// Both sides' keys of a Child SA.
    fn child_keys(&self, shared: &[u8]) {
        for _ in 0..2 {
            let seed: [&[u8]; 3] = [shared, &self.nonces[0], &self.nonces[1]];
            black_box(prf_plus(self.prf, &[7; 32], &seed, 72).expect("as long"));
        }
    }

    /// A nonce and SPIs of either side.
    fn draw(&mut self) {
        for nonce in &mut self.nonces {
            self.rng.fill_bytes(nonce);
        }
    }

    /// Each message sealed by one and opened by the other.
    fn messages(&mut self, lengths: &[usize]) {
        for (turn, length) in lengths.iter().enumerate() {
            self.iv += 1;
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&self.iv.to_be_bytes());
            let inner = length.saturating_sub(ENVELOPE);
            let data = &mut self.buffer[..inner];
            let (aad, mut tag) = ([8; 32], [0; 16]);
            let key = &self.keys[turn % 2];
            key.seal(&nonce, &aad, data, &mut tag).expect("it is sealed");
            key.open(&nonce, &aad, data, &tag).expect("it is opened");
        }
    }

    /// IKE_SA_INIT and IKE_AUTH with a shared key: what was sent, in order.
    pub fn set_up(&mut self, lengths: &[usize]) {
        let [request, response, protected @ ..] = lengths else { return };
        self.draw();
        let shared = self.exchange();
        let keys = self.ike_keys(&shared, true);
        // Each AUTH is made by one side and checked by the other.
        for signed in [request, response] {
            for _ in 0..2 {
                let identity = prf(self.prf, &keys.expose()[..32], &[&[9; 13]]).expect("a key");
                let key = prf(self.prf, b"swordfish", &[b"Key Pad for IKEv2"]).expect("a key");
                let parts: [&[u8]; 3] = [&self.buffer[..*signed], &self.nonces[0], identity.expose()];
                black_box(prf(self.prf, key.expose(), &parts).expect("a key"));
            }
        }
        self.messages(protected);
        self.child_keys(&[]);
    }

    /// A Child SA replaced, the old one deleted.
    pub fn rekey_child(&mut self, lengths: &[usize], pfs: bool) {
        self.draw();
        let shared = if pfs { self.exchange() } else { Secret::zeroed(0) };
        self.messages(lengths);
        self.child_keys(shared.expose());
    }

    /// An IKE SA replaced, the old one deleted.
    pub fn rekey_ike(&mut self, lengths: &[usize]) {
        self.draw();
        let shared = self.exchange();
        self.messages(lengths);
        black_box(self.ike_keys(&shared, false));
    }

    /// A sign of life asked for and given.
    pub fn check_liveness(&mut self, lengths: &[usize]) {
        self.messages(lengths);
    }
}

fn aead(provider: &CryptoProvider, key: &[u8]) -> Box<dyn AeadKey> {
    let row = provider.encr(EncrId::AES_GCM_16).expect("AES-GCM");
    row.aead_key(&key[..32]).expect("a key of the right length")
}

/// IKE_SA_INIT requests with made-up SPIs and addresses, against a responder that wants cookies.
#[derive(Debug)]
pub struct Flood {
    /// Who is flooded.
    pub victim: Endpoint,
    request: Vec<u8>,
    rng: ChaCha20Rng,
    /// Answers so far.
    pub answers: u64,
    /// The longest of them, in octets.
    pub longest_answer: usize,
}

impl Flood {
    /// Against a responder with the rows of a provider.
    ///
    /// # Panics
    /// When the initiator whose request it is has none.
    #[must_use]
    pub fn new(provider: &CryptoProvider, cookie: CookiePolicy) -> Self {
        let mut initiator = endpoint(0, provider, false, CookiePolicy::Never, 77);
        initiator.connect(Instant::ZERO, ConnectionId(0), Some(0), None).expect("it starts");
        let request = core::iter::from_fn(|| match initiator.poll_output() {
            Output::Transmit { data, .. } => Some(Some(data)),
            Output::Event(..) => Some(None),
            Output::Timeout(_) => None,
        });
        let request = request.flatten().next().expect("a request");
        let victim = endpoint(1, provider, false, cookie, 78);
        Self { victim, request, rng: rng(79), answers: 0, longest_answer: 0 }
    }

    /// How long a request is.
    #[must_use]
    pub fn request_len(&self) -> usize {
        self.request.len()
    }

    /// One more of them.
    pub fn send(&mut self, now: Instant) {
        let mut spi = [0; 8];
        self.rng.fill_bytes(&mut spi);
        let mut data = self.request.clone();
        data[..8].copy_from_slice(&spi);
        let source = SocketAddr::new(IpAddr::from([10, spi[0], spi[1], spi[2]]), 500);
        let path = Path::udp(host(1), source);
        let _ = self.victim.handle_input(Input::Datagram { now, path, ecn: 0, data: &mut data });
        loop {
            match self.victim.poll_output() {
                Output::Timeout(_) => return,
                Output::Transmit { data, .. } => {
                    self.answers += 1;
                    self.longest_answer = self.longest_answer.max(data.len());
                }
                Output::Event(..) => {}
            }
        }
    }
}
