//! The messages of TensorBoard, in the encoding of protocol buffers.
//!
//! Source: `event.proto` and `summary.proto` of TensorFlow. Only the fields of scalars are written.

/// The kinds of the encoding.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// The fields of `Event`.
const WALL_TIME: u64 = 1;
const STEP: u64 = 2;
const FILE_VERSION: u64 = 3;
const SUMMARY: u64 = 5;
/// The field of `Summary`.
const VALUE: u64 = 1;
/// The fields of `Summary.Value`.
const TAG: u64 = 1;
const SIMPLE_VALUE: u64 = 2;

/// The event at the start of each file.
pub(super) fn version(wall_time: f64) -> Vec<u8> {
    let mut event = event(wall_time, 0);
    push_bytes(&mut event, FILE_VERSION, b"brain.Event:2");
    event
}

/// Some scalars at a step.
pub(super) fn scalars<'a>(wall_time: f64, step: u64, values: impl Iterator<Item = (&'a str, f64)>) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let mut message = Vec::new();
        push_bytes(&mut message, TAG, tag.as_bytes());
        push_varint(&mut message, SIMPLE_VALUE << 3 | FIXED32);
        message.extend((value as f32).to_le_bytes());
        push_bytes(&mut summary, VALUE, &message);
    }
    let mut event = event(wall_time, step);
    push_bytes(&mut event, SUMMARY, &summary);
    event
}

fn event(wall_time: f64, step: u64) -> Vec<u8> {
    let mut event = Vec::new();
    push_varint(&mut event, WALL_TIME << 3 | FIXED64);
    event.extend(wall_time.to_le_bytes());
    push_varint(&mut event, STEP << 3 | VARINT);
    push_varint(&mut event, step);
    event
}

/// The step of an event that [`event`] wrote; `None` for an event of another program.
pub(super) fn step(event: &[u8]) -> Option<u64> {
    let rest = event.get(1 + size_of::<f64>()..)?;
    let (&key, rest) = rest.split_first()?;
    (u64::from(key) == STEP << 3 | VARINT).then(|| varint(rest)).flatten()
}

fn push_bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    push_varint(message, field << 3 | BYTES);
    push_varint(message, bytes.len() as u64);
    message.extend(bytes);
}

/// Seven bits for each byte, the lowest first; the highest bit says that more follow.
fn push_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn varint(bytes: &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_protocol_buffers() {
        // From `Event(wall_time=1.5, step=300, summary=...).SerializeToString()` in Python.
        let expected = [
            0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, // wall_time
            0x10, 0xac, 0x02, // step
            0x2a, 0x0b, 0x0a, 0x09, 0x0a, 0x02, b'k', b'l', 0x15, 0, 0, 0x20, 0x40, // summary
        ];
        assert_eq!(scalars(1.5, 300, [("kl", 2.5)].into_iter()), expected);
        assert!(version(1.5).ends_with(b"\x1a\x0dbrain.Event:2"));
    }

    #[test]
    fn steps_read_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(step(&scalars(0.1, number, std::iter::empty())), Some(number));
        }
        assert_eq!(step(&[]), None);
        assert_eq!(step(&[0; 10]), None);
        assert_eq!(varint(&[0xff; 20]), None);
    }
}
