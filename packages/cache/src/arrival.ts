/** A value of which a part may be there already. */
export interface ArrivingValue {
  readonly sizeBytes: number;
  /** All bytes, each part as soon as it is there. Throws if the rest does not come. */
  pieces(): AsyncGenerator<Buffer>;
}

/** What takes the bytes of one sender. */
export interface Receiver {
  /** Throws for more bytes than were announced. */
  take(piece: Uint8Array): void;
  /** Throws for fewer bytes than were announced. */
  whole(): Buffer;
}

/**
 * A value on its way to its readers. If its sender fails in the middle, another one can begin again: readers go on with
 * the bytes that they do not have yet. A sender that gave wrong bytes makes the value wrong, which its reader finds out.
 */
export interface Arrival {
  /** A sender has announced a size. Throws if the readers were told another one. */
  begin(sizeBytes: number): Receiver;
  /** `listener` is called when the size is known: at once if it is. A value that comes as a whole has no beginning. */
  onBegin(listener: (value: ArrivingValue) => void): void;
  /** No further bytes will come. */
  fail(fault: Error): void;
}

export function createArrival(): Arrival {
  const listeners: ((value: ArrivingValue) => void)[] = [];
  let bytes: Buffer | undefined;
  let arrived = 0;
  let fault: Error | undefined;
  let wakes: (() => void)[] = [];
  const wake = (): void => {
    for (const each of wakes) each();
    wakes = [];
  };
  const valueOf = (held: Buffer): ArrivingValue => ({
    sizeBytes: held.length,
    async *pieces() {
      let given = 0;
      while (given < held.length) {
        if (arrived > given) {
          const piece = held.subarray(given, arrived);
          given = arrived;
          yield piece;
        } else if (fault === undefined) await new Promise<void>((resolve) => wakes.push(resolve));
        else throw fault;
      }
    },
  });
  return {
    begin(sizeBytes) {
      if (bytes !== undefined && bytes.length !== sizeBytes)
        throw new Error(`A value has ${sizeBytes} bytes in one place and ${bytes.length} in another one.`);
      const into = bytes ?? Buffer.allocUnsafeSlow(sizeBytes);
      if (bytes === undefined) {
        bytes = into;
        for (const listener of listeners) listener(valueOf(into));
      }
      let filled = 0;
      return {
        take(piece) {
          if (filled + piece.length > sizeBytes) throw new Error('More bytes came than were announced.');
          into.set(piece, filled);
          filled += piece.length;
          if (filled <= arrived) return;
          arrived = filled;
          wake();
        },
        whole() {
          if (filled < sizeBytes) throw new Error(`${filled} of ${sizeBytes} bytes came.`);
          return into;
        },
      };
    },
    onBegin(listener) {
      if (bytes === undefined) listeners.push(listener);
      else listener(valueOf(bytes));
    },
    fail(why) {
      fault = why;
      wake();
    },
  };
}
