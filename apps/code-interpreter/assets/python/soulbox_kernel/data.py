"""A data frame as `e2b/data`: the name of each column and the list of its values."""

from soulbox_kernel.plain import plain

# The client receives all cells in one line of JSON.
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
