/** A reply of RESP2, as far as we need it. `undefined`: nil. */
export type Reply = Buffer | string | number | ReplyError | undefined;

/** `-OOM command not allowed…`: the server has refused a command. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
  /** The first word, such as `OOM`, `NOAUTH` or `LOADING`. */
  get code(): string {
    return /^[A-Z]+/.exec(this.message)?.[0] ?? '';
  }
}

/** Of a status, an error, a number or a length. */
const lineMaxBytes = 1024;

/**
 * Cuts what a server sends into replies (https://valkey.io/topics/protocol/). A value is copied once, into a buffer of its
 * own length, and one of more than `valueMaxBytes` is refused before it is received. Throws for what is not RESP2.
 */
export function createReplyParser(valueMaxBytes: number, onReply: (reply: Reply) => void): (bytes: Buffer) => void {
  let line: Buffer[] = [];
  let lineBytes = 0;
  let value: { readonly bytes: Buffer; filled: number } | undefined;
  /** Of the end of line after a value. */
  let skip = 0;

  const takeLine = (bytes: Buffer, at: number): number => {
    const end = bytes.indexOf(10, at);
    const piece = bytes.subarray(at, end === -1 ? bytes.length : end + 1);
    line.push(piece);
    lineBytes += piece.length;
    if (lineBytes > lineMaxBytes) throw new Error('The server has sent a line that is too long.');
    if (end === -1) return bytes.length;
    const text = Buffer.concat(line).toString('latin1');
    line = [];
    lineBytes = 0;
    if (!text.endsWith('\r\n')) throw new Error('The server has sent a line without its end.');
    beginReply(text.slice(0, 1), text.slice(1, -2));
    return end + 1;
  };
  const beginReply = (kind: string, text: string): void => {
    if (kind === '+') onReply(text);
    else if (kind === '-') onReply(new ReplyError(text));
    else if (kind === ':') onReply(parseNumber(text));
    else if (kind === '$') {
      const length = parseNumber(text);
      if (length === -1) onReply(undefined);
      else if (length < 0 || length > valueMaxBytes)
        throw new Error(`The server has sent a value of ${length} bytes, more than ${valueMaxBytes}.`);
      else if (length === 0) {
        skip = 2;
        onReply(Buffer.alloc(0));
      } else value = { bytes: Buffer.allocUnsafeSlow(length), filled: 0 };
    } else throw new Error('The server has sent something else than a reply.');
  };
  const takeValue = (bytes: Buffer, at: number, open: NonNullable<typeof value>): number => {
    const copied = bytes.copy(open.bytes, open.filled, at);
    open.filled += copied;
    if (open.filled === open.bytes.length) {
      value = undefined;
      skip = 2;
      onReply(open.bytes);
    }
    return at + copied;
  };
  return (bytes) => {
    let at = 0;
    while (at < bytes.length) {
      if (skip > 0) {
        if (bytes[at] !== (skip === 2 ? 13 : 10)) throw new Error('The server has sent a value of another length.');
        skip -= 1;
        at += 1;
      } else at = value === undefined ? takeLine(bytes, at) : takeValue(bytes, at, value);
    }
  };
}

function parseNumber(text: string): number {
  const number = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(number)) throw new Error('The server has sent something else than a number.');
  return number;
}
