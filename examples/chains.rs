//! Markov chains that run side by side.

/// The correlation of a quantity with itself some steps later: `values` has its value in each chain, at each step.
pub fn autocorrelation(values: &[Vec<f64>], mean: f64, lag: usize) -> f64 {
    let covariance = |lag: usize| {
        let pairs = values.iter().zip(&values[lag..]).flat_map(|(first, second)| first.iter().zip(second));
        let sum: f64 = pairs.map(|(x, y)| (x - mean) * (y - mean)).sum();
        sum / ((values.len() - lag) * values[0].len()) as f64
    };
    covariance(lag) / covariance(0)
}

/// The correlations for the lags from 0 up to the first one whose correlation is below 0.02, and the number of steps
/// that are worth one independent sample, $1 + 2 \sum_{l \ge 1} \rho_l$.
pub fn mixing(values: &[Vec<f64>], mean: f64) -> (Vec<f64>, f64) {
    let lags = (0..values.len() / 2).map(|lag| autocorrelation(values, mean, lag));
    let correlations: Vec<f64> = lags.take_while(|correlation| *correlation > 0.02).collect();
    let time = 2.0 * correlations.iter().sum::<f64>() - 1.0;
    (correlations, time)
}
