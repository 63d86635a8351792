"""Several clips through one network at once, so that what is wrong with one of them costs the others nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from clipsim.encoders import Encoded
from clipsim.encoders._device import threads
from clipsim.errors import ClipSimError

Input = TypeVar("Input")
Plan = TypeVar("Plan")
Answer = TypeVar("Answer")


def together(
    inputs: Sequence[Input],
    split: Callable[[Input], tuple[Any, Plan]],
    run: Callable[[list[Any]], Any],
    join: Callable[[Plan, Any], Encoded],
) -> list[Encoded | ClipSimError]:
    """Encode several inputs: each is split into rows, all rows go through the network, each input joins its answers.

    Rows and answers are sequences (lists, arrays) with one answer for each row. `split` also says what `join` must
    know, and runs in threads. A `ClipSimError` that `split` or `join` raises takes the place of its input.
    """
    parts = _each(lambda given: _caught(lambda: split(given)), inputs)
    rows = [row for part in parts if not isinstance(part, ClipSimError) for row in part[0]]
    answers: Any = run(rows) if rows else []
    found: list[Encoded | ClipSimError] = []
    at = 0
    for part in parts:
        if isinstance(part, ClipSimError):
            found.append(part)
            continue
        mine, plan = answers[at : at + len(part[0])], part[1]
        at += len(part[0])
        found.append(_caught(lambda mine=mine, plan=plan: join(plan, mine)))  # type: ignore[misc]
    return found


def only(found: Sequence[Encoded | ClipSimError]) -> Encoded:
    """The one result; raises it where it is an error."""
    (one,) = found
    if isinstance(one, ClipSimError):
        raise one
    return one


def _each(function: Callable[[Input], Answer], inputs: Sequence[Input]) -> list[Answer]:
    if len(inputs) < 2 or threads() < 2:
        return [function(given) for given in inputs]
    with ThreadPoolExecutor(min(len(inputs), threads())) as pool:
        return list(pool.map(function, inputs))


def _caught(function: Callable[[], Answer]) -> Answer | ClipSimError:
    try:
        return function()
    except ClipSimError as error:
        return error
