"""What each modality counts for in a community, learnt from its votes: cross-validated, and taken back if it is worse.

The model is in `clipsim.preference`. Weights are taken over only where they foretell votes on queries they were not
fitted to better than the default does, by more than one standard error. Votes cast since then are the test: as soon as
they would rather have the default, it comes back, and only they are learnt from. Nobody decides alone: where at least
three have voted, no voter counts for more than a third. Thumbs on results by one modality say nothing of weights, and
are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import exp, isfinite
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from clipsim import tables
from clipsim.library import Library
from clipsim.model import HOME, JSON, MODALITIES, Modality, Vote
from clipsim.preference import Floats, HeldOut, Judgements, fit, held_out, log_loss
from clipsim.similarity import TINY, Blocks, Comparison
from clipsim.votes import Votes

VOTES, UP, DOWN, QUERIES = 30, 8, 8, 5  # the fewest that are learnt from
EACH = 20  # new votes: then the weights are tuned again
SHARE = 1 / 3  # of all votes that one voter's may count for
CROWD = 3  # voters, from which on that is kept to
MOST = 5000  # votes learnt from: the newest
LOWEST, HIGHEST = 0.25, 4.0  # a weight is kept within

Outcome = Literal["accepted", "not-better", "too-few", "rolled-back", "reset"]
SENTENCES: dict[Outcome, str] = {
    "accepted": "These weights foretell votes better than the default: they answer from now on.",
    "not-better": "Fitted weights do not foretell votes better than the default: everything stays as it is.",
    "too-few": "There are too few votes to learn from: {missing}.",
    "rolled-back": "The votes since then would rather have the default weights: they are back.",
    "reset": "The default weights are back, and all votes may be learnt from again.",
}


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a community's votes were found to say.

    `fitted` are the weights that suit its votes, `spread` the factor by which each may be off (one standard deviation
    of its logarithm). `before` and `after` are the log-losses, in nats for each vote, of the default weights and the
    fitted ones on votes held out (rolled back: on the new votes), `error` is the difference's standard error.
    """

    community: str
    outcome: Outcome
    weights: Mapping[Modality, float] | None  # that answer now; None: the default
    at: datetime
    votes: int = 0  # that could be learnt from
    up: int = 0
    down: int = 0
    queries: int = 0
    voters: int = 0
    fitted: Mapping[Modality, float] | None = None
    spread: Mapping[Modality, float] | None = None
    before: float | None = None
    after: float | None = None
    error: float | None = None
    missing: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What became of it, for a person."""
        return SENTENCES[self.outcome].format(missing=", ".join(self.missing))


class Tuner:
    """The tunings of one library's communities."""

    def __init__(self, library: Library, votes: Votes) -> None:
        self._library = library
        self._votes = votes

    def weights(self, community: str = HOME) -> dict[Modality, float] | None:
        """What each modality counts for in this community, where its votes have changed that."""
        return _weights(self._state(community))

    def tuned(self) -> list[str]:
        """The communities whose votes have changed something."""
        with self._library.read() as connection:
            rows = connection.execute(sa.select(tables.tunings.c.community, tables.tunings.c.state)).all()
        return sorted(community for community, state in rows if _weights(state))

    def due(self, community: str = HOME) -> bool:
        """Whether so many votes have come that it is time to tune (again)."""
        state = self._state(community)
        if state is None:
            return self._votes.count(community) >= VOTES
        return self._votes.count(community, _moment(state.get("tried"))) >= EACH

    def reset(self, community: str = HOME) -> Tuning:
        """Forget what was learnt; the votes stay."""
        self._save(community, None)
        return Tuning(community, "reset", None, datetime.now(UTC))

    def tune(self, community: str, fusion_id: str, fusion: Blocks, *, dry_run: bool = False) -> Tuning:
        """Learn from the community's votes by the cosines of this fusion (one with blocks), and keep what holds.

        With `dry_run` nothing is kept.
        """
        state = self._state(community) or {}
        found, state = self._tune(community, fusion_id, fusion, state)
        if not dry_run:
            self._save(community, state)
        return found

    def _tune(self, community: str, fusion_id: str, fusion: Blocks, state: JSON) -> tuple[Tuning, JSON]:
        now = datetime.now(UTC)
        since, accepted, weights = _moment(state.get("since")), _moment(state.get("accepted")), _weights(state)
        state = {**state, "tried": now.isoformat()}
        votes = [vote for vote in self._votes.all(community, since) if vote.by == "all"][-MOST:]
        if weights is not None and accepted is not None:
            fresh = [vote for vote in votes if vote.at and vote.at > accepted]
            worse = self._worse(community, fusion_id, fusion, fresh, weights, now)
            if worse is not None:
                state |= {"weights": None, "accepted": None, "since": accepted.isoformat()}
                return worse, state
        votes, judged = judgements(self._library, fusion_id, fusion, votes)
        found = _counted(community, votes, judged, weights, now)
        if found.missing:
            return found, state
        held = held_out(judged)
        preference = fit(judged)
        found = replace(
            found,
            outcome="not-better",
            fitted=_named([min(HIGHEST, max(LOWEST, exp(each))) for each in preference.log_weights]),
            spread=_named(np.exp(np.sqrt(np.diag(preference.covariance)[2:])).tolist()),
            before=held.before,
            after=held.after,
            error=held.error,
        )
        if holds(held):
            found = replace(found, outcome="accepted", weights=found.fitted)
            state |= {"weights": found.fitted, "accepted": now.isoformat(), "votes": found.votes}
            state |= {"before": held.before, "after": held.after, "error": held.error}
        return found, state

    def _worse(
        self,
        community: str,
        fusion_id: str,
        fusion: Blocks,
        fresh: list[Vote],
        weights: Mapping[Modality, float],
        now: datetime,
    ) -> Tuning | None:
        """What is to be said if the votes since the weights were taken over speak against them."""
        if len(fresh) < EACH:
            return None
        votes, judged = judgements(self._library, fusion_id, fusion, fresh)
        if len(judged) < EACH:
            return None
        weighted = replace(judged, base=judged.base * np.array([weights[m] for m in MODALITIES]))
        # Both with the intercept and slope that suit them best, which are as many for the one as for the other.
        before, after = (
            float(log_loss(fit(each, weights=False).predict(each), each) @ each.counts / each.counts.sum())
            for each in (judged, weighted)
        )
        if after <= before:
            return None
        counted = _counted(community, votes, judged, None, now)
        return replace(counted, outcome="rolled-back", missing=(), before=before, after=after)

    def _state(self, community: str) -> JSON | None:
        query = sa.select(tables.tunings.c.state).where(tables.tunings.c.community == community)
        with self._library.read() as connection:
            state = connection.execute(query).scalar()
        return state if isinstance(state, dict) else None

    def _save(self, community: str, state: JSON | None) -> None:
        table = tables.tunings
        with self._library.write() as connection:
            connection.execute(table.delete().where(table.c.community == community))
            if state is not None:
                connection.execute(table.insert().values(community=community, state=state, at=datetime.now(UTC)))


def holds(held: HeldOut) -> bool:
    """Whether fitted weights are better than the default by more than one standard error.

    Of 180 draws of 30 to 200 random votes 3 passed. One error is enough because the loss is a proper score: weights
    fitted to noise lose by it on average, so that chance has to make up for that first.
    """
    return held.gain > held.error


def judgements(
    library: Library, fusion_id: str, fusion: Blocks, votes: Sequence[Vote]
) -> tuple[list[Vote], Judgements]:
    """The votes as numbers, and those that they are: the ones whose two clips have a modality in common."""
    embedded = library.vectors(fusion_id, sorted({clip for vote in votes for clip in (vote.query, vote.result)}))
    blocks = fusion.blocks or {}
    kept: list[Vote] = []
    cosines, base = [], []
    comparisons = {query: Comparison(embedded[query], fusion) for query in {v.query for v in votes} & set(embedded)}
    for vote in votes:
        if vote.query not in embedded or vote.result not in embedded:
            continue
        scored = comparisons[vote.query].score({vote.result: embedded[vote.result]})
        by = scored[0].by if scored else {}
        if by:
            own = {m: float(np.linalg.norm(embedded[vote.query][block].astype(float))) for m, block in blocks.items()}
            kept.append(vote)
            cosines.append([by.get(m, 0.0) for m in MODALITIES])
            base.append([own[m] ** 2 if m in by and own[m] > TINY else 0.0 for m in MODALITIES])
    queries = {query: number for number, query in enumerate(sorted({vote.query for vote in kept}))}
    return kept, Judgements(
        np.array(cosines, float).reshape(-1, len(MODALITIES)),
        np.array(base, float).reshape(-1, len(MODALITIES)),
        np.array([vote.up for vote in kept], float),
        shares([vote.voter for vote in kept]),
        np.array([queries[vote.query] for vote in kept], np.int64),
    )


def shares(voters: Sequence[str]) -> Floats:
    """What each vote counts for, float64 (votes,), 1 at most, so that no voter has more than `SHARE` of the whole.

    Fewer than `CROWD` voters cannot keep to that, and all count in full.
    """
    cast = Counter(voters)
    limit = float("inf")
    if len(cast) >= CROWD:
        sizes = sorted(cast.values(), reverse=True)
        for capped, size in enumerate(sizes):  # the busiest, each with SHARE of what all count for together
            limit = SHARE * sum(sizes[capped:]) / (1 - capped * SHARE)
            if limit >= size - 1e-9:
                break
    return np.array([min(1.0, limit / cast[voter]) for voter in voters])


def _counted(
    community: str, votes: Sequence[Vote], judged: Judgements, weights: Mapping[Modality, float] | None, now: datetime
) -> Tuning:
    """How many votes there are, and how many are missing, as they count."""
    up = float(judged.counts @ judged.up)
    have = {
        "votes": (float(judged.counts.sum()), VOTES),
        "thumbs up": (up, UP),
        "thumbs down": (float(judged.counts.sum()) - up, DOWN),
        "queries": (float(len(set(judged.query.tolist()))), QUERIES),
    }
    return Tuning(
        community,
        "too-few",
        weights,
        now,
        len(votes),
        sum(vote.up for vote in votes),
        sum(not vote.up for vote in votes),
        len(set(judged.query.tolist())),
        len({vote.voter for vote in votes}),
        missing=tuple(f"{int(n + 1e-9)} of {least} {what}" for what, (n, least) in have.items() if n < least - 1e-9),
    )


def _named(values: Sequence[float]) -> dict[Modality, float]:
    return {modality: round(float(value), 4) for modality, value in zip(MODALITIES, values, strict=True)}


def _weights(state: Any) -> dict[Modality, float] | None:
    """The weights in a saved state, if they are any: a restored library is somebody else's."""
    held = state.get("weights") if isinstance(state, dict) else None
    if not isinstance(held, dict) or set(held) != set(MODALITIES):
        return None
    if not all(isinstance(value, int | float) and isfinite(value) for value in held.values()):
        return None
    return {modality: min(HIGHEST, max(LOWEST, float(held[modality]))) for modality in MODALITIES}


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
