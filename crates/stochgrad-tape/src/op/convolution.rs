//! Convolutions and their derivative rules.
//!
//! A convolution $y = x * w$ is bilinear. With the trilinear form $T(x, w, y) = \sum y \cdot (x * w)$, there are three
//! operations: the convolution $\partial T / \partial y$, its adjoint with respect to the images
//! $\partial T / \partial x$, and its adjoint with respect to the weights $\partial T / \partial w$. Each is bilinear,
//! and the adjoints of its operands are the two other ones.

use crate::adjoint::Adjoints;
use crate::node::Node;
use crate::op::broadcast::unbroadcast;
use crate::op::fault::Fault;
use crate::op::{ImageSize, Op};
use crate::plate::{Plates, merge};
use crate::tape::Inner;
use crate::var::Var;
use smallvec::{SmallVec, smallvec};
use stochgrad_tensor::convolution::{self, Convolution};
use stochgrad_tensor::{Pool, Real, Shape, Tensor, layout, reduce};

/// The height and the width of images, which have at least three event axes.
pub(crate) fn image_size(event: &Shape) -> ImageSize {
    event.last_chunk().map_or([0, 0], |&[height, width, _]| [height, width])
}

/// The sizes of the kernel of weights.
fn kernel_size(event: &Shape) -> ImageSize {
    event.first_chunk().copied().unwrap_or_default()
}

impl<F: Real> Inner<F> {
    /// The sizes of images, [height, width, channels].
    fn image(&self, node: &Node<F>) -> Result<[usize; 3], Fault> {
        match node.event().last_chunk() {
            Some(&sizes) => Ok(sizes),
            None => Err(self.operand(node, "expected images as the last three event axes, [height, width, channels]")),
        }
    }

    /// The sizes of weights whose number of channels fits the groups.
    fn kernel(&self, geometry: &Convolution<2>, node: &Node<F>) -> Result<[usize; 4], Fault> {
        let Ok(sizes): Result<[usize; 4], _> = node.event()[..].try_into() else {
            return Err(self.operand(
                node,
                "expected weights with the event axes [kernel height, kernel width, inputs / groups, outputs]",
            ));
        };
        if geometry.groups == 0 || !sizes[3].is_multiple_of(geometry.groups) {
            let problem = format!(
                "expected a number of outputs that is a multiple of {} groups, got {}",
                geometry.groups, sizes[3]
            );
            return Err(self.operand(node, problem));
        }
        Ok(sizes)
    }

    fn channels(&self, node: &Node<F>, what: &str, expected: usize, got: usize) -> Result<(), Fault> {
        if expected == got {
            return Ok(());
        }
        Err(self.operand(
            node,
            format!(
                "expected {expected} channels in the last event axis, the number of {what} of the weights, got {got}; \
                 images have their channels last"
            ),
        ))
    }

    /// The size of the result of a convolution of images of some size.
    fn convolved_size(
        &self,
        geometry: &Convolution<2>,
        node: &Node<F>,
        size: ImageSize,
        kernel: ImageSize,
    ) -> Result<ImageSize, Fault> {
        geometry.output_size(size, kernel).map_err(|problem| self.operand(node, problem))
    }

    /// The images and the weights with axes for the plates of both.
    fn images_and_weights(&self, images: &Node<F>, weights: &Node<F>) -> (Plates, [Tensor<F>; 2]) {
        let mut plates = images.plates.clone();
        merge(&mut plates, &weights.plates);
        let rank = images.value.rank() - images.plates.len();
        let values = [self.spread(images, &plates, rank), self.spread(weights, &plates, rank + 1)];
        (plates, values)
    }

    /// See [`Op::Convolve`].
    pub(crate) fn convolve(
        &self,
        pool: &Pool<F>,
        geometry: &Convolution<2>,
        x: &Node<F>,
        w: &Node<F>,
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let ([height, width, channels], kernel) = (self.image(x)?, self.kernel(geometry, w)?);
        self.channels(x, "inputs", kernel[2] * geometry.groups, channels)?;
        self.convolved_size(geometry, x, [height, width], [kernel[0], kernel[1]])?;
        let (plates, [x, w]) = self.images_and_weights(x, w);
        Ok((convolution::convolve(pool, geometry, &x, &w), plates))
    }

    /// See [`Op::ConvolveAdjoint`].
    pub(crate) fn convolve_adjoint(
        &self,
        pool: &Pool<F>,
        geometry: &Convolution<2>,
        size: ImageSize,
        y: &Node<F>,
        w: &Node<F>,
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let ([height, width, channels], kernel) = (self.image(y)?, self.kernel(geometry, w)?);
        self.channels(y, "outputs", kernel[3], channels)?;
        let expected = self.convolved_size(geometry, y, size, [kernel[0], kernel[1]])?;
        if expected != [height, width] {
            let problem = format!("expected images of the size {expected:?} for a result of the size {size:?}");
            return Err(self.operand(y, problem));
        }
        let (plates, [y, w]) = self.images_and_weights(y, w);
        Ok((convolution::convolve_adjoint(pool, geometry, size, &y, &w), plates))
    }

    /// See [`Op::ConvolveWeights`].
    pub(crate) fn convolve_weights(
        &self,
        pool: &Pool<F>,
        geometry: &Convolution<2>,
        kernel: ImageSize,
        over: &Plates,
        x: &Node<F>,
        y: &Node<F>,
    ) -> Result<(Tensor<F>, Plates), Fault> {
        let ([height, width, channels], [rows, columns, outputs]) = (self.image(x)?, self.image(y)?);
        let size = self.convolved_size(geometry, x, [height, width], kernel)?;
        let lead = |node: &Node<F>| Shape::from(&node.event()[..node.event().len() - 3]);
        let groups = geometry.groups;
        let fits = channels.is_multiple_of(groups) && outputs.is_multiple_of(groups);
        if size != [rows, columns] || lead(x) != lead(y) || !fits {
            return Err(Fault::Broadcast { left: x.event(), right: y.event(), plates: self.words(&x.plates) });
        }
        let mut plates = x.plates.clone();
        merge(&mut plates, &y.plates);
        let (kept, summed): (Plates, Plates) = plates.iter().copied().partition(|plate| !over.contains(plate));
        let order: SmallVec<[usize; 8]> =
            kept.iter().chain(&summed).filter_map(|plate| plates.binary_search(plate).ok()).collect();
        let arranged = |node: &Node<F>| {
            let event = node.event();
            let spread = self.spread(node, &plates, event.len());
            let full = self.full_shape(&plates, &event);
            let whole = if *spread.shape() == full { spread } else { reduce::expand(pool, &spread, &full) };
            if order.is_sorted() {
                return whole;
            }
            let axes: SmallVec<[usize; 8]> = order.iter().copied().chain(plates.len()..full.len()).collect();
            let turned = layout::transpose(pool, &whole, &axes);
            pool.recycle(whole);
            turned
        };
        let (x, y) = (arranged(x), arranged(y));
        let value = convolution::convolve_weights(pool, geometry, kernel, &x, &y, kept.len());
        pool.recycle(x);
        pool.recycle(y);
        Ok((value, kept))
    }
}

/// The plates of an operation on two operands, without those of one of them.
fn others<F: Real>(a: Var<'_, F>, b: Var<'_, F>, kept: &Plates) -> Plates {
    let mut plates = a.plates();
    merge(&mut plates, &b.plates());
    plates.retain(|plate| !kept.contains(plate));
    plates
}

/// An adjoint on the plates of two values, summed to those of its operand.
fn summed<'t, F: Real>(adjoint: Var<'t, F>, other: Var<'t, F>, operand: Var<'t, F>) -> Var<'t, F> {
    let mut plates = adjoint.plates();
    merge(&mut plates, &other.plates());
    merge(&mut plates, &operand.plates());
    unbroadcast(adjoint, &plates, &operand.shape(), operand)
}

/// The adjoints of the operands of [`Op::Convolve`], given the full adjoint `g` of the result.
pub(crate) fn convolve_rule<'t, F: Real>(
    geometry: Convolution<2>,
    x: Var<'t, F>,
    w: Var<'t, F>,
    output: Var<'t, F>,
    g: Var<'t, F>,
    wanted: &[bool],
) -> Adjoints<'t, F> {
    let by_images = || summed(g.apply_with(Op::ConvolveAdjoint(geometry, image_size(&x.shape())), &[w]), output, x);
    smallvec![wanted[0].then(by_images), wanted[1].then(|| by_weights(geometry, x, g, w))]
}

/// The adjoints of the operands of [`Op::ConvolveAdjoint`], given the full adjoint `g` of the result.
pub(crate) fn convolve_adjoint_rule<'t, F: Real>(
    geometry: Convolution<2>,
    y: Var<'t, F>,
    w: Var<'t, F>,
    output: Var<'t, F>,
    g: Var<'t, F>,
    wanted: &[bool],
) -> Adjoints<'t, F> {
    let by_images = || summed(g.apply_with(Op::Convolve(geometry), &[w]), output, y);
    smallvec![wanted[0].then(by_images), wanted[1].then(|| by_weights(geometry, g, y, w))]
}

/// The adjoint of weights, summed over the plates that the weights lack.
fn by_weights<'t, F: Real>(geometry: Convolution<2>, x: Var<'t, F>, y: Var<'t, F>, w: Var<'t, F>) -> Var<'t, F> {
    let over = others(x, y, &w.plates());
    x.apply_with(Op::ConvolveWeights(geometry, kernel_size(&w.shape()), over), &[y])
}

/// The adjoints of the operands of [`Op::ConvolveWeights`], given the full adjoint `g` of the result, which has the
/// shape of the weights.
pub(crate) fn convolve_weights_rule<'t, F: Real>(
    geometry: Convolution<2>,
    x: Var<'t, F>,
    y: Var<'t, F>,
    g: Var<'t, F>,
    wanted: &[bool],
) -> Adjoints<'t, F> {
    let by_images = || summed(y.apply_with(Op::ConvolveAdjoint(geometry, image_size(&x.shape())), &[g]), x, x);
    let by_result = || summed(x.apply_with(Op::Convolve(geometry), &[g]), y, y);
    smallvec![wanted[0].then(by_images), wanted[1].then(by_result)]
}

impl<F: Real> Inner<F> {
    /// An upper bound of the number of elements of the result of a convolution, or of an intermediate value.
    pub(crate) fn convolution_elements(&self, op: &Op, members: usize, first: &Node<F>, second: &Node<F>) -> usize {
        let product = |sizes: &[usize]| sizes.iter().fold(members, |all: usize, &size| all.saturating_mul(size.max(1)));
        let (left, right) = (first.event(), second.event());
        let lead = &left[..left.len().saturating_sub(3)];
        let image = |[height, width]: ImageSize, channels: usize| {
            product(&[height, width, channels]).saturating_mul(lead.iter().map(|&size| size.max(1)).product())
        };
        let last = |event: &Shape, back: usize| event.len().checked_sub(back).map_or(1, |at| event[at]);
        match op {
            Op::Convolve(geometry) => {
                let size = geometry.output_size(image_size(&left), kernel_size(&right)).unwrap_or([1, 1]);
                image(size, last(&right, 1))
            }
            Op::ConvolveAdjoint(geometry, size) => image(*size, last(&right, 2).saturating_mul(geometry.groups)),
            Op::ConvolveWeights(_, kernel, _) => {
                let weights = product(&[kernel[0], kernel[1], last(&left, 1), last(&right, 1)]);
                weights.max(product(&left)).max(product(&right))
            }
            _ => members,
        }
    }
}
