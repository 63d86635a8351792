"""What people's votes say of the weights by modality: Bayesian logistic regression, and its loss on votes held out.

A vote is up with probability σ(a), a = intercept + slope · (s − centre) / scale, where s is the similarity that the
vote's two clips have under the weights w: Σ w·b·c / Σ w·b over the modalities that both have, c their cosines and b
what each counts for by default (`clipsim.similarity.Comparison` ranks by the same s). The prior is Gaussian on log w
around 0, the default weights, so that few votes change little and no weight gets below zero; the slope is positive.
The mode is found by Fisher scoring, the posterior is taken for a Gaussian there, and predictions are averaged over it
(Bishop 2006, "Pattern Recognition and Machine Learning", 4.4, 4.5.1 and 4.5.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Prior: mean and standard deviation of the intercept, the log slope (for each standard deviation of the similarity),
# and each log weight. A weight of twice or half the usual is one standard deviation away.
INTERCEPT = (0.0, 2.0)
SLOPE = (0.0, 1.0)
WEIGHT = (0.0, float(np.log(2.0)))
STEPS = 100  # of Fisher scoring at most
ENOUGH = 1e-9  # a step that changes nothing by more has arrived
HALVINGS = 30  # of a step that goes too far
FLAT = 1e-3  # similarities that vary by less are not scaled up further
FOLDS = 10  # of a cross-validation, where there are so many queries


@dataclass(frozen=True, slots=True)
class Judgements:
    """Votes as numbers, one row for each; columns are modalities. float64 but for `query`."""

    cosines: Floats  # (votes, modalities); 0 where either clip lacks it
    base: Floats  # (votes, modalities): what it counts for by default; 0 where either clip lacks it
    up: Floats  # (votes,): 1 up, 0 down
    counts: Floats  # (votes,): what the vote counts for
    query: NDArray[np.int64]  # (votes,): number of the query

    def __len__(self) -> int:
        return len(self.up)

    def take(self, rows: NDArray[np.int64]) -> Judgements:
        """Some of the votes."""
        counts, query = self.counts[rows], self.query[rows]
        return Judgements(self.cosines[rows], self.base[rows], self.up[rows], counts, query)


@dataclass(frozen=True, slots=True)
class Preference:
    """A fitted model: the posterior's mode and covariance, over (intercept, log slope, log weight of each modality)."""

    mode: Floats  # (2 + modalities,)
    covariance: Floats  # (2 + modalities, 2 + modalities)
    centre: float
    scale: float

    @property
    def log_weights(self) -> Floats:
        """Of each modality, float64 (modalities,): 0 is the default."""
        return self.mode[2:]

    def predict(self, votes: Judgements) -> Floats:
        """The probability that each vote is up, float64 (votes,), averaged over the posterior (Bishop 4.153, 4.155)."""
        logit, slopes = _logit(self.mode, votes, self.centre, self.scale)
        variance = np.einsum("np,pq,nq->n", slopes, self.covariance, slopes)
        return _sigmoid(logit / np.sqrt(1.0 + np.pi * variance / 8.0))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Cross-validated log-loss of the default weights and of fitted ones, in nats for each vote; less is better."""

    before: float
    after: float
    error: float  # standard error of the difference, over queries

    @property
    def gain(self) -> float:
        """By how much the fitted weights are better."""
        return self.before - self.after


def fit(votes: Judgements, *, weights: bool = True) -> Preference:
    """Fit the model to votes; without `weights` they stay the default, and only intercept and slope are fitted."""
    modalities = votes.cosines.shape[1]
    mean = np.array([INTERCEPT[0], SLOPE[0], *[WEIGHT[0]] * modalities])
    precision = np.array([INTERCEPT[1], SLOPE[1], *[WEIGHT[1]] * modalities]) ** -2.0
    usual = similarity(np.zeros(modalities), votes)
    centre, scale = (float(usual.mean()), max(FLAT, float(usual.std()))) if len(votes) else (0.0, 1.0)
    free = np.arange(2 + modalities) < (2 + modalities if weights else 2)

    def energy(at: Floats) -> float:  # minus the log posterior
        logit, _ = _logit(at, votes, centre, scale)
        data = votes.counts @ (np.logaddexp(0.0, logit) - votes.up * logit)
        return float(data + 0.5 * precision @ (at - mean) ** 2)

    at, hessian = mean.copy(), np.diag(precision)
    least = energy(at)
    for _ in range(STEPS):
        logit, slopes = _logit(at, votes, centre, scale)
        chance = _sigmoid(logit)
        gradient = slopes.T @ (votes.counts * (chance - votes.up)) + precision * (at - mean)
        hessian = slopes.T @ (slopes * (votes.counts * chance * (1 - chance))[:, None]) + np.diag(precision)
        step = np.zeros_like(at)
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], -gradient[free])
        for _ in range(HALVINGS):
            if (reached := energy(at + step)) <= least:
                break
            step /= 2
        else:
            break
        at, least = at + step, reached
        if np.abs(step).max() < ENOUGH:
            break
    covariance = np.zeros_like(hessian)
    covariance[np.ix_(free, free)] = np.linalg.inv(hessian[np.ix_(free, free)])
    return Preference(at, covariance, centre, scale)


def similarity(log_weights: Floats, votes: Judgements) -> Floats:
    """The similarity of each vote's two clips under these weights: float64 (votes,)."""
    return np.asarray((_balance(log_weights, votes) * votes.cosines).sum(axis=1))


def log_loss(chance: Floats, votes: Judgements) -> Floats:
    """What each vote costs a prediction: float64 (votes,), nats."""
    return -np.log(np.where(votes.up > 0.5, chance, 1.0 - chance))


def held_out(votes: Judgements) -> HeldOut:
    """How well fitted weights foretell the votes on queries that they were not fitted to, against the default ones.

    Log-loss rather than the share of pairs in the right order within a query: many a query has thumbs of one kind
    only, which make no pair, and being a proper score it gains nothing, on average, from noise. Votes on one query
    depend on each other: a query is never divided between folds, and the error is that of its sums (a cluster-robust
    one).
    """
    from sklearn.model_selection import GroupKFold

    queries = len(np.unique(votes.query))
    loss = np.zeros((2, len(votes)))
    for rows, left_out in GroupKFold(min(FOLDS, queries)).split(votes.cosines, groups=votes.query):
        rest = votes.take(left_out)
        for model, weights in enumerate((False, True)):
            loss[model, left_out] = log_loss(fit(votes.take(rows), weights=weights).predict(rest), rest)
    before, after = (loss @ votes.counts / votes.counts.sum()).tolist()
    return HeldOut(before, after, _error(loss[0] - loss[1], votes))


def _error(difference: Floats, votes: Judgements) -> float:
    """Standard error of the mean difference, where whole queries are what was drawn."""
    mean = difference @ votes.counts / votes.counts.sum()
    _, number = np.unique(votes.query, return_inverse=True)
    sums = np.bincount(number, votes.counts * (difference - mean))
    queries = len(sums)
    if queries < 2:
        return float("inf")
    return float(np.sqrt(queries / (queries - 1) * (sums**2).sum()) / votes.counts.sum())


def _balance(log_weights: Floats, votes: Judgements) -> Floats:
    """Each modality's share of each vote's similarity: float64 (votes, modalities), rows sum to 1 (or to 0)."""
    counted = votes.base * np.exp(log_weights)
    return np.asarray(counted / np.maximum(counted.sum(axis=1, keepdims=True), 1e-300))


def _logit(at: Floats, votes: Judgements, centre: float, scale: float) -> tuple[Floats, Floats]:
    """The log odds of each vote, float64 (votes,), and their slopes by each parameter, (votes, parameters)."""
    balance = _balance(at[2:], votes)
    score = (balance * votes.cosines).sum(axis=1)
    steep = np.exp(at[1])
    standard = (score - centre) / scale
    by_weight = steep / scale * balance * (votes.cosines - score[:, None])
    return at[0] + steep * standard, np.column_stack([np.ones(len(votes)), steep * standard, by_weight])


def _sigmoid(logit: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)))
