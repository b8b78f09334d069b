"""The content of a matplotlib figure as data: type, labels, units, scales, ticks and elements."""
