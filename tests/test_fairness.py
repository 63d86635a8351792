from __future__ import annotations

from clipsim.fairness import Line


def drained(line: Line[str], **options: bool) -> list[str]:
    found = []
    while (item := line.pop(**options)) is not None:
        found.append(item)
    return found


def test_communities_take_turns_and_each_is_served_in_order() -> None:
    line: Line[str] = Line()
    for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
        line.put(name[0], name)
    assert len(line) == 6
    assert drained(line) == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert line.pop() is None and not len(line)


def test_who_was_served_a_moment_ago_comes_after_who_was_not() -> None:
    line: Line[str] = Line()
    line.put("a", "a1")
    assert line.pop() == "a1"
    for name in ("a2", "b1"):
        line.put(name[0], name)
    assert drained(line) == ["b1", "a2"]


def test_the_background_comes_last_and_only_where_it_may() -> None:
    line: Line[str] = Line()
    line.put("a", "import", background=True)
    for name in ("a1", "b1"):
        line.put(name[0], name)
    assert drained(line, background=False) == ["a1", "b1"]
    line.put("b", "b2")
    assert drained(line) == ["b2", "import"]


def test_one_may_leave() -> None:
    line: Line[str] = Line()
    for name in ("a1", "a2"):
        line.put("a", name)
    assert line.remove("a", "a1") and not line.remove("a", "a1") and not line.remove("b", "a2")
    assert list(line) == ["a2"]
    line.clear()
    assert not len(line)
