"""What a matplotlib figure shows, as data: type, labels, units, scales, ticks and elements."""
