//! How smoothly a special function depends on its operands.

use super::function::Special;
use crate::op::Smoothness;

impl Special {
    /// How the result depends on any of the operands: a count jumps.
    pub(crate) fn smoothness(self) -> Smoothness {
        match self {
            Special::PoissonIcdf | Special::BinomialIcdf | Special::NegativeBinomialIcdf | Special::SkellamIcdf => {
                Smoothness::Jump
            }
            Special::Erfc
            | Special::ErfInv
            | Special::NormalCdf
            | Special::NormalLogCdf
            | Special::NormalIcdf
            | Special::NormalIcdfOfLog
            | Special::NormalLogMills
            | Special::Log1mexp
            | Special::LogSinhc(_)
            | Special::Atan
            | Special::Acot
            | Special::GumbelLevelRight
            | Special::GumbelLevelLeft
            | Special::LogBeta
            | Special::GammaP
            | Special::GammaQ
            | Special::GammaPByShape
            | Special::GammaPInverse
            | Special::GammaQInverse
            | Special::DigammaMinusLog
            | Special::VonMisesGap
            | Special::BetaInc
            | Special::BetaIncByFirst
            | Special::BetaIncInverse
            | Special::BesselIe(_)
            | Special::LogBesselIe
            | Special::VonMisesCdf
            | Special::VonMisesCdfByConcentration
            | Special::VonMisesIcdf
            | Special::InverseGaussianIcdf
            | Special::NormalLogMass
            | Special::NormalLogMassOverDensity
            | Special::NormalLogScaledMass
            | Special::TruncatedNormalCdf
            | Special::TruncatedNormalIcdf
            | Special::TruncatedNormalMean
            | Special::TruncatedNormalVariance
            | Special::SoftplusInverse
            | Special::SkellamCdf
            | Special::NegativeBinomialLogPmf(_)
            | Special::LogGammaKernel
            | Special::LogBetaKernel
            | Special::PoissonLogPmf(_)
            | Special::BinomialLogPmf(_)
            | Special::BinomialEntropy(_)
            | Special::BinomialEntropySlope(_) => Smoothness::Smooth,
        }
    }
}
