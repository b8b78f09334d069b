import { headMaxBytes, parseRequestHead } from './request-head.ts';

/** Maximum bytes of a chunk's line or of a trailer line, with its end. */
const lineMaxBytes = 4096;
/** Maximum bytes after a request to switch protocols that wait for the response. */
const heldMaxBytes = 64 * 1024;

type State =
  | { readonly at: 'head' | 'chunk-line' | 'chunk-end' | 'trailer' }
  | { readonly at: 'body' | 'chunk-data'; left: number }
  /** A WebSocket was asked for. Only the response tells what the next bytes are. */
  | { readonly at: 'switching' | 'switched' };

/**
 * Watches an HTTP/1 connection that was allowed because of its host name: every further request must name the same
 * host. Bytes pass unchanged, but a request only after its head was judged.
 */
export interface HostGuard {
  /** Returns the bytes that may pass now, or `refused`. */
  fromClient(bytes: Buffer): Buffer | 'refused';
  /** Returns client bytes that may pass after these bytes of the server. */
  fromServer(bytes: Buffer): Buffer | 'refused';
}

export function createHostGuard(name: string): HostGuard {
  let state: State = { at: 'head' };
  /** Begins at an element that is not complete yet: a head, a line. */
  let held: Buffer = Buffer.alloc(0);
  let requests = 0;
  let response = Buffer.alloc(0);

  /** Consumes one element from the start. Returns its length, 0 if it is incomplete, -1 if it is refused. */
  const step = (bytes: Buffer): number => {
    switch (state.at) {
      case 'head':
        return readHead(bytes);
      case 'body':
      case 'chunk-data': {
        const taken = Math.min(state.left, bytes.length);
        state.left -= taken;
        if (state.left === 0) state = { at: state.at === 'body' ? 'head' : 'chunk-end' };
        return taken;
      }
      case 'chunk-line':
        return readLine(bytes, (line) => {
          const [, size] = /^([0-9A-Fa-f]{1,13})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/.exec(line) ?? [];
          if (size === undefined) return false;
          const left = parseInt(size, 16);
          state = left === 0 ? { at: 'trailer' } : { at: 'chunk-data', left };
          return true;
        });
      case 'chunk-end':
        return readLine(bytes, (line) => {
          state = { at: 'chunk-line' };
          return line === '';
        });
      case 'trailer':
        return readLine(bytes, (line) => {
          if (line === '') state = { at: 'head' };
          return line === '' || /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*$/.test(line);
        });
      case 'switching':
        return bytes.length > heldMaxBytes ? -1 : 0;
      case 'switched':
        return bytes.length;
    }
  };
  const readHead = (bytes: Buffer): number => {
    // Some clients send an empty line after a body (RFC 9112, 2.2).
    if (bytes[0] === 13) return bytes.length === 1 ? 0 : bytes[1] === 10 ? 2 : -1;
    const head = parseRequestHead(bytes);
    if (head.state === 'incomplete') return bytes.length >= headMaxBytes ? -1 : 0;
    if (head.state === 'bad' || head.name !== name) return -1;
    requests += 1;
    if (head.upgrade !== '') {
      // Other protocols could name other hosts inside, such as h2c. After other requests it is unclear which response
      // belongs to this one.
      if (head.upgrade !== 'websocket' || requests > 1 || head.framing.kind !== 'length' || head.framing.bytes > 0)
        return -1;
      state = { at: 'switching' };
    } else if (head.framing.kind === 'chunked') state = { at: 'chunk-line' };
    else if (head.framing.bytes > 0) state = { at: 'body', left: head.framing.bytes };
    return head.headBytes;
  };
  const pass = (bytes: Buffer): Buffer | 'refused' => {
    const all = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    let at = 0;
    while (at < all.length) {
      const taken = step(all.subarray(at));
      if (taken < 0) return 'refused';
      if (taken === 0) break;
      at += taken;
    }
    held = all.subarray(at);
    return all.subarray(0, at);
  };
  return {
    fromClient: pass,
    fromServer(bytes) {
      if (state.at !== 'switching') return Buffer.alloc(0);
      response = Buffer.concat([response, bytes]);
      for (;;) {
        if (response.length < 12) return Buffer.alloc(0);
        const [, status = ''] = /^HTTP\/1\.[01] ([0-9]{3})/.exec(response.toString('latin1', 0, 12)) ?? [];
        if (status === '') return 'refused';
        if (status === '101' || !status.startsWith('1')) {
          state = { at: status === '101' ? 'switched' : 'head' };
          response = Buffer.alloc(0);
          return pass(Buffer.alloc(0));
        }
        // An interim response: the next one decides.
        const end = response.indexOf('\r\n\r\n');
        if (end < 0) return response.length > headMaxBytes ? 'refused' : Buffer.alloc(0);
        response = response.subarray(end + 4);
      }
    },
  };
}

/** Calls `accept` with a line that ends by CR LF. Returns like `step`. */
function readLine(bytes: Buffer, accept: (line: string) => boolean): number {
  const end = bytes.indexOf(10);
  if (end < 0) return bytes.length >= lineMaxBytes ? -1 : 0;
  if (end >= lineMaxBytes || bytes[end - 1] !== 13) return -1;
  return accept(bytes.toString('latin1', 0, end - 1)) ? end + 1 : -1;
}
