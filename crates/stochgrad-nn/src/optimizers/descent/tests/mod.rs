//! Tests of optimisers.

mod accumulation;
mod groups;

use stochgrad_tape::Var;
use stochgrad_tensor::Tensor;

use super::*;
use crate::optimizers::{Adam, AdamW, RmsProp, Sgd, Updated};

/// A rule without its kernel.
#[derive(Clone, Debug)]
struct Recorded<R>(R);

impl<F: Real, R: UpdateRule<F>> UpdateRule<F> for Recorded<R> {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn slots(&self) -> &'static [&'static str] {
        self.0.slots()
    }

    fn coefficients<'t>(&self, rate: Var<'t, F>, step: Var<'t, F>) -> Vec<Var<'t, F>> {
        self.0.coefficients(rate, step)
    }

    fn update<'t>(
        &self,
        coefficients: &[Var<'t, F>],
        parameter: Var<'t, F>,
        gradient: Var<'t, F>,
        slots: &[Var<'t, F>],
    ) -> Updated<'t, F> {
        self.0.update(coefficients, parameter, gradient, slots)
    }
}

fn start<F: Real>() -> Parameters<F> {
    let mut parameters = Parameters::new();
    let values =
        |shape: &[usize], seed: f64| Tensor::from_fn(shape, move |i| F::from_f64(((i as f64 + 1.0) * seed).sin()));
    parameters.insert("scalar", values(&[], 0.3)).unwrap();
    parameters.insert("row", values(&[17], 0.7)).unwrap();
    parameters.insert("matrix", values(&[5, 3], 1.1)).unwrap();
    parameters.insert("large", values(&[300, 301], 1.3)).unwrap();
    parameters.insert("other row", values(&[17], 1.9)).unwrap();
    parameters
}

/// The bits of all parameters and slots after some steps.
fn trained<F: Real>(mut optimizer: impl Optimizer<F>, steps: usize) -> Vec<u64> {
    let mut parameters = start::<F>();
    for step in 0..steps {
        let slopes = parameters.iter().map(|(name, value)| {
            let values = value.as_slice();
            let slope = |i: usize| values[i] * F::from_f64(0.3 + ((i * 7 + step * 3) % 11) as f64 - 5.0);
            (name.to_owned(), Tensor::from_fn(value.shape().clone(), slope))
        });
        let gradients = Gradients::from_tensors(slopes.collect::<Vec<_>>());
        optimizer.step(&mut parameters, &gradients).unwrap();
    }
    let slots = optimizer.state().slots.into_values().flat_map(|slot| slot.into_values());
    let all = parameters.iter().map(|(_, value)| value.clone()).chain(slots).collect::<Vec<_>>();
    all.iter().flat_map(|tensor| tensor.as_slice()).map(|x| x.to_f64().to_bits()).collect()
}

fn same_bits<F: Real>(steps: usize) {
    let falling = || Schedule::cosine(0.02, 0.001, 80).warm_up(10);
    let adam = || Adam::<F>::new(falling()).betas(0.5, 0.9).epsilon(1e-3);
    let rms_prop = || RmsProp::<F>::new(1e-3).smoothing(0.9).epsilon(1e-3);
    same_bits_as_recorded([Adam::new(0.01), adam(), adam().weight_decay(0.1)], steps);
    same_bits_as_recorded([AdamW::<F>::new(0.01), AdamW::new(falling()).weight_decay(0.0)], steps);
    same_bits_as_recorded(
        [
            Sgd::<F>::new(1e-3),
            Sgd::new(1e-3).weight_decay(0.1),
            Sgd::new(falling()).momentum(0.9),
            Sgd::new(1e-3).momentum(0.5).nesterov(true).weight_decay(0.1),
        ],
        steps,
    );
    same_bits_as_recorded(
        [
            RmsProp::new(falling()),
            rms_prop().momentum(0.5),
            rms_prop().centered(true).weight_decay(0.1),
            rms_prop().centered(true).momentum(0.9).weight_decay(0.1),
        ],
        steps,
    );
}

fn same_bits_as_recorded<F: Real, R: UpdateRule<F> + Copy + Send + std::fmt::Debug>(
    kernels: impl IntoIterator<Item = Descent<F, R>>,
    steps: usize,
) where
    Descent<F, R>: Send,
{
    let pools = [1, 2].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    for kernel in kernels {
        let recorded = trained(Descent::of(Recorded(kernel.rule), kernel.schedule().clone()), steps);
        for pool in &pools {
            let one = Descent::of(kernel.rule, kernel.schedule().clone());
            let found = pool.install(move || trained(one, steps));
            assert!(found == recorded, "{kernel:?}, {} threads", pool.current_num_threads());
        }
    }
}

#[test]
fn kernels_have_the_bits_of_the_recorded_rules_in_double_precision() {
    same_bits::<f64>(100);
}

#[test]
fn kernels_have_the_bits_of_the_recorded_rules_in_single_precision() {
    same_bits::<f32>(100);
}

#[test]
fn an_average_is_part_of_the_state() {
    let make = || Sgd::<f64>::new(1.0).average(Average::uniform());
    let mut parameters = crate::testing::one_parameter(Tensor::scalar(0.0));
    let slope = crate::testing::gradients(&parameters, &[("x", Tensor::scalar(-1.0))]);
    let mut sgd = make();
    for _ in 0..3 {
        sgd.step(&mut parameters, &slope).unwrap();
    }
    let mut resumed = make();
    resumed.load_state(&sgd.state()).unwrap();
    assert!(Sgd::<f64>::new(1.0).load_state(&sgd.state()).is_err());
    for optimizer in [&mut sgd, &mut resumed] {
        let mut parameters = parameters.clone();
        optimizer.step(&mut parameters, &slope).unwrap();
        let averaged = optimizer.averages().unwrap().averaged(&parameters).unwrap();
        assert_eq!(averaged.get("x"), Some(&Tensor::scalar(2.5)));
    }
}

#[test]
fn the_learning_rate_follows_its_schedule_and_can_be_set() {
    let mut sgd = Sgd::<f64>::new(Schedule::piecewise(1.0, [(1, 0.5)]));
    let mut parameters = crate::testing::one_parameter(Tensor::scalar(0.0));
    let mut step = |sgd: &mut Sgd<f64>| {
        let gradients = crate::testing::gradients(&parameters, &[("x", Tensor::scalar(-1.0))]);
        sgd.step(&mut parameters, &gradients).unwrap();
        parameters.get("x").unwrap().item().unwrap()
    };
    assert_eq!(sgd.learning_rate(), 1.0);
    assert_eq!([step(&mut sgd), step(&mut sgd)], [1.0, 1.5]);
    assert_eq!(sgd.learning_rate(), 0.5);
    for rate in [0.25, 0.125] {
        sgd.set_learning_rate(rate);
        assert_eq!(sgd.learning_rate(), rate);
        step(&mut sgd);
    }
    assert_eq!(parameters.get("x"), Some(&Tensor::scalar(1.875)));
}

#[test]
fn settings_in_words_differ_with_every_setting() {
    let plain = || Adam::<f64>::new(0.01);
    let all = [
        plain(),
        Adam::new(0.02),
        Adam::new(Schedule::cosine(0.01, 0.0, 10)),
        plain().betas(0.5, 0.9),
        plain().accumulate(2),
        plain().only("a"),
        plain().clip(Clip::by_global_norm(1.0)),
        plain().average(Average::uniform()),
        plain().average(Average::exponential(0.5)),
        plain().group("a", Sgd::new(0.01)),
        plain().group("a", Sgd::new(0.01).momentum(0.5)),
        plain().group("b", Sgd::new(0.01)),
    ];
    let words: std::collections::BTreeSet<String> = all.iter().map(Optimizer::settings).collect();
    assert_eq!(words.len(), all.len(), "{words:#?}");
    assert!(plain().settings().contains("betas: [0.9, 0.999]") && plain().settings().contains("learning rate 0.01"));
    assert_eq!(plain().settings(), plain().settings());
}
