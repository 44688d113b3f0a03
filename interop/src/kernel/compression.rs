//! Cases of IPComp (RFC 3173): both sides compress what becomes smaller, and leave alone what does not.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::conversation::Conversation;
use crate::scenario::ensure;

/// What goes along with compressed data: outer headers, ESP, IPComp and DEFLATE's own.
const OVERHEAD: usize = 200;

/// Echoes that compress well, echoes that are too short for it, and echoes of noise.
pub(crate) fn compressed(talk: &mut Conversation<'_>) -> Result<(), String> {
    let mut rng = ChaCha20Rng::seed_from_u64(0x1bc0);
    for length in [1000, 0, 40, 1300, 600, 91, 1250] {
        // A pattern with a period of 32 octets.
        exchange(talk, (0..length).map(|at| (at % 32) as u8).collect(), length >= 600)?;
        let mut noise = vec![0; length];
        rng.fill_bytes(&mut noise);
        exchange(talk, noise, false)?;
    }
    Ok(())
}

/// An echo of this data, which must travel short both ways, or at its length.
fn exchange(talk: &mut Conversation<'_>, data: Vec<u8>, short: bool) -> Result<(), String> {
    let length = data.len();
    let mut request = talk.request(0);
    request.data = data;
    let sealed = talk.seal(&request)?;
    talk.guest.send(&sealed)?;
    let answer = talk.received()?;
    talk.accept(&answer, &request)?;
    for (whose, packet) in [("our", &sealed), ("the kernel's", &answer)] {
        let fits = if short { packet.len() < OVERHEAD + length / 4 } else { packet.len() > length };
        // Between the threshold and the first hundreds of octets either may be.
        ensure(fits || !short && (90..600).contains(&length), || {
            format!("{whose} packet with {length} octets of data has {} octets", packet.len())
        })?;
    }
    Ok(())
}
