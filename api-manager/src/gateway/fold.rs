//! A fast hash for keys that no caller can choose: ids and digests of ours, places of APIs.
//!
//! Keyed by a secret of the process, so that nobody can prepare keys that meet in one place.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

static SECRET: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("fold"));

/// An odd number with about as many ones as zeros.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Makes [`Folding`]s of one secret.
#[derive(Clone, Copy, Debug)]
pub struct Fold(u64);

impl Default for Fold {
    fn default() -> Self {
        Self(*SECRET)
    }
}

impl BuildHasher for Fold {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding { state: self.0, secret: self.0 | 1 }
    }
}

/// Multiplies eight bytes at a time into 128 bits, and folds these.
pub struct Folding {
    state: u64,
    secret: u64,
}

impl Folding {
    fn take(&mut self, word: u64) {
        let product = u128::from(self.state ^ word ^ FACTOR) * u128::from(self.secret);
        // The halves, one onto the other.
        #[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
        let low = product as u64;
        self.state = low ^ u64::try_from(product >> 64).unwrap_or_default();
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.take(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            // How many there are is the eighth: zeros at the end count.
            let mut word = [0, 0, 0, 0, 0, 0, 0, u8::try_from(rest.len()).unwrap_or_default()];
            word.iter_mut().zip(rest).for_each(|(into, from)| *into = *from);
            self.take(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.take(byte.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.take(word);
    }

    // The length of what is hashed next, which always is the same or ends in a byte of its own.
    fn write_usize(&mut self, length: usize) {
        self.state ^= u64::try_from(length).unwrap_or_default();
    }

    fn finish(&self) -> u64 {
        let mut last = Self { state: self.state, secret: self.secret };
        last.take(FACTOR.rotate_left(32));
        last.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_that_differ_little_are_spread_widely() {
        let fold = Fold::default();
        let keys: Vec<String> = (0..4_096).map(|n| format!("api{n}/1.0")).collect();
        let high: HashSet<u64> = keys.iter().map(|key| fold.hash_one(key.as_str()) >> 56).collect();
        let low: HashSet<u64> = keys.iter().map(|key| fold.hash_one(key.as_str()) & 0xfff).collect();
        assert_eq!(high.len(), 256);
        assert!(low.len() > 2_300, "{}", low.len());
        assert_eq!(fold.hash_one("a"), Fold::default().hash_one("a"));
        assert_ne!(fold.hash_one("a"), fold.hash_one("a\0"));
    }
}
