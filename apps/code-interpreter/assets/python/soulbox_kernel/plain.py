"""Converts values of numpy, pandas and datetime to JSON types."""

import datetime
import math
import numbers


def plain(value):
    """A number, string, bool or None. Dates become ISO text. NaN, infinity and missing values become None."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return None if value != value else value.isoformat()
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind == "M":
        text = str(value)
        return None if text == "NaT" else text[:19] if "T" in text and text[19:].strip("0.") == "" else text
    if kind == "b":
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else None
    try:
        if value != value:
            return None
    except (TypeError, ValueError):
        pass
    return str(value)
