import type { Message } from '@bufbuild/protobuf';
import type { Interceptor } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';

/**
 * Refuses requests with fields that this version does not know, in the binary form. Ignoring them would mean something
 * else than the client wants, such as a process without the limit it asked for.
 */
export const refuseUnknownFields: Interceptor = (next) => async (request) => {
  if (request.stream) return await next({ ...request, message: checkAll(request.message) });
  check(request.message);
  return await next(request);
};

async function* checkAll<T extends Message>(messages: AsyncIterable<T>): AsyncIterable<T> {
  for await (const message of messages) {
    check(message);
    yield message;
  }
}

function check(message: Message): void {
  const [unknown] = message.$unknown ?? [];
  if (unknown !== undefined)
    throw new SoulBoxError(
      'bad_request',
      `${message.$typeName} has no field ${unknown.no} in this version of envd, which serves soulbox.process.v1.`,
    );
  for (const value of Object.values(message)) checkValue(value);
}

function checkValue(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if (isMessage(value)) check(value);
  else if ('case' in value && 'value' in value) checkValue(value.value);
}

function isMessage(value: object): value is Message {
  return '$typeName' in value && typeof value.$typeName === 'string';
}
