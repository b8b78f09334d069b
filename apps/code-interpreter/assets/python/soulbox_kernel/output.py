"""The streams of a kernel's output, with a bound of what is sent at once."""

from ipykernel.iostream import OutStream

# ipykernel collects output for 0.2 s and sends it as one message. The other end refuses one of more than 64 MiB, in which
# a character has at most 6 bytes.
PIECE_CHARS = 4 * 1024 * 1024


class BoundedStream(OutStream):
    """Sends what a program writes in pieces. A program that writes faster than they are sent waits."""

    _unsent = 0

    def write(self, string):
        if not isinstance(string, str) or len(string) == 0:
            return super().write(string)
        for start in range(0, len(string), PIECE_CHARS):
            piece = string[start : start + PIECE_CHARS]
            super().write(piece)
            self._unsent += len(piece)
            if self._unsent >= PIECE_CHARS:
                self.flush()
        return len(string)

    def _flush(self):
        self._unsent = 0
        super()._flush()
