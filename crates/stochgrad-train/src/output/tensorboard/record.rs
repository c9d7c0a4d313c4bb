//! The file format of TensorBoard: records with checksums.
//!
//! A record is the length of its data as 8 little-endian bytes, the masked CRC-32C of these bytes, the data, and the
//! masked CRC-32C of the data. Source: `tensorflow/core/lib/io/record_writer.h`.

use crc::{CRC_32_ISCSI, Crc};

/// CRC-32C, the polynomial of Castagnoli.
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const LENGTH: usize = 8;
const CHECKSUM: usize = 4;

/// The checksum, rotated and shifted, so that the checksum of data that contains checksums is not degenerate.
fn masked_crc(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Appends a record.
pub(super) fn write_record(file: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked_crc(&length).to_le_bytes());
    file.extend(data);
    file.extend(masked_crc(data).to_le_bytes());
}

/// Splits the first record off, and returns its data and its number of bytes. `None` if the record is incomplete or
/// damaged.
pub(super) fn read_record(file: &[u8]) -> Option<(&[u8], usize)> {
    let (length, rest) = file.split_first_chunk::<LENGTH>()?;
    let (checksum, rest) = rest.split_first_chunk::<CHECKSUM>()?;
    if u32::from_le_bytes(*checksum) != masked_crc(length) {
        return None;
    }
    let (data, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let checksum = rest.first_chunk::<CHECKSUM>()?;
    (u32::from_le_bytes(*checksum) == masked_crc(data)).then_some((data, LENGTH + 2 * CHECKSUM + data.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        // RFC 3720, B.4: 32 bytes of zeros, and 32 bytes of ones.
        assert_eq!(CRC.checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(CRC.checksum(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn records_read_back_and_damage_is_found() {
        let mut file = Vec::new();
        let contents: [&[u8]; 3] = [b"first", b"", &[7; 1000]];
        contents.iter().for_each(|data| write_record(&mut file, data));
        let mut rest = &file[..];
        for data in contents {
            let (read, size) = read_record(rest).unwrap();
            assert_eq!((read, size), (data, 16 + data.len()));
            rest = &rest[size..];
        }
        assert!(rest.is_empty() && read_record(rest).is_none());
        for end in 0..21 {
            assert!(read_record(&file[..end]).is_none());
        }
        for position in 0..21 {
            let mut damaged = file.clone();
            damaged[position] ^= 1;
            assert!(read_record(&damaged).is_none(), "{position}");
        }
    }
}
