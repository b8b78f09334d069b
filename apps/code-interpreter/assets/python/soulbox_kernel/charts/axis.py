"""One axis of a chart: label, unit, ticks, scale."""

import numbers
import re

from matplotlib import dates

from soulbox_kernel.plain import plain

SCALES = ("linear", "log", "symlog", "logit", "function", "functionlog", "asinh")


def unit_of(label):
    """The text in the last parentheses or square brackets: "Time (s)" gives "s"."""
    found = re.findall(r"\(([^()]+)\)|\[([^\[\]]+)\]", label or "")
    return (found[-1][0] or found[-1][1]).strip() if found else None


def converter_of(axis):
    get = getattr(axis, "get_converter", None)
    return get() if get is not None else axis.converter


def is_dates(axis):
    converter = type(converter_of(axis)).__name__
    formatter = axis.get_major_formatter()
    return "Date" in converter or is_periods(axis) or isinstance(
        formatter, (dates.DateFormatter, dates.AutoDateFormatter, dates.ConciseDateFormatter)
    )


def is_periods(axis):
    """The positions at which pandas draws a series with a date index: integers that count days, months or so."""
    return type(converter_of(axis)).__name__ == "PeriodConverter" and getattr(axis, "freq", None) is not None


def date_at(axis, number):
    if is_periods(axis):
        import pandas

        return pandas.Period(ordinal=int(number), freq=axis.freq).start_time.isoformat()
    return dates.num2date(number).replace(tzinfo=None).isoformat()


def is_categories(axis):
    return type(converter_of(axis)).__name__ == "StrCategoryConverter" or _counts_categories(axis)


def _counts_categories(axis):
    """The caller placed names at 0, 1, 2 and so on, as pandas does, instead of matplotlib."""
    if axis.get_scale() != "linear":
        return False
    ticks, texts = [float(tick) for tick in axis.get_majorticklocs()], tick_labels(axis)
    return (
        len(ticks) > 0
        and ticks == [float(at) for at in range(len(ticks))]
        and len(texts) == len(ticks)
        and not any(is_number(text) for text in texts)
        and any(text != "" for text in texts)
    )


def is_number(text):
    try:
        float(text.replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        return False
    return True


def scale_of(axis):
    if is_dates(axis):
        return "datetime"
    if is_categories(axis):
        return "categorical"
    scale = axis.get_scale()
    return scale if scale in SCALES else "linear"


def tick_labels(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def ticks_of(axis):
    if is_dates(axis):
        return [date_at(axis, tick) for tick in axis.get_majorticklocs()]
    return [plain(tick) for tick in axis.get_majorticklocs()]


def value_on(axis, value):
    """A point's coordinate in readable form: a date as ISO text, a category as its name."""
    if is_dates(axis):
        if isinstance(value, numbers.Real):
            return date_at(axis, float(value))
        if hasattr(value, "start_time"):
            return value.start_time.isoformat()
        return plain(value)
    names = getattr(getattr(axis, "units", None), "_mapping", None)
    if names is not None and not isinstance(value, (str, bytes)):
        return next((name for name, at in names.items() if at == value), plain(value))
    return plain(value)
