//! Addresses of noise: hashes of names and indices.

/// A 128-bit hash of an address, which consists of a name and indices.
///
/// It is FNV-1a over the bytes of the name, the byte 255 (which does not occur in UTF-8), and eight little-endian bytes
/// for each index. It is the same on all platforms.
pub fn address_hash(name: &str, index: &[u64]) -> u128 {
    let mut hash = fnv(fnv(FNV_OFFSET, name.as_bytes()), &[u8::MAX]);
    for index in index {
        hash = fnv(hash, &index.to_le_bytes());
    }
    hash
}

pub(super) const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// The hash of further bytes.
pub(super) fn fnv(mut hash: u128, bytes: &[u8]) -> u128 {
    for &byte in bytes {
        hash = (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_stable_and_distinguish_addresses() {
        assert_eq!(address_hash("", &[]), (FNV_OFFSET ^ 255).wrapping_mul(FNV_PRIME));
        let hashes = [
            address_hash("x", &[]),
            address_hash("x", &[0]),
            address_hash("x", &[0, 0]),
            address_hash("x", &[1]),
            address_hash("x", &[256]),
            address_hash("y", &[]),
            address_hash("x\0", &[]),
        ];
        for (i, a) in hashes.iter().enumerate() {
            assert!(hashes[..i].iter().all(|b| a != b));
        }
    }
}
