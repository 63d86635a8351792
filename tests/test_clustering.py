import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsim.clustering import cluster, document, elbow
from clipsim.model import Clip, Label


def blobs(count, groups=4, size=32, spread=0.25, seed=0):
    world, chance = np.random.default_rng(5), np.random.default_rng(seed)
    centres = world.standard_normal((groups, size))
    belongs = np.arange(count) % groups
    rows = (centres[belongs] + spread * chance.standard_normal((count, size))).astype(np.float32)
    return [f"c{number}" for number in range(count)], rows, belongs


def about(belongs, names=("rock", "folk", "metal", "jazz", "soul", "punk")):
    return [{f"genre:{names[group]}": 1.0, "tag:guitar": 0.5} for group in belongs]


def assigned(result):
    return {member: group.id for group in result.groups for member in group.members}


def test_the_decks_own_embeddings_group_as_the_authors_found(testdata):
    deck = np.load(testdata / "deck" / "embeddings.npz")
    genres = deck["genres"].tolist()
    ids = [f"c{number}" for number in range(len(genres))]
    documents = [{f"genre:{genre}": 1.0} for genre in genres]
    result = cluster(ids, deck["embeddings"], documents, 9, truth=genres)
    assert result.method == "k-means (9)"
    assert result.quality["nmi"] == pytest.approx(0.251, abs=0.015)
    assert len(result.groups) == 9 and sum(len(group.members) for group in result.groups) == 821
    assert len({group.label for group in result.groups}) == 9
    found, inertia = elbow(deck["embeddings"])
    assert found in (5, 7, 9) and sorted(inertia, key=inertia.get, reverse=True) == [3, 5, 7, 9, 11]


@pytest.mark.parametrize("groups", [2, 4, 6])
@pytest.mark.parametrize("count", [24, 60])
def test_the_automatic_choice_finds_groups_that_are_there(groups, count):
    ids, rows, belongs = blobs(count, groups)
    result = cluster(ids, rows, about(belongs), truth=[str(group) for group in belongs])
    assert result.method == f"k-means ({groups}, automatic)"
    assert result.quality["nmi"] == pytest.approx(1)
    assert result.quality["silhouette"] > 0.5


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_very_few_clips_are_one_cluster(count):
    ids, rows, belongs = blobs(count)
    result = cluster(ids, rows, about(belongs))
    assert [len(group.members) for group in result.groups] == [count]
    assert result.groups[0].label


def test_no_clips_no_clusters():
    result = cluster([], np.zeros((0, 8), np.float32), [])
    assert result.groups == () and cluster(["a"], np.ones((1, 8)), [{}], previous=result.state).groups[0].id == 1


@pytest.mark.parametrize("n", ["auto", "elbow", 9, 1])
def test_clips_that_are_all_the_same(n):
    result = cluster([f"c{i}" for i in range(20)], np.ones((20, 8), np.float32), [{}] * 20, n)
    assert len(result.groups) == 1 and result.quality["inertia"] == pytest.approx(0, abs=1e-6)


def test_more_clusters_than_clips_is_as_many_as_there_are():
    ids, rows, belongs = blobs(5)
    result = cluster(ids, rows, about(belongs), 9)
    assert result.method == "k-means (5)" and len({group.label for group in result.groups}) == 5
    with pytest.raises(ValueError):
        cluster(ids, rows, about(belongs), 0)


def test_members_come_nearest_to_the_centre_first_and_clusters_largest_first():
    ids, rows, belongs = blobs(50, 3)
    result = cluster(ids, rows, about(belongs))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for group in result.groups:
        where = [ids.index(member) for member in group.members]
        nearness = unit[where] @ unit[where].mean(axis=0)
        assert (np.diff(nearness) <= 1e-6).all()
    sizes = [len(group.members) for group in result.groups]
    assert sizes == sorted(sizes, reverse=True)


def test_a_library_that_grows_by_a_few_clips_keeps_its_clusters():
    ids, rows, belongs = blobs(70, 5, spread=0.9)
    documents = about(belongs)
    before = cluster(ids[:60], rows[:60], documents[:60])
    state = json.loads(json.dumps(before.state))
    for end in (61, 64, 70):
        after = cluster(ids[:end], rows[:end], documents[:end], previous=state)
        state = json.loads(json.dumps(after.state))
        old, new = assigned(before), assigned(after)
        assert np.mean([old[clip] == new[clip] for clip in old]) > 0.95
        assert {group.id: group.label for group in before.groups} == {group.id: group.label for group in after.groups}


def test_it_is_kept_through_a_new_fusion_and_another_order():
    """A retrained fusion turns the space; ids and labels hang on members, and not on centres."""
    ids, rows, belongs = blobs(60, 5)
    before = cluster(ids, rows, about(belongs))
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((32, 32)))[0].astype(np.float32)
    order = np.random.default_rng(4).permutation(60)
    after = cluster([ids[row] for row in order], rows[order] @ turn, about(belongs[order]), previous=before.state)
    assert assigned(after) == assigned(before)
    assert {group.id: group.label for group in after.groups} == {group.id: group.label for group in before.groups}


def test_a_new_group_gets_a_new_id_and_no_id_is_used_twice():
    ids, rows, belongs = blobs(90, 6)
    old = belongs < 5
    pick = lambda mask: ([i for i, m in zip(ids, mask, strict=True) if m], rows[mask], about(belongs[mask]))  # noqa: E731
    before = cluster(*pick(old))
    after = cluster(*pick(np.ones(90, bool)), previous=before.state)
    assert {group.id for group in before.groups} == {1, 2, 3, 4, 5}
    assert {group.id for group in after.groups} == {1, 2, 3, 4, 5, 6}
    without = cluster(*pick(belongs != 5), previous=after.state)
    back = cluster(*pick(np.ones(90, bool)), previous=without.state)
    assert max(group.id for group in back.groups) == 7


def test_a_cluster_that_outgrew_its_name_is_named_anew_and_keeps_its_id():
    ids, rows, _ = blobs(80, 2)
    rock = [{"genre:rock": 1.0}] * 80
    first = cluster(ids[:16], rows[:16], rock[:16])
    documents = [{"genre:polka": 1.0}] * 80
    later = cluster(ids, rows, documents, previous=first.state)
    assert {group.id for group in later.groups} == {1, 2}
    assert all("olka" in group.label for group in later.groups)


@pytest.mark.parametrize(
    "previous",
    [
        {},
        {"clusters": 3, "next": 1},
        {"clusters": [{"id": "x"}], "next": 1},
        {"clusters": [{"id": 1, "label": "A b", "named": 1, "members": []}] * 2, "next": 1},
        {"clusters": [], "next": None},
    ],
)
def test_a_previous_state_that_is_none_is_as_if_there_had_been_none(previous):
    ids, rows, belongs = blobs(24)
    assert cluster(ids, rows, about(belongs), previous=previous) == cluster(ids, rows, about(belongs))


def test_what_sets_a_cluster_apart_names_it():
    ids, rows, belongs = blobs(60, 3)
    kinds = [
        {"genre:pop": 1.0, "tag:female vocalists": 0.6, "tag:rock": 0.2, "action:dancing": 0.3, "word:tonight": 1.0},
        {"genre:metal": 1.0, "tag:heavy metal": 0.6, "tag:rock": 0.5, "action:headbanging": 0.5, "word:war": 1.0},
        {"tag:folk": 0.7, "tag:mellow": 0.5, "tag:rock": 0.1, "word:river": 0.9, "action:playing guitar": 0.3},
    ]
    result = cluster(ids, rows, [kinds[group] for group in belongs])
    label = {group.members[0]: group.label for group in result.groups}
    by_kind = {belongs[ids.index(member)]: name for member, name in label.items()}
    assert by_kind == {0: "Female vocal pop, dancing", 1: "Heavy metal, headbanging", 2: "Mellow folk, playing guitar"}


def test_a_clip_says_of_itself_what_the_encoders_found():
    clip = Clip(
        id="x",
        title="T",
        artist="Ann & The Bees",
        genre="Hip Hop/Soul",
        tags=(Label("female vocalists", 0.5), Label("Hip-Hop", 0.4)),
        classes=(Label("playing guitar", 0.3),),
        words=("love", "fucking"),
    )
    assert document(clip) == {
        "genre:hip-hop": 1.0,
        "genre:soul": 1.0,
        "tag:female vocalists": 0.5,
        "tag:hip-hop": 0.4,
        "action:playing guitar": 0.3,
        "word:love": 1.0,
        "artist:ann the bees": 1.0,
    }
    assert document(Clip(id="x", title="T")) == {}


HOSTILE = st.text(max_size=60) | st.sampled_from(
    ["@everyone", "**x**", "<@1>", "\n\n", "https://x.y", "'-'", "&&", "𝔣𝔲𝔫"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(HOSTILE, HOSTILE, st.lists(HOSTILE, max_size=3)), min_size=6, max_size=12))
def test_labels_are_never_empty_never_twice_and_never_code(clips):
    documents = [
        document(Clip(id="x", title="t", genre=genre, artist=artist, words=tuple(words), tags=(Label(artist, 0.5),)))
        for genre, artist, words in clips
    ]
    rows = np.random.default_rng(0).standard_normal((len(clips), 8)).astype(np.float32)
    groups = cluster([str(number) for number in range(len(clips))], rows, documents, 4).groups
    names = [group.label for group in groups]
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert 2 <= len(name.split()) <= 4 and len(name) <= 110
        assert not set(name) & set("@*_<>`|#:/\\[]()\n~")
