"""A data frame as `e2b/data`: each column's name, and its values as a list."""

from soulbox_kernel.plain import plain

# A client gets all of it in one line of JSON.
MAX_CELLS = 1_000_000


def data_of_frame(frame):
    if frame.size > MAX_CELLS:
        return None
    return {str(name): [cell(value) for value in frame.iloc[:, at].tolist()] for at, name in enumerate(frame.columns)}


def cell(value):
    if isinstance(value, (list, tuple)):
        return [cell(each) for each in value]
    if isinstance(value, dict):
        return {str(key): cell(each) for key, each in value.items()}
    return plain(value)
