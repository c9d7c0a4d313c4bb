//! How many samples a node has and where they live, in words.

use stochgrad_graph::SamplePlate;
use stochgrad_tensor::sampling_scheme::SamplingScheme;

/// The number of samples and where they live, in words.
pub(crate) fn describe_plate(plate: SamplePlate) -> String {
    match plate {
        SamplePlate::Single => "1 sample".into(),
        SamplePlate::New(1) => "1 sample".into(),
        SamplePlate::New(samples) => format!("{samples} samples"),
        SamplePlate::Shared(_) => "along a shared plate".into(),
    }
}

/// As [`describe_plate`], with the scheme by which the samples are drawn.
pub(crate) fn describe_members(plate: SamplePlate, scheme: Option<SamplingScheme>) -> String {
    match scheme {
        None => describe_plate(plate),
        Some(scheme) => format!("{scheme}, {}", describe_plate(plate)),
    }
}
