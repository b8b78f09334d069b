"""Values of numpy, pandas and datetime as what JSON has."""

import datetime
import math
import numbers


def plain(value):
    """A number, text, bool or None. Dates become ISO text; what is not a number, not finite or missing becomes None."""
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
