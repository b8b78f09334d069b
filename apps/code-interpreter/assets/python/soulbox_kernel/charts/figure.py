"""A figure as `e2b/chart`."""

import warnings

from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.lines import Line2D

from soulbox_kernel.charts import axis as axes_axis
from soulbox_kernel.charts.recordings import boxes_of, label_of, pies_of
from soulbox_kernel.plain import plain

# The limit of one chart, which is sent in one line of JSON.
MAX_POINTS = 200_000


def chart_of_figure(figure):
    # Ticks get their texts when they are drawn. Drawing the picture has already shown the warnings.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure.canvas.draw()
    charts = [chart_of_axes(axes) for axes in figure.axes if not is_color_bar(axes) and axes.has_data()]
    if len(charts) == 0:
        return {}
    if len(charts) == 1:
        return charts[0]
    title = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
    return {"type": "superchart", "title": title or None, "elements": charts}


def is_color_bar(axes):
    return axes.get_label() == "<colorbar>"


def chart_of_axes(axes):
    flat = axes.name != "3d"
    for extract in (pie, box_and_whisker, bar, line, scatter) if flat else ():
        chart = extract(axes)
        if chart is not None:
            return chart
    return {"type": "unknown", **title_of(axes), "elements": []}


def title_of(axes):
    titles = (axes.get_title(loc=place) for place in ("center", "left", "right"))
    return {"title": next((title for title in titles if title), None)}


def labels_of(axes, swapped=False):
    x, y = (axes.get_ylabel(), axes.get_xlabel()) if swapped else (axes.get_xlabel(), axes.get_ylabel())
    return {
        "x_label": x or None,
        "y_label": y or None,
        "x_unit": axes_axis.unit_of(x),
        "y_unit": axes_axis.unit_of(y),
    }


def ticks_of(axes):
    facts = {}
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        facts[f"{name}_ticks"] = axes_axis.ticks_of(axis)
        facts[f"{name}_tick_labels"] = axes_axis.tick_labels(axis)
        facts[f"{name}_scale"] = axes_axis.scale_of(axis)
    return facts


def pie(axes):
    wedges = pies_of(axes)
    if not wedges:
        return None
    elements = [
        {"label": label, "angle": plain(abs(wedge.theta2 - wedge.theta1)), "radius": plain(wedge.r)}
        for wedge, label in wedges
    ]
    return {"type": "pie", **title_of(axes), "elements": elements}


def box_and_whisker(axes):
    boxes = boxes_of(axes)
    if not boxes:
        return None
    upright = boxes[0][2]
    elements = [
        {
            "label": str(box.get("label") or "") or category_at(axes.xaxis if upright else axes.yaxis, position),
            "min": plain(box["whislo"]),
            "first_quartile": plain(box["q1"]),
            "median": plain(box["med"]),
            "third_quartile": plain(box["q3"]),
            "max": plain(box["whishi"]),
            "outliers": [plain(outlier) for outlier in box.get("fliers", [])],
        }
        for box, position, upright in boxes
    ]
    return {"type": "box_and_whisker", **title_of(axes), **labels_of(axes, not upright), "elements": elements}


def bar(axes):
    containers = [each for each in axes.containers if isinstance(each, BarContainer) and len(each.patches) > 0]
    if not containers:
        return None
    upright = containers[0].orientation != "horizontal"
    axis = axes.xaxis if upright else axes.yaxis
    places = sorted({round(middle_of(patch, upright), 6) for each in containers for patch in each.patches})
    elements = []
    for at, container in enumerate(containers):
        group = label_of(container) or f"Group {at}"
        for index, patch in enumerate(container.patches):
            elements.append(
                {
                    "label": bar_label(axis, patch, upright, index, len(containers), places),
                    "group": group,
                    "value": plain(patch.get_height() if upright else patch.get_width()),
                }
            )
    return {"type": "bar", **title_of(axes), **labels_of(axes, not upright), "elements": elements}


def middle_of(patch, upright):
    return patch.get_x() + patch.get_width() / 2 if upright else patch.get_y() + patch.get_height() / 2


def bar_label(axis, patch, upright, index, groups, places):
    """Bars of several groups are beside their tick, so their order decides when no tick is near."""
    middle = middle_of(patch, upright)
    text = category_at(axis, middle)
    if text == "" and groups > 1:
        texts = [label for label in axes_axis.tick_labels(axis) if label != ""]
        size = patch.get_width() if upright else patch.get_height()
        near = nearest_tick(axis, middle)
        if near is not None and abs(near[0] - middle) < max(1e-9, groups * abs(size)):
            return near[1]
        return texts[index] if index < len(texts) else ""
    if text == "" or axes_axis.is_number(text):
        value = axes_axis.value_on(axis, middle)
        return value if isinstance(value, str) else format(value, "g")
    return text


def nearest_tick(axis, place):
    ticks = [(float(tick), text) for tick, text in zip(axis.get_majorticklocs(), axes_axis.tick_labels(axis)) if text]
    return min(ticks, key=lambda tick: abs(tick[0] - place), default=None)


def category_at(axis, place):
    """The text of the tick at `place`, or "" without one."""
    near = nearest_tick(axis, place)
    return near[1] if near is not None and abs(near[0] - place) < 1e-6 else ""


def line(axes):
    lines = [each for each in axes.get_lines() if is_data_line(axes, each)]
    if not lines:
        return None
    elements, left = [], MAX_POINTS
    for at, each in enumerate(lines):
        label = label_of(each) or f"Line {at}"
        xs, ys = each.get_xdata(orig=True), each.get_ydata(orig=True)
        points = [point(axes, x, y) for x, y in list(zip(list(xs), list(ys)))[:left]]
        left -= len(points)
        elements.append({"label": label, "points": points})
    kind = "line" if any(each.get_linestyle() not in ("None", "", " ") for each in lines) else "scatter"
    return {"type": kind, **title_of(axes), **labels_of(axes), **ticks_of(axes), "elements": elements}


def is_data_line(axes, each):
    """True unless the line is a grid line or one like axhline and axvline, which are placed by a fraction of the axes."""
    return isinstance(each, Line2D) and each.get_transform().contains_branch(axes.transData) and not is_reference(axes, each)


def is_reference(axes, each):
    horizontal, vertical = each.get_transform().contains_branch_seperately(axes.transData)
    return not (horizontal and vertical)


def scatter(axes):
    collections = [each for each in axes.collections if isinstance(each, PathCollection)]
    if not collections:
        return None
    elements, left = [], MAX_POINTS
    for at, each in enumerate(collections):
        points = [point(axes, x, y) for x, y in each.get_offsets().tolist()[:left]]
        left -= len(points)
        elements.append({"label": label_of(each) or f"Scatter {at}", "points": points})
    return {"type": "scatter", **title_of(axes), **labels_of(axes), **ticks_of(axes), "elements": elements}


def point(axes, x, y):
    return [axes_axis.value_on(axes.xaxis, x), axes_axis.value_on(axes.yaxis, y)]
