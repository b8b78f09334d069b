import { Code, ConnectError } from '@connectrpc/connect';
import { endStreamFromJson, endStreamToJson } from '@connectrpc/connect/protocol-connect';

/**
 * The payload of an error frame: the JSON with which Connect ends a stream, so with code, message and metadata.
 * Handlers report their errors as `ConnectError`. Anything else is a defect, whose text is not for other processes.
 */
export function encodeError(thrown: unknown): Uint8Array {
  const error = thrown instanceof ConnectError ? thrown : new ConnectError('internal error', Code.Internal);
  const text = JSON.stringify(endStreamToJson(new Headers(), error, undefined));
  return Buffer.from(text);
}

export function decodeError(payload: Uint8Array): ConnectError {
  const unreadable = new ConnectError('the error of a call cannot be read', Code.Internal);
  try {
    return endStreamFromJson(payload).error ?? unreadable;
  } catch {
    return unreadable;
  }
}
