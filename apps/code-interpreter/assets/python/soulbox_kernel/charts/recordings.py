"""Records facts that a drawn figure no longer contains: a box plot becomes lines only, without its numbers."""

import functools

_BOXES = "_soulbox_boxes"
_PIES = "_soulbox_pies"


def install():
    from matplotlib.axes import Axes

    if getattr(Axes.bxp, "_soulbox", False):
        return
    bxp = Axes.bxp
    pie = Axes.pie

    @functools.wraps(bxp)
    def recorded_bxp(self, bxpstats, *args, **options):
        drawn = bxp(self, bxpstats, *args, **options)
        positions = options.get("positions", args[0] if args else None)
        upright = options.get("vert") is not False and options.get("orientation", "vertical") == "vertical"
        statistics = list(bxpstats)
        if positions is None:
            positions = range(1, len(statistics) + 1)
        notes = self.__dict__.setdefault(_BOXES, [])
        notes.append((drawn["medians"], statistics, list(positions), upright))
        return drawn

    @functools.wraps(pie)
    def recorded_pie(self, x, *args, **options):
        drawn = pie(self, x, *args, **options)
        labels = options.get("labels", args[1] if len(args) > 1 else None)
        wedges = drawn[0]
        self.__dict__.setdefault(_PIES, []).append((wedges, [] if labels is None else [str(label) for label in labels]))
        return drawn

    recorded_bxp._soulbox = True
    Axes.bxp = recorded_bxp
    Axes.pie = recorded_pie


def boxes_of(axes):
    """[(statistics, position, upright)] of the boxes that are still drawn."""
    found = []
    for medians, statistics, positions, upright in getattr(axes, _BOXES, []):
        for median, one, position in zip(medians, statistics, positions):
            if median.axes is axes:
                found.append((one, position, upright))
    return found


def pies_of(axes):
    """[(wedge, label)] of the wedges that are still drawn, including unrecorded ones."""
    from matplotlib.patches import Wedge

    labels = {}
    for wedges, texts in getattr(axes, _PIES, []):
        labels.update({id(wedge): text for wedge, text in zip(wedges, texts)})
    wedges = [patch for patch in axes.patches if isinstance(patch, Wedge)]
    return [(wedge, labels.get(id(wedge), label_of(wedge))) for wedge in wedges]


def label_of(artist):
    text = str(artist.get_label())
    return "" if text.startswith("_") else text
