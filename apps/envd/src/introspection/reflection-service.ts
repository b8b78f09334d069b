import { create, toBinary } from '@bufbuild/protobuf';
import type { DescFile, DescService, MessageInitShape } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import type { ServiceImpl } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { ServerReflection, ServerReflectionRequest } from '@soulbox/contract/grpc-reflection';
import { ServerReflectionRequestSchema, ServerReflectionResponseSchema } from '@soulbox/contract/grpc-reflection';

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']>;

/** Requests of one stream. A client asks once for each file. */
const maxRequests = 1000;

/** The service grpc.reflection.v1.ServerReflection: programs such as grpcurl learn the services from it. */
export function reflectionService(services: readonly DescService[]): ServiceImpl<typeof ServerReflection> {
  const files = new Map<string, DescFile>();
  for (const { file } of services) addFile(files, file);
  return {
    async *serverReflectionInfo(requests) {
      let count = 0;
      for await (const request of requests) {
        count += 1;
        if (count > maxRequests)
          throw new SoulBoxError('limit_exceeded', `A stream can have at most ${maxRequests} requests.`);
        yield create(ServerReflectionResponseSchema, {
          validHost: request.host,
          originalRequest: create(ServerReflectionRequestSchema, request),
          messageResponse: answer(services, files, request),
        });
      }
    },
  };
}

function addFile(files: Map<string, DescFile>, file: DescFile): void {
  files.set(`${file.name}.proto`, file);
  for (const dependency of file.dependencies) addFile(files, dependency);
}

function answer(
  services: readonly DescService[],
  files: ReadonlyMap<string, DescFile>,
  { messageRequest: request }: ServerReflectionRequest,
): Answer {
  switch (request.case) {
    case 'listServices':
      return {
        case: 'listServicesResponse',
        value: { service: services.map(({ typeName }) => ({ name: typeName })) },
      };
    case 'fileByFilename':
      return fileAnswer(files.get(request.value), request.value);
    case 'fileContainingSymbol': {
      const found = [...files.values()].find((file) => declares(file, request.value));
      return fileAnswer(found, request.value);
    }
    case 'allExtensionNumbersOfType':
    case 'fileContainingExtension':
      return errorAnswer(Code.NotFound, 'The services have no extensions.');
    case undefined:
      return errorAnswer(Code.InvalidArgument, 'The request does not ask for anything that this version knows.');
  }
}

/** Whether the file declares a service, a method, a message, a field or an enum of this name. */
function declares(file: DescFile, symbol: string): boolean {
  const parents = [...file.services, ...file.messages, ...file.enums];
  return parents.some(({ typeName }) => symbol === typeName || symbol.startsWith(`${typeName}.`));
}

function fileAnswer(file: DescFile | undefined, name: string): Answer {
  if (file === undefined) return errorAnswer(Code.NotFound, `There is no '${name}'.`);
  const needed = new Map<string, DescFile>();
  addFile(needed, file);
  const fileDescriptorProto = [...needed.values()].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function errorAnswer(errorCode: Code, errorMessage: string): Answer {
  return { case: 'errorResponse', value: { errorCode, errorMessage } };
}
