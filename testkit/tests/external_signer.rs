//! A private key that never comes to the one who signs with it: a token, here on a thread of its own, answers over a
//! channel, as an HSM, a TPM or another process would.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use ipsec_crypto::{CryptoError, Signer, algorithm_id, rustcrypto};
use ipsec_wire::ike::AuthMethod;
use rand_chacha::ChaCha12Rng;
use rand_core::{CryptoRng, SeedableRng};
use testkit::provider_suite::{check_signer, test_keys};

/// What is to be signed, and where the answer goes. The octets travel, the key does not.
struct Order {
    algorithm: Option<Vec<u8>>,
    message: Vec<u8>,
    answer: Sender<Result<Vec<u8>, CryptoError>>,
}

/// The token: a key and a generator of its own.
fn token(pkcs8: Vec<u8>, orders: Receiver<Order>) -> JoinHandle<usize> {
    thread::spawn(move || {
        let key = rustcrypto::signer_from_pkcs8(&pkcs8).expect("key");
        let mut rng = ChaCha12Rng::seed_from_u64(7);
        let mut signed = 0;
        for Order { algorithm, message, answer } in orders {
            let signature = match algorithm {
                Some(algorithm) => key.sign(&algorithm, &message, &mut rng),
                None => key.sign_for_method(AuthMethod::ECDSA_256, &message, &mut rng),
            };
            signed += usize::from(signature.is_ok());
            let _ = answer.send(signature);
        }
        signed
    })
}

/// The handle that an IKE endpoint is given.
#[derive(Debug)]
struct Token {
    orders: Mutex<Sender<Order>>,
}

impl Token {
    fn order(&self, algorithm: Option<&[u8]>, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let (answer, answered) = channel();
        let order = Order { algorithm: algorithm.map(<[u8]>::to_vec), message: message.to_vec(), answer };
        // A token that is gone signs nothing.
        let orders = self.orders.lock().map_err(|_| CryptoError::KeyUnavailable)?;
        orders.send(order).map_err(|_| CryptoError::KeyUnavailable)?;
        answered.recv().map_err(|_| CryptoError::KeyUnavailable)?
    }
}

impl Signer for Token {
    fn algorithms(&self) -> &[&'static [u8]] {
        &[algorithm_id::ECDSA_SHA2_256]
    }
    fn sign(&self, algorithm: &[u8], message: &[u8], _: &mut dyn CryptoRng) -> Result<Vec<u8>, CryptoError> {
        self.order(Some(algorithm), message)
    }
    fn methods(&self) -> &[AuthMethod] {
        &[AuthMethod::ECDSA_256]
    }
    fn sign_for_method(
        &self,
        method: AuthMethod,
        message: &[u8],
        _: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        if method != AuthMethod::ECDSA_256 {
            return Err(CryptoError::Unsupported);
        }
        self.order(None, message)
    }
}

#[test]
fn a_key_elsewhere_signs_what_the_rows_verify() {
    let (_, pkcs8, spki) = test_keys().into_iter().find(|(kind, ..)| kind == "ecdsa-256").expect("key");
    let (orders, taken) = channel();
    let thread = token(pkcs8, taken);
    let signer = Token { orders: Mutex::new(orders) };
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    assert_eq!(check_signer(&signer, &spki, &rustcrypto::provider(), &mut rng), 2);
    drop(signer);
    // Two messages under the algorithm and one under the method.
    assert_eq!(thread.join().expect("the token ends with its last handle"), 3);
}

#[test]
fn a_token_that_is_gone_is_an_error() {
    let (orders, taken) = channel();
    drop(taken);
    let signer = Token { orders: Mutex::new(orders) };
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let signed = signer.sign(algorithm_id::ECDSA_SHA2_256, b"octets", &mut rng);
    assert_eq!(signed, Err(CryptoError::KeyUnavailable));
}
