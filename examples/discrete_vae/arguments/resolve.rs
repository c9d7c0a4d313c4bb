//! Converts a command line to the settings of a run.

use std::num::NonZero;

use crate::annealing::Annealing;
use crate::arguments::{Arguments, LatentKind};
use crate::folders::{data_folder, prepare_output};
use crate::latent::Latent;
use crate::method_name::MethodName;
use crate::settings::{Compared, Settings};
use crate::size_limits::{MOST_STATES, check_size};
use crate::usage_error::UsageError;

/// Pixels of an embedded digit, for the check of the model's size.
const DIGIT_PIXELS: usize = 8 * 8;
/// Pixels of an MNIST image, for the check of the model's size.
const MNIST_PIXELS: usize = 28 * 28;

impl Arguments {
    /// Fills in the defaults, checks all values, and creates the folder for the results.
    ///
    /// # Errors
    /// The first flag with an invalid value.
    pub(crate) fn resolve(self) -> Result<Settings, UsageError> {
        let mnist = self.data.is_some();
        let latent = self.latent()?;
        let hidden = match &self.hidden {
            Some(widths) => widths.clone(),
            None if mnist => vec![200, 200],
            None => vec![128, 128],
        };
        for &width in &hidden {
            positive("--hidden", width, "give the widths as in --hidden 128,128")?;
        }
        let batch = self.batch.unwrap_or(if mnist { 100 } else { 50 });
        positive("--batch", batch, "try --batch 50")?;
        let epochs = self.epochs.unwrap_or(match (self.quick, mnist) {
            (true, _) => 3,
            (false, true) => 10,
            (false, false) => 100,
        });
        positive("--epochs", epochs, "try --quick for a short run")?;
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get));
        if !(1..=1024).contains(&threads) {
            return Err(UsageError::Value {
                flag: "--threads",
                expected: "a number from 1 to 1024".to_owned(),
                found: threads.to_string(),
                hint: "omit it to use the available cores",
            });
        }
        if !(self.lr.is_finite() && self.lr > 0.0) {
            return Err(UsageError::Value {
                flag: "--lr",
                expected: "a finite number above 0".to_owned(),
                found: self.lr.to_string(),
                hint: "try --lr 0.001",
            });
        }
        let samples = self.samples(latent)?;
        let scheme = self.scheme(latent, samples)?;
        let temperature = self.annealing()?;
        let compared = self.compared(latent)?;
        let pixels = if mnist { MNIST_PIXELS } else { DIGIT_PIXELS };
        let members = match self.method {
            MethodName::Enumerate => latent.states().unwrap_or(MOST_STATES),
            method => method.swaps(latent).saturating_mul(samples) as u128,
        };
        let widths = [&[pixels], hidden.as_slice(), &[latent.width()]].concat();
        check_size(&widths, batch, members)?;
        let data = self.data.as_deref().map(data_folder).transpose()?;
        prepare_output(&self.out, self.resume)?;
        Ok(Settings {
            latent,
            hidden,
            method: self.method,
            samples,
            scheme,
            data,
            epochs,
            batch,
            lr: self.lr,
            seed: self.seed,
            threads,
            out: self.out,
            resume: self.resume,
            temperature,
            quick: self.quick,
            compared,
        })
    }

    /// The methods to compare, with the settings that each would have by default at the end of a run.
    fn compared(&self, latent: Latent) -> Result<Vec<Compared>, UsageError> {
        let resolve = |&method: &MethodName| {
            let alone = Self {
                method,
                samples: None,
                temperature: None,
                final_temperature: None,
                backward_temperature: None,
                ..self.clone()
            };
            let samples = alone.samples(latent)?;
            let temperature = alone.annealing()?.map(|annealing| Annealing { start: annealing.end, ..annealing });
            Ok(Compared { method, samples, temperature })
        };
        self.compare.iter().map(resolve).collect()
    }

    fn latent(&self) -> Result<Latent, UsageError> {
        let distribution = self.latent.unwrap_or(match self.data {
            Some(_) => LatentKind::Bernoulli,
            None => LatentKind::Categorical,
        });
        if let Some(size) = self.latent_size {
            positive("--latent-size", size, "omit it for the default")?;
        }
        match (distribution, self.categories) {
            (LatentKind::Bernoulli, None) => Ok(Latent::Bernoulli { bits: self.latent_size.unwrap_or(200) }),
            (LatentKind::Bernoulli, Some(categories)) => Err(UsageError::Value {
                flag: "--categories",
                expected: "no value with bernoulli variables".to_owned(),
                found: categories.to_string(),
                hint: "omit it, or add --latent categorical",
            }),
            (LatentKind::Categorical, Some(categories @ (0 | 1))) => Err(UsageError::Value {
                flag: "--categories",
                expected: "at least 2".to_owned(),
                found: categories.to_string(),
                hint: "omit it for the default, 10",
            }),
            (LatentKind::Categorical, categories) => Ok(Latent::Categorical {
                variables: self.latent_size.unwrap_or(20),
                categories: categories.unwrap_or(10),
            }),
        }
    }
}

/// Refuses 0.
pub(super) fn positive(flag: &'static str, value: usize, hint: &'static str) -> Result<(), UsageError> {
    if value > 0 {
        return Ok(());
    }
    Err(UsageError::Value { flag, expected: "at least 1".to_owned(), found: "0".to_owned(), hint })
}
