//! The smoothness of the functions in each of their operands.

use super::function::Special;
use crate::op::Smoothness;

impl Special {
    /// Whether an operand is a count, with respect to which there is no derivative. The derivative rule reports a
    /// request for one as an error.
    pub(crate) fn is_count(self, input: usize) -> bool {
        match self {
            Special::BinomialLogPmf(_) => input < 2,
            Special::SkellamCdf
            | Special::NegativeBinomialLogPmf(_)
            | Special::LogBesselIe
            | Special::BinomialEntropy(_)
            | Special::BinomialEntropySlope(_) => input == 0,
            _ => false,
        }
    }

    /// How the result depends on the given operand. A count as result or as operand is a jump, and so is a result
    /// without derivatives.
    pub(crate) fn smoothness(self, input: usize) -> Smoothness {
        match self {
            _ if self.is_count(input) => Smoothness::Jump,
            Special::PoissonInverseSurvival | Special::NegativeBinomialInverseSurvival(_) => Smoothness::Jump,
            Special::PoissonIcdf
            | Special::BinomialIcdf
            | Special::NegativeBinomialIcdf(_)
            | Special::CountDraw(_)
            | Special::VonMisesVariateByConcentration
            | Special::GammaShapePart(_)
            | Special::BetaShapePart(_)
            | Special::SkellamIcdf => Smoothness::Jump,
            Special::Erfc
            | Special::ErfInv
            | Special::NormalCdf
            | Special::NormalLogCdf
            | Special::NormalIcdf
            | Special::NormalIcdfOfLog
            | Special::NormalLogMills
            | Special::Log1mexp
            | Special::LogSinhc(_)
            | Special::ScaledExponentialIntegral(_)
            | Special::Atan
            | Special::Acot
            | Special::GumbelLevelRight
            | Special::GumbelLevelLeft
            | Special::LogBeta
            | Special::GammaP
            | Special::GammaQ
            | Special::GammaPByShape
            | Special::GammaVariateByShape
            | Special::GammaVariateByShapeTwice
            | Special::LogGammaP
            | Special::LogGammaQ
            | Special::LogGammaPByArgument
            | Special::LogGammaQByArgument
            | Special::LogGammaPByShape
            | Special::LogGammaQByShape
            | Special::GammaPInverse
            | Special::GammaQInverse
            | Special::DigammaMinusLog(_)
            | Special::DigammaMinusLogDifference
            | Special::LogGammaDifference(_)
            | Special::LogGammaSecondDifference(_)
            | Special::StirlingDivergence
            | Special::VonMisesGap
            | Special::BetaInc
            | Special::BetaIncByFirst
            | Special::LogBetaInc
            | Special::LogBetaIncByFirst
            | Special::LogBetaIncBySecond
            | Special::LogBetaIncByArgument
            | Special::BetaIncInverse
            | Special::BetaIncComplementInverse
            | Special::StudentTCdf
            | Special::StudentTLogCdf
            | Special::StudentTCdfByDegrees
            | Special::StudentTLogCdfByArgument
            | Special::StudentTLogCdfByDegrees
            | Special::StudentTIcdf
            | Special::StudentTLogHeight(_)
            | Special::BesselIe(_)
            | Special::LogBesselIe
            | Special::Deviance(_)
            | Special::BinaryDeviance
            | Special::LogRatio
            | Special::LogSinhcDivergence
            | Special::VonMisesCdf
            | Special::VonMisesCdfByConcentration
            | Special::VonMisesLogCdf
            | Special::VonMisesLogCdfByArgument
            | Special::VonMisesLogCdfByConcentration
            | Special::VonMisesIcdf
            | Special::InverseGaussianIcdf
            | Special::InverseGaussianComplementIcdf
            | Special::NormalLogMass
            | Special::NormalLogMassOverDensity
            | Special::NormalLogScaledMass
            | Special::NormalLogMassAtEdge
            | Special::NormalHazardAtEdge
            | Special::TruncatedNormalCdf
            | Special::TruncatedNormalIcdf
            | Special::TruncatedNormalMean
            | Special::TruncatedNormalExcess
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
