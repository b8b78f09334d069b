import type { DescService } from '@bufbuild/protobuf';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import type { ConnectNodeAdapterOptions } from '@connectrpc/connect-node';
import { Health } from '@soulbox/contract/grpc-health';
import { ServerReflection } from '@soulbox/contract/grpc-reflection';
import { healthService } from './health-service.ts';
import { reflectionService } from './reflection-service.ts';

/** Serves gRPC's health and reflection, which tell of themselves and of `others`. */
export function createIntrospectionHandler(
  others: readonly DescService[],
  common: Omit<ConnectNodeAdapterOptions, 'routes'>,
): ReturnType<typeof connectNodeAdapter> {
  const services = [...others, Health, ServerReflection];
  return connectNodeAdapter({
    ...common,
    routes: (router) => {
      router.service(Health, healthService(services));
      router.service(ServerReflection, reflectionService(services));
    },
  });
}
