"""Weights learnt from votes, on real libraries with voters made by code whose taste is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from sklearn.linear_model import LogisticRegression

from clipsim import preference, tables
from clipsim.fusion import Fusion
from clipsim.index import Index
from clipsim.library import Library
from clipsim.model import HOME, MODALITIES, Clip, Modality, Vote
from clipsim.preference import Judgements
from clipsim.retrieval import search
from clipsim.similarity import Comparison
from clipsim.tuning import DOWN, EACH, HIGHEST, LOWEST, QUERIES, UP, VOTES, Tuner, judgements, shares
from clipsim.votes import Votes
from tests.libraries import TINY, features, settings, train
from tests.test_retrieval import SETS

Taste = dict[Modality, float]
LYRICS: Taste = {"audio": 0.0, "video": 0.0, "lyrics": 1.0}
AUDIO: Taste = {"audio": 1.0, "video": 0.0, "lyrics": 0.0}


class Town:
    """A library of a hundred clips, some without a modality, and the people who vote on it."""

    def __init__(self, library: Library, fusion_id: str, fusion: Fusion) -> None:
        self.library, self.fusion_id, self.fusion = library, fusion_id, fusion
        self.votes = Votes(library)
        self.tuner = Tuner(library, self.votes)
        self.ids = library.ids()
        self.vectors = library.vectors(fusion_id, self.ids)

        self.alike = {
            query: {one.id: one.by for one in Comparison(vector, fusion).score(self.vectors) if one.id != query}
            for query, vector in self.vectors.items()
        }

    def by(self, query: str, result: str) -> dict[Modality, float]:
        return self.alike[query].get(result, {})

    def complete(self, query: str) -> list[str]:
        return [result for result, by in sorted(self.alike[query].items()) if len(by) == len(MODALITIES)]

    def vote(self, taste: Taste | None, count: int, seed: int, voters: int = 5, name: str = "voter") -> None:
        """`count` votes on five results of each query; up where the taste finds them alike (None: a coin)."""
        generator = np.random.default_rng(seed)
        queries = generator.choice([each for each in self.ids if self.complete(each)], -(-count // 5), replace=False)
        results = [generator.choice(self.complete(query), 5, replace=False) for query in queries]
        for number in range(count):
            query, result = str(queries[number // 5]), str(results[number // 5][number % 5])
            by = self.by(query, result)
            liked = sum(taste[m] * by.get(m, 0.0) for m in taste) if taste else generator.normal()
            up = bool(generator.random() < 1 / (1 + np.exp(-8.0 * liked)))
            self.votes.cast(Vote(query, result, up, f"{name} {number % voters}"))

    def tune(self, **options: bool):
        return self.tuner.tune(HOME, self.fusion_id, self.fusion, **options)

    def empty(self) -> None:
        with self.library.write() as connection:
            connection.execute(tables.votes.delete())
            connection.execute(tables.tunings.delete())


@pytest.fixture(scope="module")
def town_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    library = Library.open(settings(folder), TINY)
    index = Index(settings(folder), library.id)
    for n in range(100):
        library.add(Clip(f"t{n:03}", f"Title {n}"), features(n, SETS[n % 7 if n % 4 == 0 else 0]))
    yield Town(library, *train(library, index))
    index.close()
    library.close()


@pytest.fixture
def town(town_: Town) -> Town:
    town_.empty()
    return town_


# What is found


def test_a_community_that_minds_the_words_gets_them(town: Town) -> None:
    town.vote(LYRICS, 120, seed=1)
    found = town.tune()
    assert found.outcome == "accepted" and found.weights == found.fitted
    assert found.weights["lyrics"] > 1.5 and max(found.weights["audio"], found.weights["video"]) < 0.8
    assert found.before - found.after > found.error > 0
    assert (found.votes, found.queries, found.voters) == (120, 24, 5) and found.up + found.down == 120
    assert town.tuner.weights() == found.weights and town.tuner.tuned() == [HOME]
    assert all(LOWEST <= weight <= HIGHEST for weight in found.weights.values())

    # On pairs that nobody voted on, the words now decide more of the order than they did.
    generator = np.random.default_rng(2)
    apart = []
    for weights in (None, found.weights):
        right = 0
        for query in generator.choice(town.ids, 40):
            comparison = Comparison(town.vectors[query], town.fusion, weights=weights)
            scored = [one for one in comparison.score(town.vectors) if set(one.by) == set(MODALITIES)]
            right += sum(one.by["lyrics"] for one in scored[1:11])
        apart.append(right)
    assert apart[1] > 1.2 * apart[0]


def test_random_votes_change_nothing(town: Town) -> None:
    accepted = 0
    for seed in range(24):
        town.empty()
        town.vote(None, 60, seed=100 + seed)
        found = town.tune()
        accepted += found.outcome == "accepted"
        assert found.outcome in ("accepted", "not-better")
        assert (town.tuner.weights() is None) == (found.outcome == "not-better")
    assert accepted <= 1


def test_one_busy_voter_does_not_decide(town: Town) -> None:
    """Three hundred votes for the sound by one, 120 for the words by six others."""
    town.vote(LYRICS, 120, seed=3, voters=6)
    town.vote(AUDIO, 300, seed=4, voters=1, name="busy")
    found = town.tune()
    assert found.voters == 7 and found.votes == 420
    assert found.fitted["lyrics"] > found.fitted["audio"]
    everyone = np.ones(420)
    votes, judged = judgements(town.library, town.fusion_id, town.fusion, town.votes.all())
    uncapped = preference.fit(replace(judged, counts=everyone)).log_weights
    assert uncapped[0] > uncapped[2]  # which it would have done
    busy = sum(count for vote, count in zip(votes, judged.counts, strict=True) if vote.voter == "busy 0")
    assert busy == pytest.approx(judged.counts.sum() / 3)


def test_a_flood_by_one_with_hardly_anybody_else_is_too_little(town: Town) -> None:
    town.vote(LYRICS, 200, seed=5, voters=1, name="busy")
    town.vote(LYRICS, 4, seed=6, voters=2)
    found = town.tune()
    assert found.outcome == "too-few" and "6 of 30 votes" in found.missing
    assert town.tuner.weights() is None


def test_a_taste_that_changes_is_followed(town: Town) -> None:
    town.vote(LYRICS, 120, seed=7)
    learnt = town.tune()
    assert learnt.outcome == "accepted"
    town.vote(AUDIO, EACH - 1, seed=8)
    assert not town.tuner.due() and town.tune(dry_run=True).outcome != "rolled-back"  # too few to judge by
    town.vote(AUDIO, 60, seed=9)
    assert town.tuner.due()
    dry = town.tune(dry_run=True)
    assert dry.outcome == "rolled-back" and town.tuner.weights() == learnt.weights  # nothing done yet
    found = town.tune()
    assert found.outcome == "rolled-back" and found.after > found.before and "back" in found.sentence
    assert town.tuner.weights() is None and town.tuner.tuned() == []
    town.vote(AUDIO, 60, seed=10)
    found = town.tune()
    assert found.votes < 160  # what was said before counts no more
    assert found.outcome == "accepted" and found.weights["audio"] > 1.3 > found.weights["lyrics"]
    assert town.tuner.reset().weights is None
    assert town.tune().votes > 240  # all of them again


def test_weights_that_hold_stay(town: Town) -> None:
    town.vote(LYRICS, 120, seed=11)
    first = town.tune()
    town.vote(LYRICS, 60, seed=12)
    again = town.tune()
    assert first.outcome == "accepted" and again.outcome in ("accepted", "not-better")
    assert town.tuner.weights()["lyrics"] > 1.5


# What is not enough


def test_too_few_votes_say_what_is_missing(town: Town) -> None:
    assert town.tune(dry_run=True).missing == tuple(
        f"0 of {least} {what}"
        for what, least in (("votes", VOTES), ("thumbs up", UP), ("thumbs down", DOWN), ("queries", QUERIES))
    )
    query = town.ids[1]
    for number, result in enumerate(town.complete(query)[:40]):
        town.votes.cast(Vote(query, result, number > 3, "ann"))
    found = town.tune()
    assert found.outcome == "too-few" and found.missing == (f"4 of {DOWN} thumbs down", f"1 of {QUERIES} queries")
    assert found.sentence == f"There are too few votes to learn from: {', '.join(found.missing)}."
    assert found.fitted is None and town.tuner.weights() is None


def test_thumbs_by_one_modality_are_left_out(town: Town) -> None:
    town.vote(LYRICS, 60, seed=13)
    for vote in town.votes.all():
        town.votes.cast(replace(vote, by="lyrics", at=None))
    assert town.tune().votes == 0


def test_it_is_due_when_enough_votes_have_come(town: Town) -> None:
    town.vote(None, VOTES - 1, seed=14)
    assert not town.tuner.due()
    town.vote(None, 5, seed=15, name="other")
    assert town.tuner.due()
    assert town.tune().outcome != "accepted" and not town.tuner.due()
    town.vote(None, EACH - 1, seed=16, name="third")
    assert not town.tuner.due()
    town.vote(None, 2, seed=17, name="fourth")
    assert town.tuner.due() and not town.tuner.due("another guild")


@pytest.mark.parametrize(
    "state", [None, [], "x", {}, {"weights": {"audio": 1}}, {"weights": dict.fromkeys(MODALITIES, "2")}, {"since": 3}]
)
def test_a_state_that_somebody_else_wrote_does_no_harm(town: Town, state: object) -> None:
    with town.library.write() as connection:
        now = sa.func.current_timestamp()
        connection.execute(tables.tunings.insert().values(community=HOME, state=json.loads(json.dumps(state)), at=now))
    assert town.tuner.weights() is None and town.tuner.tuned() == []
    assert town.tuner.due() in (True, False)
    assert town.tune().outcome == "too-few"


def test_weights_of_any_size_are_kept_within_bounds(town: Town) -> None:
    held = {"audio": 1e300, "video": -5, "lyrics": 1}
    with town.library.write() as connection:
        values = {"community": HOME, "state": {"weights": held}, "at": sa.func.current_timestamp()}
        connection.execute(tables.tunings.insert().values(values))
    assert town.tuner.weights() == {"audio": HIGHEST, "video": LOWEST, "lyrics": 1.0}


# How it is computed


def test_judgements_are_what_the_ranking_goes_by(town: Town) -> None:
    """The model's similarity under any weights is the one that `search` ranks by, missing modalities and all."""
    generator = np.random.default_rng(18)
    for _ in range(60):
        query, result = generator.choice(town.ids, 2, replace=False)
        town.votes.cast(Vote(str(query), str(result), True, "ann"))
    town.votes.cast(Vote("t004", "t012", True, "ann"))  # sound alone, and picture alone
    weights: Taste = {"audio": 0.5, "video": 3.0, "lyrics": 1.7}
    votes, judged = judgements(town.library, town.fusion_id, town.fusion, town.votes.all())
    assert len(votes) == town.votes.count() - 1  # all but the pair that shares nothing
    got = preference.similarity(np.log([weights[m] for m in MODALITIES]), judged)
    for vote, similarity in zip(votes, got, strict=True):
        scored = Comparison(town.vectors[vote.query], town.fusion, weights=weights).score(
            {vote.result: town.vectors[vote.result]}
        )
        assert similarity == pytest.approx(scored[0].similarity, abs=1e-9)
    seed = town.library.get(votes[0].query)

    class Nothing:  # every clip, by exact comparison
        def name(self, fusion_id: str, community: str) -> str:
            return ""

        def query(self, name: str, vector: object, k: int) -> list[tuple[str, float]]:
            return [(each, 1.0) for each in town.ids]

    found = search(town.library, Nothing(), town.fusion_id, town.fusion, seed, k=99, weights=weights)
    shown = {one.clip.id: one.similarity for one in found}
    assert got[0] == pytest.approx(shown[votes[0].result], abs=1e-9)


def drawn(votes: int, seed: int) -> Judgements:
    generator = np.random.default_rng(seed)
    base = np.tile([1.0, 0.5, 1.0], (votes, 1)) * (generator.random((votes, 3)) > [0.0, 0.2, 0.2])
    cosines = generator.normal(0.3, 0.2, (votes, 3)) * (base > 0)
    up = (generator.random(votes) < 1 / (1 + np.exp(-10 * (cosines[:, 2] - 0.3)))).astype(float)
    return Judgements(cosines, base, up, generator.random(votes), generator.integers(0, votes // 5, votes))


def test_the_fit_is_the_mode_and_curvature_of_the_posterior() -> None:
    """Against a general optimiser and numerical derivatives, on the model as its formula says."""
    from scipy.optimize import approx_fprime, minimize

    votes = drawn(80, 1)
    usual = (votes.base * votes.cosines).sum(1) / votes.base.sum(1)

    def logit(p: np.ndarray) -> np.ndarray:
        weighted = votes.base * np.exp(p[2:])
        score = (weighted * votes.cosines).sum(1) / weighted.sum(1)
        return p[0] + np.exp(p[1]) * (score - usual.mean()) / usual.std()

    def energy(p: np.ndarray) -> float:
        chance = 1 / (1 + np.exp(-logit(p)))
        data = votes.counts * (votes.up * np.log(chance) + (1 - votes.up) * np.log(1 - chance))
        prior = (p[0] / 2) ** 2 + p[1] ** 2 + (p[2:] ** 2).sum() / np.log(2) ** 2
        return float(prior / 2 - data.sum())

    best = min((minimize(energy, start, tol=1e-12) for start in np.eye(5)), key=lambda one: one.fun)
    found = preference.fit(votes)
    assert found.mode == pytest.approx(best.x, abs=1e-4)
    slopes = np.array([approx_fprime(found.mode, lambda p, n=n: logit(p)[n], 1e-7) for n in range(80)])
    chance = 1 / (1 + np.exp(-logit(found.mode)))
    precision = np.diag([1 / 4, 1, *[1 / np.log(2) ** 2] * 3])
    hessian = slopes.T @ (slopes * (votes.counts * chance * (1 - chance))[:, None]) + precision
    assert found.covariance == pytest.approx(np.linalg.inv(hessian), rel=1e-3, abs=1e-5)


def test_the_default_is_a_logistic_regression_on_the_similarity() -> None:
    """With very many votes the prior fades, and what is left is scikit-learn's."""
    votes = drawn(20_000, 2)
    found = preference.fit(votes, weights=False)
    assert (found.log_weights == 0).all() and (found.covariance[2:] == 0).all()
    score = preference.similarity(np.zeros(3), votes)
    standard = ((score - score.mean()) / score.std())[:, None]
    plain = LogisticRegression(C=1e9).fit(standard, votes.up, sample_weight=votes.counts)
    assert [found.mode[0], np.exp(found.mode[1])] == pytest.approx(
        [plain.intercept_[0], plain.coef_[0, 0]], rel=0.01, abs=0.01
    )
    assert found.predict(votes) == pytest.approx(plain.predict_proba(standard)[:, 1], abs=0.005)


def test_the_error_is_that_of_a_bootstrap_over_queries() -> None:
    votes = drawn(400, 3)
    generator = np.random.default_rng(4)
    difference = generator.normal(0.02, 0.1, 400) + generator.normal(0, 0.1, 80)[votes.query]
    members = [np.flatnonzero(votes.query == query) for query in np.unique(votes.query)]
    means = []
    for _ in range(4000):
        rows = np.concatenate([members[n] for n in generator.integers(0, len(members), len(members))])
        means.append(difference[rows] @ votes.counts[rows] / votes.counts[rows].sum())
    assert preference._error(difference, votes) == pytest.approx(np.std(means), rel=0.1)


def test_votes_held_out_are_not_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = drawn(60, 5)
    seen: list[set[int]] = []
    fit: Callable[..., preference.Preference] = preference.fit

    def spy(part: Judgements, *, weights: bool = True) -> preference.Preference:
        seen.append(set(part.query.tolist()))
        return fit(part, weights=weights)

    monkeypatch.setattr(preference, "fit", spy)
    held = preference.held_out(votes)
    queries = set(votes.query.tolist())
    left_out = [queries - part for part in seen[::2]]
    assert seen[::2] == seen[1::2]  # both models, on the same
    assert all(left_out) and sum(len(part) for part in left_out) == len(queries) == len(set().union(*left_out))
    assert held.error > 0 and np.isfinite([held.before, held.after]).all()


def test_few_votes_leave_the_weights_where_they_are() -> None:
    nothing = Judgements(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    for votes in (drawn(60, 6).take(np.arange(2)), nothing):
        found = preference.fit(votes)
        assert np.exp(found.log_weights) == pytest.approx([1, 1, 1], rel=0.25)
        assert (np.diag(found.covariance)[2:] > 0.5 * np.log(2) ** 2).all()


@pytest.mark.parametrize(
    ("cast", "counted"),
    [
        ([5], [5]),
        ([9, 1], [9, 1]),  # two cannot keep to a third
        ([9, 1, 1], [1, 1, 1]),
        ([10, 10, 10], [10, 10, 10]),
        ([100, 4, 4, 2], [5, 4, 4, 2]),
        ([100, 50, 4, 4], [8, 8, 4, 4]),
        ([100, 2, 2, 2, 2, 2], [5, 2, 2, 2, 2, 2]),
        ([3, 3, 2, 2], [3, 3, 2, 2]),
    ],
)
def test_no_voter_counts_for_more_than_a_third(cast: list[int], counted: list[float]) -> None:
    voters = [f"voter {n}" for n, votes in enumerate(cast) for _ in range(votes)]
    got = shares(voters)
    each = [
        sum(share for name, share in zip(voters, got, strict=True) if name == f"voter {n}") for n in range(len(cast))
    ]
    assert each == pytest.approx(counted)
    assert len(shares([])) == 0
