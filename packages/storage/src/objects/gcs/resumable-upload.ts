import { StoreFault } from '../store-fault.ts';

/** All but the last request of an upload must send multiples of this. */
const step = 256 * 1024;

interface UploadState {
  /** How much the store has. */
  stored: number;
  /** Sent, but shorter than a step: it goes with the next part. */
  rest: Uint8Array;
  /** The response to a request was lost, so the store must be asked how much it has. */
  isDoubtful: boolean;
}

export type SendPart = (headers: Readonly<Record<string, string>>, body: Uint8Array) => Promise<Response>;

/**
 * One resumable upload of GCS (https://cloud.google.com/storage/docs/performing-resumable-uploads). Parts come in order.
 */
export interface ResumableUpload {
  /** Can be repeated with the same part. */
  add(part: { readonly offset: number; readonly bytes: Uint8Array }, send: SendPart): Promise<void>;
  /** Returns the response with the object. */
  finish(sizeBytes: number, send: SendPart): Promise<Response>;
}

/** `fail` turns an unsuccessful response into a fault. */
export function createResumableUpload(fail: (response: Response) => Promise<StoreFault>): ResumableUpload {
  const state: UploadState = { stored: 0, rest: Buffer.alloc(0), isDoubtful: false };

  const put = async (send: SendPart, range: string, body: Uint8Array): Promise<Response> => {
    state.isDoubtful = true;
    const response = await send({ 'content-range': range }, body);
    if (response.status === 308) {
      await response.body?.cancel();
      state.stored = storedOf(response);
    } else if (!response.ok) throw await fail(response);
    state.isDoubtful = false;
    return response;
  };
  /** Sends all of `bytes`, which begin at `start`, that the store does not have. */
  const putFrom = async (send: SendPart, { start, bytes, total }: Piece): Promise<Response | undefined> => {
    if (state.isDoubtful) {
      const response = await put(send, `bytes */${total}`, Buffer.alloc(0));
      if (response.status !== 308) return response;
    }
    const end = start + bytes.length;
    while (state.stored < end) {
      if (state.stored < start) throw new StoreFault('storage_damaged', 'The store has lost a part of the upload.');
      const before = state.stored;
      const response = await put(send, `bytes ${before}-${end - 1}/${total}`, bytes.subarray(before - start));
      if (response.status !== 308) return response;
      if (state.stored <= before) throw new StoreFault('storage_unavailable', 'The store has kept nothing of a part.');
    }
    return undefined;
  };

  return {
    async add({ offset, bytes }, send) {
      const start = offset - state.rest.length;
      const joined = state.rest.length === 0 ? bytes : Buffer.concat([state.rest, bytes]);
      const whole = joined.length - (joined.length % step);
      if (whole > 0) await putFrom(send, { start, bytes: joined.subarray(0, whole), total: '*' });
      // Only now: until then the same part can come again.
      state.rest = Buffer.from(joined.subarray(whole));
    },
    async finish(sizeBytes, send) {
      const piece = { start: sizeBytes - state.rest.length, bytes: state.rest, total: String(sizeBytes) };
      return (await putFrom(send, piece)) ?? (await put(send, `bytes */${sizeBytes}`, Buffer.alloc(0)));
    },
  };
}

interface Piece {
  readonly start: number;
  readonly bytes: Uint8Array;
  readonly total: string;
}

/** Without a range, the store has nothing. */
function storedOf(response: Response): number {
  const last = /^bytes=0-(\d+)$/.exec(response.headers.get('range') ?? '')?.[1];
  return last === undefined ? 0 : Number(last) + 1;
}
