"""The learnt fusion: what it begins as, what it learns from, and when it stays what it was."""

from __future__ import annotations

import numpy as np

from clipsim import fusion
from clipsim.encoders import Part, Preset
from clipsim.fusion import joint
from clipsim.model import Features
from tests.fusion.clips import SMALL, make

TWO = Preset("two", (Part("ear", "audio", 60, "none:none"), Part("word", "lyrics", 60, "none:none")))


def test_with_few_clips_it_is_late_fusion():
    clips, _ = make(joint.LEAST - 1, missing=0.3)
    learnt, late = fusion.fit("joint", clips, SMALL), fusion.fit("standard", clips, SMALL)
    assert learnt.epoch == 0
    np.testing.assert_allclose(learnt.embed(clips), late.embed(clips), atol=1e-6)


def test_it_learns_which_directions_a_clip_keeps_from_half_to_half():
    # Forty loud columns change from half to half, twenty quiet ones say which clip it is.
    chance = np.random.default_rng(0)

    def drawn(count: int) -> list[Features]:
        own = chance.standard_normal((count, 20))
        clips = []
        for each in own:
            halves = [
                np.concatenate([each + 0.1 * chance.standard_normal(20), chance.standard_normal(40)]) for _ in "ab"
            ]
            parts = np.array(halves, np.float32)
            clips.append(Features({"ear": parts.mean(0)}, {"ear": parts}))
        return clips

    clips, new = drawn(300), drawn(100)

    def found(method: str) -> float:
        """Share of new clips whose first half has its second as the nearest."""
        fitted = fusion.fit(method, clips, TWO)  # type: ignore[arg-type]
        a, b = (fitted.embed([Features({"ear": clip.segments["ear"][side]}) for clip in new]) for side in (0, 1))
        return float(((a @ b.T).argmax(1) == np.arange(len(new))).mean())

    assert found("joint") > found("standard") + 0.1
    assert fusion.fit("joint", clips, TWO).epoch > 0


def test_where_halves_have_nothing_in_common_it_stays_late_fusion():
    chance = np.random.default_rng(0)
    noise = chance.standard_normal((200, 2, 60)).astype(np.float32)
    clips = [Features({"ear": halves.mean(0)}, {"ear": halves}) for halves in noise]
    learnt, late = fusion.fit("joint", clips, TWO), fusion.fit("standard", clips, TWO)
    moved = np.abs(learnt.embed(clips) @ learnt.embed(clips).T - late.embed(clips) @ late.embed(clips).T).mean()
    assert moved < 0.1


def test_clips_without_halves_will_do():
    clips, groups = make(120)
    whole = [Features(clip.vectors) for clip in clips]
    rows = fusion.fit("joint", whole, SMALL).embed(whole)
    nearest = (rows @ rows.T - 2 * np.eye(len(rows))).argmax(1)
    assert (groups[nearest] == groups).mean() > 0.9


def test_training_can_be_watched_and_stopped():
    clips, _ = make(100)
    told: list[tuple[int, int]] = []
    fusion.fit("joint", clips, SMALL, progress=lambda done, of, loss: told.append((done, of)))
    assert told[0] == (1, joint.EPOCHS) and [done for done, _ in told] == list(range(1, len(told) + 1))
