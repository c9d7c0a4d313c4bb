//! When the host looks at a run on a device.

use stochgrad_tensor::Real;

use super::run::Run;
use super::settings::Settings;
use super::span::Span;
use super::warnings::LOOK;

impl<F: Real> Run<'_, '_, F> {
    /// The number of steps, at least 1, after which the host looks at the run, unless the epoch ends before.
    pub(super) fn steps_to_look(&self) -> usize {
        let step = self.state.step;
        let left = if let Span::Steps(length) = self.length { length.saturating_sub(step) } else { u64::MAX };
        self.periods().map(|period| period - step % period).fold(left, u64::min).max(1) as usize
    }

    /// The largest number of steps that are made at once with minibatches of a size.
    pub(super) fn longest(&self, members: usize) -> usize {
        let Settings { batch, .. } = self.settings;
        let in_epoch = self.data.size().map_or(1, |size| size / batch.max(1));
        // The last minibatch of an epoch may be smaller than the others.
        let in_epoch = if members == batch { in_epoch.max(1) } else { 1 };
        self.periods().map(|period| period as usize).fold(in_epoch, usize::min)
    }

    /// The periods, in steps, of which the host looks at the run at each multiple.
    fn periods(&self) -> impl Iterator<Item = u64> {
        let steps = |span: Span| if let Span::Steps(steps) = span { Some(steps) } else { None };
        let settings = &self.settings;
        let callbacks = (!self.on_step.is_empty()).then_some(1);
        let evaluations = self.held_out.as_ref().and_then(|_| steps(settings.validate_every));
        let checkpoints = self.folder.as_ref().and_then(|_| steps(settings.checkpoint_every));
        let variances = settings.gradient_variance.as_ref().map(|variance| variance.period());
        let all = [Some(LOOK), callbacks, steps(settings.measure_every), evaluations, checkpoints, variances];
        all.into_iter().flatten()
    }
}
