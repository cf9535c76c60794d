"""Scores of recovered sources: pure functions of arrays, each saying which ambiguity it removes.

| question | function |
|---|---|
| are these the sources, up to order, sign, scale and shift? | `mean_corr_coef` |
| ... with the mean of every environment taken out first? | `within_group_mean_corr_coef` |
| are these the sources, up to an invertible linear map? | `linear_mean_corr_coef` |
| how much of each source can be predicted linearly on unseen rows? | `mean_r2`, `r2_per_source` |
| what would that score be by chance? | `chance_level` |
| do several fits agree, where no truth is known? | `agreement` |
| which latent goes with which source? | `match_sources` |
| have two variables anything to do with each other? | `hsic_test` |
"""

from __future__ import annotations

from identiflow.shared.metrics.chance import ChanceLevel, chance_level
from identiflow.shared.metrics.consistency import Agreement, agreement
from identiflow.shared.metrics.grouped import within_group_mean_corr_coef
from identiflow.shared.metrics.independence import IndependenceTest, hsic_test
from identiflow.shared.metrics.linear import linear_mean_corr_coef
from identiflow.shared.metrics.matching import Matching, match_sources
from identiflow.shared.metrics.mcc import mean_corr_coef
from identiflow.shared.metrics.regression import mean_r2, r2_per_source

__all__ = [
    "Agreement",
    "ChanceLevel",
    "IndependenceTest",
    "Matching",
    "agreement",
    "chance_level",
    "hsic_test",
    "linear_mean_corr_coef",
    "match_sources",
    "mean_corr_coef",
    "mean_r2",
    "r2_per_source",
    "within_group_mean_corr_coef",
]
