//! Cookies against floods of IKE_SA_INIT requests (RFC 7296 §2.6): checked without keeping anything.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ipsec_crypto::{PrfAlgorithm, Secret};
use ipsec_sa::Instant;
use ipsec_wire::IkeSpi;
use rand_core::CryptoRng;
use zeroize::Zeroize;

/// How long a secret makes cookies. It is accepted for as long again, so that a cookie holds for between one and
/// two periods.
pub const SECRET_PERIOD: Duration = Duration::from_secs(60);

/// Octets of the secret.
const SECRET_LEN: usize = 32;
/// Octets of a PRF's output in a cookie; with the version in front a cookie stays below the 64 octets that
/// RFC 7296 §2.6 allows.
const TAG_LEN: usize = 32;

/// Makes and checks cookies: `version of the secret | prf(secret, SPIi | address | Ni)`.
///
/// The port is left out: a NAT may give the second request another one.
#[derive(Debug)]
pub struct CookieJar {
    version: u8,
    current: Secret,
    previous: Option<Secret>,
    /// When the period of `current` began.
    since: Instant,
}

impl CookieJar {
    /// A jar with a fresh secret.
    #[must_use]
    pub fn new(now: Instant, rng: &mut dyn CryptoRng) -> Self {
        Self { version: 0, current: fresh(rng), previous: None, since: now }
    }

    /// A second jar with the same secrets.
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            version: self.version,
            current: self.current.duplicate(),
            previous: self.previous.as_ref().map(Secret::duplicate),
            since: self.since,
        }
    }

    /// The cookie to ask for: 1 to 64 octets. Should the PRF refuse its key, the cookie is one that never checks.
    pub fn make(
        &mut self,
        prf: &dyn PrfAlgorithm,
        now: Instant,
        rng: &mut dyn CryptoRng,
        ni: &[u8],
        remote: SocketAddr,
        spi_i: IkeSpi,
    ) -> Vec<u8> {
        self.rotate(now, rng);
        let input = Input::new(ni, remote, spi_i);
        let mut cookie = vec![self.version; 1];
        cookie.extend(tag(prf, &self.current, self.version, &input).unwrap_or_default());
        cookie
    }

    /// Whether this cookie was made here for the same nonce, address and SPI, not too long ago. The comparison
    /// takes constant time.
    #[expect(
        clippy::too_many_arguments,
        reason = "a request is these five, and time and chance are arguments"
    )]
    pub fn check(
        &mut self,
        prf: &dyn PrfAlgorithm,
        now: Instant,
        rng: &mut dyn CryptoRng,
        cookie: &[u8],
        ni: &[u8],
        remote: SocketAddr,
        spi_i: IkeSpi,
    ) -> bool {
        self.rotate(now, rng);
        let Some((&version, received)) = cookie.split_first() else { return false };
        let secret = match self.version.wrapping_sub(version) {
            0 => &self.current,
            1 => match &self.previous {
                Some(previous) => previous,
                None => return false,
            },
            _ => return false,
        };
        let expected = tag(prf, secret, version, &Input::new(ni, remote, spi_i));
        // Comparing secrets is what takes constant time.
        expected.is_some_and(|expected| Secret::from(expected) == Secret::new(received))
    }

    fn rotate(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        let age = now.saturating_since(self.since);
        if age < SECRET_PERIOD {
            return;
        }
        let before = core::mem::replace(&mut self.current, fresh(rng));
        // After a long silence the secret before is too old as well.
        self.previous = (age < SECRET_PERIOD * 2).then_some(before);
        self.version = self.version.wrapping_add(1);
        // Whole periods: however late this comes, nothing holds for more than two of them.
        let periods = age.as_micros() / SECRET_PERIOD.as_micros();
        self.since += SECRET_PERIOD.saturating_mul(u32::try_from(periods).unwrap_or(u32::MAX));
    }
}

fn fresh(rng: &mut dyn CryptoRng) -> Secret {
    let mut secret = Secret::zeroed(SECRET_LEN);
    rng.fill_bytes(secret.expose_mut());
    secret
}

/// What a cookie is bound to, in a form that cannot be read in two ways.
struct Input<'a> {
    spi_i: [u8; 8],
    address: [u8; 17],
    address_len: usize,
    ni: &'a [u8],
}

impl<'a> Input<'a> {
    fn new(ni: &'a [u8], remote: SocketAddr, spi_i: IkeSpi) -> Self {
        let mut address = [0; 17];
        let octets = match remote.ip() {
            IpAddr::V4(v4) => &v4.octets()[..],
            IpAddr::V6(v6) => &v6.octets()[..],
        };
        address[0] = if octets.len() == 4 { 4 } else { 6 };
        address[1..=octets.len()].copy_from_slice(octets);
        Self { spi_i: spi_i.0, address, address_len: 1 + octets.len(), ni }
    }
}

/// `None` where the PRF refuses the secret as its key.
fn tag(prf: &dyn PrfAlgorithm, secret: &Secret, version: u8, input: &Input<'_>) -> Option<Vec<u8>> {
    let mut out = vec![0; prf.output_len()];
    let address = input.address.get(..input.address_len)?;
    let parts: [&[u8]; 4] = [&[version], &input.spi_i, address, input.ni];
    prf.prf_key(secret.expose()).ok()?.compute(&parts, &mut out).ok()?;
    if let Some(rest) = out.get_mut(TAG_LEN..) {
        rest.zeroize();
    }
    out.truncate(TAG_LEN);
    Some(out)
}

#[cfg(test)]
mod tests {
    use ipsec_crypto::rustcrypto;
    use ipsec_wire::ike::PrfId;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const NI: &[u8] = &[7; 32];
    const SPI: IkeSpi = IkeSpi([9; 8]);

    fn remote() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 500))
    }

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    fn prf(id: PrfId) -> &'static dyn PrfAlgorithm {
        rustcrypto::provider().prf(id).unwrap()
    }

    #[test]
    fn a_cookie_checks_for_its_own_request_alone() {
        for id in [PrfId::HMAC_SHA2_256, PrfId::HMAC_SHA2_512] {
            let rng = &mut ChaCha20Rng::seed_from_u64(1);
            let mut jar = CookieJar::new(at(0), rng);
            let cookie = jar.make(prf(id), at(1), rng, NI, remote(), SPI);
            assert!((1..=64).contains(&cookie.len()));
            let mut check = |cookie: &[u8], ni: &[u8], remote, spi| {
                jar.check(prf(id), at(2), rng, cookie, ni, remote, spi)
            };
            assert!(check(&cookie, NI, remote(), SPI));
            // Through a NAT the second request may come from another port.
            assert!(check(&cookie, NI, SocketAddr::from(([192, 0, 2, 1], 1024)), SPI));
            assert!(!check(&cookie, &[8; 32], remote(), SPI));
            assert!(!check(&cookie, &NI[1..], remote(), SPI));
            assert!(!check(&cookie, NI, SocketAddr::from(([192, 0, 2, 2], 500)), SPI));
            assert!(!check(&cookie, NI, remote(), IkeSpi([8; 8])));
            assert!(!check(&[], NI, remote(), SPI));
            assert!(!check(&[&cookie[..], &[0]].concat(), NI, remote(), SPI));
            for len in 0..cookie.len() {
                assert!(!check(&cookie[..len], NI, remote(), SPI));
            }
            for octet in 0..cookie.len() {
                let mut forged = cookie.clone();
                forged[octet] ^= 1;
                assert!(!check(&forged, NI, remote(), SPI));
            }
        }
    }

    #[test]
    fn secrets_rotate_and_the_one_before_still_holds() {
        let rng = &mut ChaCha20Rng::seed_from_u64(2);
        let prf = prf(PrfId::HMAC_SHA2_256);
        let mut jar = CookieJar::new(at(0), rng);
        let first = jar.make(prf, at(59), rng, NI, remote(), SPI);
        let second = jar.make(prf, at(60), rng, NI, remote(), SPI);
        assert_ne!(first, second);
        assert!(jar.check(prf, at(119), rng, &first, NI, remote(), SPI));
        assert!(jar.check(prf, at(119), rng, &second, NI, remote(), SPI));
        assert!(!jar.check(prf, at(120), rng, &first, NI, remote(), SPI));
        assert!(jar.check(prf, at(120), rng, &second, NI, remote(), SPI));
        // Two periods without a request: nothing made before holds.
        assert!(!jar.check(prf, at(240), rng, &second, NI, remote(), SPI));
    }

    /// However seldom anybody asks: between one and two periods.
    #[test]
    fn a_cookie_never_holds_for_more_than_two_periods() {
        let rng = &mut ChaCha20Rng::seed_from_u64(4);
        let prf = prf(PrfId::HMAC_SHA2_256);
        for (made, asked) in (0..60).flat_map(|made| (made..260).map(move |asked| (made, asked))) {
            let mut jar = CookieJar::new(at(0), rng);
            let cookie = jar.make(prf, at(made), rng, NI, remote(), SPI);
            assert_eq!(
                jar.check(prf, at(asked), rng, &cookie, NI, remote(), SPI),
                asked < 120,
                "{made} {asked}"
            );
            // Asked in between, which changes the secret late.
            for last in [119, 120, 179, 239] {
                let held = jar.check(prf, at(asked.max(last)), rng, &cookie, NI, remote(), SPI);
                assert_eq!(held, asked.max(last) < 120, "{made} {asked} {last}");
            }
        }
    }

    #[test]
    fn another_responder_does_not_take_it() {
        let prf = prf(PrfId::HMAC_SHA2_256);
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        let (mut one, mut other) = (CookieJar::new(at(0), rng), CookieJar::new(at(0), rng));
        let cookie = one.make(prf, at(0), rng, NI, remote(), SPI);
        assert!(!other.check(prf, at(0), rng, &cookie, NI, remote(), SPI));
    }
}
