import { create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, DescMethod, MessageShape } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Client, credentials, status } from '@grpc/grpc-js';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@soulbox/contract/grpc-health';
import { ServerReflection } from '@soulbox/contract/grpc-reflection';
import { ProcessService } from '@soulbox/contract/process-v1';
import type { InteractRequestSchema, InteractResponseSchema } from '@soulbox/contract/process-v1';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { findTestRoot } from '../testing/test-root.ts';

let envd: TestEnvd;
/** gRPC's own client, which shares no code with ours. */
let client: Client;
beforeAll(async () => {
  envd = await startEnvd(await findTestRoot());
  client = new Client(`127.0.0.1:${envd.port}`, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await envd[Symbol.asyncDispose]();
});

const pathOf = ({ parent, name }: DescMethod): string => `/${parent.typeName}/${name}`;
const encode =
  <T extends DescMessage>(schema: T) =>
  (message: MessageShape<T>): Buffer =>
    Buffer.from(toBinary(schema, message));
const decode =
  <T extends DescMessage>(schema: T) =>
  (bytes: Buffer): MessageShape<T> =>
    fromBinary(schema, bytes);

function open<I extends DescMessage, O extends DescMessage>(method: DescMethod & { input: I; output: O }) {
  return client.makeBidiStreamRequest(pathOf(method), encode(method.input), decode(method.output));
}

async function call<I extends DescMessage, O extends DescMessage>(
  method: DescMethod & { input: I; output: O },
  request: MessageShape<I>,
): Promise<MessageShape<O>> {
  return await new Promise((resolve, reject) => {
    client.makeUnaryRequest(pathOf(method), encode(method.input), decode(method.output), request, (error, answer) => {
      if (error !== null || answer === undefined) reject(error ?? new Error('no answer'));
      else resolve(answer);
    });
  });
}

type Question = MessageShape<typeof ServerReflection.method.serverReflectionInfo.input>['messageRequest'];

async function ask(messageRequest: Question) {
  const { input } = ServerReflection.method.serverReflectionInfo;
  const stream = open(ServerReflection.method.serverReflectionInfo);
  stream.write(create(input, { messageRequest }));
  stream.end();
  for await (const answer of stream)
    return (answer as MessageShape<typeof ServerReflection.method.serverReflectionInfo.output>).messageResponse;
  throw new Error('no answer');
}

test('reflection lists the services and describes each completely', async () => {
  const list = await ask({ case: 'listServices', value: '' });
  const names = list.case === 'listServicesResponse' ? list.value.service.map(({ name }) => name) : [];
  expect(names).toEqual([
    ...['process.Process', 'filesystem.Filesystem', 'soulbox.process.v1.ProcessService'],
    ...['grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection'],
  ]);
  for (const name of names) {
    const answer = await ask({ case: 'fileContainingSymbol', value: name });
    if (answer.case !== 'fileDescriptorResponse') throw new Error(`no file for ${name}`);
    const file = answer.value.fileDescriptorProto
      .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
      .reverse();
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
    expect(registry.getService(name)?.methods.length).toBeGreaterThan(0);
    const again = await ask({ case: 'fileByFilename', value: file.at(-1)?.name ?? '' });
    expect(again).toEqual(answer);
  }
});

test.each<[Question, status]>([
  [{ case: 'fileContainingSymbol', value: 'no.such.Service' }, status.NOT_FOUND],
  [{ case: 'fileByFilename', value: '../../etc/passwd' }, status.NOT_FOUND],
  [{ case: 'allExtensionNumbersOfType', value: 'process.PTY' }, status.NOT_FOUND],
  [{ case: undefined }, status.INVALID_ARGUMENT],
])('the question %o gets an error, and the stream goes on', async (question, errorCode) => {
  expect(await ask(question)).toMatchObject({ case: 'errorResponse', value: { errorCode } });
});

test('reflection also answers by the name that older programs know', async () => {
  const { input, output } = ServerReflection.method.serverReflectionInfo;
  const path = '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo';
  const stream = client.makeBidiStreamRequest(path, encode(input), decode(output));
  stream.write(create(input, { messageRequest: { case: 'listServices', value: '' } }));
  stream.end();
  const [answer] = (await stream.take(1).toArray()) as MessageShape<typeof output>[];
  expect(answer?.messageResponse.case).toBe('listServicesResponse');
});

test('a method described by reflection can be called', async () => {
  const answer = await ask({ case: 'fileContainingSymbol', value: 'soulbox.process.v1.ProcessService.List' });
  if (answer.case !== 'fileDescriptorResponse') throw new Error('no file');
  const file = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes)).reverse();
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
  const method = registry.getService('soulbox.process.v1.ProcessService')?.method['list'];
  if (method === undefined) throw new Error('no method');
  expect(await call(method, create(method.input))).toMatchObject({ $typeName: 'soulbox.process.v1.ListResponse' });
});

test('health tells of each service', async () => {
  const { check, watch } = Health.method;
  for (const service of ['', 'process.Process', 'soulbox.process.v1.ProcessService'])
    expect(await call(check, create(check.input, { service }))).toMatchObject({ status: Status.SERVING });
  await expect(call(check, create(check.input, { service: 'x' }))).rejects.toMatchObject({ code: status.NOT_FOUND });
  const request = create(watch.input, { service: 'x' });
  const stream = client.makeServerStreamRequest(pathOf(watch), encode(watch.input), decode(watch.output), request);
  stream.on('error', () => undefined);
  for await (const answer of stream) {
    expect(answer).toMatchObject({ status: Status.SERVICE_UNKNOWN });
    break;
  }
});

test("gRPC's own client talks to a process, and gets the trailers of an error", async () => {
  const { interact } = ProcessService.method;
  const stream = open(interact);
  const write = (request: MessageShape<typeof InteractRequestSchema>['request']): void =>
    void stream.write(create(interact.input, { request }));
  const { input } = ProcessService.method.start;
  const start = create(input, {
    command: { $typeName: 'soulbox.process.v1.Command', program: 'cat', args: [], env: {}, cwd: '' },
    hasInput: true,
  });
  write({ case: 'start', value: { $typeName: 'soulbox.process.v1.StartAndAttach', start } });
  write({ case: 'input', value: { $typeName: 'soulbox.process.v1.Input', position: 0n, data: Buffer.from('hello') } });
  write({ case: 'closeInput', value: { $typeName: 'soulbox.process.v1.CloseInput' } });
  let text = '';
  let last: string | undefined;
  for await (const message of stream) {
    const { event } = message as MessageShape<typeof InteractResponseSchema>;
    if (event?.event.case === 'output') text += Buffer.from(event.event.value.data).toString();
    last = event?.event.case;
  }
  expect([text, last]).toEqual(['hello', 'ended']);
  const { get } = ProcessService.method;
  const missing = call(get, create(get.input, { processId: 'nobody' }));
  await expect(missing).rejects.toMatchObject({ code: status.NOT_FOUND, details: "No process has the id 'nobody'." });
});
