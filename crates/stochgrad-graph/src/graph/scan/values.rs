//! The values that a loop carries from step to step, and those that its steps return.

use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// Values that the body of [`Graph::scan`](crate::Graph::scan) takes and returns: a [`Var`], an array, a vector, or a
/// tuple of such values, or `()`.
pub trait ScanValues<'t, F: Real> {
    /// The variables, in a fixed order.
    fn vars(&self) -> Vec<Var<'t, F>>;

    /// The same structure with other variables, in the same order.
    ///
    /// # Panics
    /// If there are fewer variables than the structure has.
    fn with(&self, vars: &mut dyn Iterator<Item = Var<'t, F>>) -> Self;
}

impl<'t, F: Real> ScanValues<'t, F> for Var<'t, F> {
    fn vars(&self) -> Vec<Var<'t, F>> {
        vec![*self]
    }

    fn with(&self, vars: &mut dyn Iterator<Item = Var<'t, F>>) -> Self {
        vars.next().expect("as many variables as the structure has")
    }
}

impl<'t, F: Real, V: ScanValues<'t, F>, const N: usize> ScanValues<'t, F> for [V; N] {
    fn vars(&self) -> Vec<Var<'t, F>> {
        self.iter().flat_map(V::vars).collect()
    }

    fn with(&self, vars: &mut dyn Iterator<Item = Var<'t, F>>) -> Self {
        std::array::from_fn(|index| self[index].with(vars))
    }
}

impl<'t, F: Real, V: ScanValues<'t, F>> ScanValues<'t, F> for Vec<V> {
    fn vars(&self) -> Vec<Var<'t, F>> {
        self.iter().flat_map(V::vars).collect()
    }

    fn with(&self, vars: &mut dyn Iterator<Item = Var<'t, F>>) -> Self {
        self.iter().map(|value| value.with(vars)).collect()
    }
}

impl<'t, F: Real> ScanValues<'t, F> for () {
    fn vars(&self) -> Vec<Var<'t, F>> {
        Vec::new()
    }

    fn with(&self, _: &mut dyn Iterator<Item = Var<'t, F>>) -> Self {}
}

impl<'t, F: Real, A: ScanValues<'t, F>, B: ScanValues<'t, F>> ScanValues<'t, F> for (A, B) {
    fn vars(&self) -> Vec<Var<'t, F>> {
        [self.0.vars(), self.1.vars()].concat()
    }

    fn with(&self, vars: &mut dyn Iterator<Item = Var<'t, F>>) -> Self {
        (self.0.with(vars), self.1.with(vars))
    }
}

impl<'t, F: Real, A, B, C> ScanValues<'t, F> for (A, B, C)
where
    A: ScanValues<'t, F>,
    B: ScanValues<'t, F>,
    C: ScanValues<'t, F>,
{
    fn vars(&self) -> Vec<Var<'t, F>> {
        [self.0.vars(), self.1.vars(), self.2.vars()].concat()
    }

    fn with(&self, vars: &mut dyn Iterator<Item = Var<'t, F>>) -> Self {
        (self.0.with(vars), self.1.with(vars), self.2.with(vars))
    }
}
