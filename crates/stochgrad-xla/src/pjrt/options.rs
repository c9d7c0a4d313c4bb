//! The options of compilation, in the format of protocol buffers.

/// The message `CompileOptionsProto` of XLA for a program with one replica for each device and one partition.
///
/// The message is short, so that it is written here byte by byte. A field is its number and its kind (0: a number, 2: the
/// length of what follows), and then its content.
pub(super) fn compile_options(devices: &[i32]) -> Vec<u8> {
    const EXECUTABLE_BUILD_OPTIONS: u64 = 3;
    const REPLICAS: u64 = 4;
    const PARTITIONS: u64 = 5;
    const DEVICE_ASSIGNMENT: u64 = 9;

    let mut build = Vec::new();
    number(&mut build, REPLICAS, devices.len() as u64);
    number(&mut build, PARTITIONS, 1);
    bytes(&mut build, DEVICE_ASSIGNMENT, &device_assignment(devices));
    let mut options = Vec::new();
    bytes(&mut options, EXECUTABLE_BUILD_OPTIONS, &build);
    options
}

/// The message `DeviceAssignmentProto`.
fn device_assignment(devices: &[i32]) -> Vec<u8> {
    const REPLICAS: u64 = 1;
    const COMPUTATIONS: u64 = 2;
    const COMPUTATION_DEVICES: u64 = 3;
    const REPLICA_DEVICES: u64 = 1;

    let mut ids = Vec::new();
    devices.iter().for_each(|&device| variable_length(&mut ids, device as u64));
    let mut computation = Vec::new();
    bytes(&mut computation, REPLICA_DEVICES, &ids);
    let mut assignment = Vec::new();
    number(&mut assignment, REPLICAS, devices.len() as u64);
    number(&mut assignment, COMPUTATIONS, 1);
    bytes(&mut assignment, COMPUTATION_DEVICES, &computation);
    assignment
}

fn number(to: &mut Vec<u8>, field: u64, value: u64) {
    variable_length(to, field << 3);
    variable_length(to, value);
}

fn bytes(to: &mut Vec<u8>, field: u64, content: &[u8]) {
    variable_length(to, field << 3 | 2);
    variable_length(to, content.len() as u64);
    to.extend_from_slice(content);
}

/// A number in groups of seven bits, the lowest first. The highest bit of each byte but the last is set.
fn variable_length(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_that_the_reference_implementation_writes() {
        // The fields that jaxlib writes for two replicas on the devices 1 and 300, without those that have defaults.
        let expected = [0x1a, 0x11, 0x20, 2, 0x28, 1, 0x4a, 0x0b, 0x08, 2, 0x10, 1, 0x1a, 5, 0x0a, 3, 1, 0xac, 2];
        assert_eq!(compile_options(&[1, 300]), expected);
    }
}
