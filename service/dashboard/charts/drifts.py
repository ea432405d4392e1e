"""Where, along the trials, the costs of a job were found to have drifted."""

from service.dashboard.charts import words
from service.dashboard.charts.figure import Frame, Key, Mark, Path, Shape
from service.dashboard.charts.scales import Linear
from service.store.series import Series

DRIFT = Key("costs have drifted", Shape.POST, "")


def drift_marks(series: Series, frame: Frame, x: Linear) -> list[Mark]:
    """Return a line from top to bottom for each bin with a trial that has shown a drift."""
    drifted = sorted({cell.bin for cell in series.cells if cell.num_drifts})
    marks: list[Mark] = []
    for number in drifted:
        place = round(x(sum(series.numbers(number)) / 2), 1)
        title = f"{words.trials(series, number)}: trainings cost something else than before"
        marks.append(Path(f"M{place:g} {frame.top:g}V{frame.bottom:g}", "drift", title))
    return marks
