"""What is drawn lies where it can be seen, and says what the trials were."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cost import cost_of
from core.front import Point as Spot
from core.records import Stage, TrialType
from service.dashboard.charts.costs import MOST_DOTS, costs_figure
from service.dashboard.charts.figure import WIDTH, Bar, Figure, Note, Path, Point, Shape
from service.dashboard.charts.plane import plane_figure
from service.dashboard.charts.recurrences import recurrences_figure, savings_figure
from service.dashboard.charts.share import COLOURS, shares_figure
from service.dashboard.charts.timeline import timeline_figure
from service.dashboard.eta import eta_view, spots_of
from service.views.figures import joules
from tests.service.dashboard.histories import (
    History,
    few,
    histories,
    series_of,
    specification,
    trial_of,
    view_of,
)

ABSOLUTE = re.compile(r"[ML](-?[\d.e+-]+) (-?[\d.e+-]+)")


def _figures(history: History, width: int, stage: Stage) -> Iterator[Figure]:
    job, series = view_of(history, stage), series_of(history, width)
    if not series.cells:
        return
    spots = spots_of(job)
    eta = eta_view(job, spots, 0.5)
    drawn = [
        costs_figure(job, series),
        recurrences_figure(job, series),
        savings_figure(job, series),
        timeline_figure(job, series),
        plane_figure(job, spots, eta.chosen.batch_size if eta else None),
        shares_figure(job, series),
    ]
    yield from filter(None, drawn)


def _places(figure: Figure) -> Iterator[tuple[float, float]]:
    """Go through all places that a figure names."""
    for mark in figure.marks:
        if isinstance(mark, Point | Note):
            yield mark.x, mark.y
        elif isinstance(mark, Bar):
            yield mark.x, mark.y
            yield mark.x + mark.width, mark.y + mark.height
        else:
            yield from ((float(x), float(y)) for x, y in ABSOLUTE.findall(mark.d))
    yield from ((tick.place, figure.frame.bottom) for tick in figure.x.ticks)
    yield from ((figure.frame.left, tick.place) for tick in figure.y.ticks)


@few
@given(histories(), st.integers(1, 9), st.sampled_from(Stage))
def test_all_that_is_drawn_lies_within_the_picture(history: History, width: int, stage: Stage) -> None:
    for figure in _figures(history, width, stage):
        for x, y in _places(figure):
            assert 0 <= x <= WIDTH, figure.name
            assert 0 <= y <= figure.frame.height, figure.name
        for mark in figure.marks:
            assert not isinstance(mark, Bar) or (mark.width >= 0 and mark.height >= 0), figure.name
            assert not isinstance(mark, Path) or mark.d.startswith("M"), figure.name


def _covered(note: Note, letter: float, line: float) -> tuple[float, float, float, float]:
    """Return the left, the top, the right and the bottom of what a label covers."""
    width = letter * len(note.text)
    left = {"start": note.x, "middle": note.x - width / 2, "end": note.x - width}[note.anchor]
    return left, note.y - 0.75 * line, left + width, note.y + 0.25 * line


@few
@given(histories(largest=100.0))
def test_no_label_of_the_plane_hides_a_mark_or_another_label(history: History) -> None:
    job = view_of(history)
    figure = plane_figure(job, spots_of(job), None)
    marks = figure.marks if figure else ()
    boxes = [_covered(mark, 11, 18) for mark in marks if isinstance(mark, Note)]
    boxes += [
        (mark.x - mark.size, mark.y - mark.size, mark.x + mark.size, mark.y + mark.size)
        for mark in marks
        if isinstance(mark, Point)
    ]
    labels = sum(isinstance(mark, Note) for mark in marks)
    for at, one in enumerate(boxes[:labels]):
        for other in boxes[at + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_places_that_are_close_to_each_other_are_all_named() -> None:
    job = view_of(_long(40))
    spots = [Spot(8, 60, 12.7), Spot(32, 36.0, 6.35), Spot(64, 38.4, 6.84), Spot(192, 86, 14.8)]
    figure = plane_figure(job, spots, 32)
    assert figure is not None
    notes = {mark.name: mark for mark in figure.marks if isinstance(mark, Note)}
    assert set(notes) == {"8", "32", "64", "192"}
    assert [note.text for note in notes.values() if "default" in note.text] == ["8 (default)"]
    assert [name for name, note in notes.items() if note.style == "chosen"] == ["32"]


@few
@given(histories())
def test_each_result_is_a_dot_and_hollow_where_it_did_not_converge(history: History) -> None:
    series = series_of(history)
    if not series.cells:
        return
    marks = costs_figure(view_of(history), series).marks
    dots = [mark for mark in marks if isinstance(mark, Point) and mark.style == "muted"]
    converged = [trial.converged for trial in history.trials if trial.converged is not None]
    assert [dot.shape for dot in dots].count(Shape.DOT) == converged.count(True)
    assert [dot.shape for dot in dots].count(Shape.RING) == converged.count(False)


def _long(num_trials: int) -> History:
    sizes = [8, 16, 32, 64]
    trials = tuple(
        trial_of(
            number,
            sizes[number % 4],
            "converged",
            TrialType.MAB,
            (100.0 + number % 97, 1e4 + number * 7 % 89),
        )
        for number in range(1, num_trials + 1)
    )
    return History(specification(sizes, 8), trials)


def test_a_long_history_has_few_dots_the_extremes_among_them_and_says_so() -> None:
    history = _long(9_000)
    job, series = view_of(history), series_of(history, 36)
    figure = costs_figure(job, series)
    dots = [mark for mark in figure.marks if isinstance(mark, Point) and mark.style == "muted"]
    assert 300 < len(dots) <= MOST_DOTS
    assert "in a row the cheapest and the dearest are drawn" in figure.caption
    for size in history.terms.batch_sizes:
        costs = [
            cost_of(history.terms, trial.time, trial.energy)
            for trial in history.trials
            if trial.batch_size == size and trial.time is not None and trial.energy is not None
        ]
        titles = [dot.title for dot in dots if f"batch size {size}:" in dot.title]
        for cost in (min(costs), max(costs)):
            assert any(f": {joules(cost)}," in title for title in titles)


@pytest.mark.parametrize("width", [1, 36])
def test_no_figure_has_more_marks_than_can_be_told_apart(width: int) -> None:
    history = _long(1_500 if width == 1 else 9_000)
    limits = {
        "costs": 1_530,
        "recurrences": 1_510,
        "savings": 10,
        "timeline": 1_000,
        "plane": 20,
        "shares": 400,
    }
    for figure in _figures(history, width, Stage.MAB):
        assert len(figure.marks) <= limits[figure.name], figure.name


def test_the_savings_end_where_the_job_says() -> None:
    history = _long(50)
    job = view_of(history)
    assert job.savings is not None
    figure = savings_figure(job, series_of(history))
    assert figure is not None
    end = figure.marks[-1]
    assert isinstance(end, Point)
    assert "Saved up to the last trial" in end.title
    assert (end.style == "good") == (job.savings.cost >= 0)


def test_nothing_is_saved_or_compared_before_the_default_has_converged() -> None:
    trials = (trial_of(1, 16, "unconverged", TrialType.EXPLORATION, (9.0, 9.0)),)
    history = History(specification([8, 16], 16), trials)
    job, series = view_of(history), series_of(history)
    assert savings_figure(job, series) is None
    assert plane_figure(job, spots_of(job), None) is None
    assert not [mark for mark in recurrences_figure(job, series).marks if isinstance(mark, Path)]


def test_the_least_chosen_batch_sizes_share_the_last_colour() -> None:
    sizes = list(range(1, 21))
    trials = tuple(
        trial_of(number, sizes[-1 - number % (1 + number // 20)], "converged", TrialType.MAB, (1.0, 1.0))
        for number in range(1, 400)
    )
    figure = shares_figure(
        view_of(History(specification(sizes, 1), trials)), series_of(History(specification(sizes, 1), trials))
    )
    assert len(figure.keys) == COLOURS
    assert figure.keys[-1].label == "others"
    columns: dict[float, float] = {}
    for mark in figure.marks:
        assert isinstance(mark, Bar)
        columns[mark.x] = columns.get(mark.x, 0.0) + mark.height
    assert all(
        height == pytest.approx(figure.frame.bottom - figure.frame.top, abs=0.5)
        for height in columns.values()
    )


def test_best_and_default_are_marked_and_named_once_where_they_are_the_same() -> None:
    history = _long(40)
    job, series = view_of(history), series_of(history)
    notes = [mark.text for mark in costs_figure(job, series).marks if isinstance(mark, Note)]
    same = job.best_batch_size == job.default_batch_size
    assert notes == (["best = default"] if same else ["default", "best"])
