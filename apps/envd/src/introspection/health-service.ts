import { once } from 'node:events';
import type { DescService } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Health } from '@soulbox/contract/grpc-health';
import { HealthCheckResponse_ServingStatus as Status } from '@soulbox/contract/grpc-health';

/** The service grpc.health.v1.Health. A service of envd can be called as long as envd runs. */
export function healthService(services: readonly DescService[]): ServiceImpl<typeof Health> {
  const isKnown = (name: string): boolean => name === '' || services.some(({ typeName }) => typeName === name);
  return {
    check({ service }) {
      if (!isKnown(service)) throw new ConnectError(`There is no service '${service}'.`, Code.NotFound);
      return { status: Status.SERVING };
    },
    async *watch({ service }, { signal }) {
      yield { status: isKnown(service) ? Status.SERVING : Status.SERVICE_UNKNOWN };
      if (!signal.aborted) await once(signal, 'abort');
    },
  };
}
