import { Secret } from '@soulbox/base';
import type { SandboxRoute } from '@soulbox/contract';
import type { Route } from '@soulbox/contract/routing';

type RouteFields = Omit<Route, '$typeName' | '$unknown'>;

export function routeToMessage(route: SandboxRoute): RouteFields {
  return {
    sandboxId: route.sandboxId,
    trafficAccessToken: route.trafficAccessToken?.reveal() ?? '',
    envdAccessToken: route.envdAccessToken?.reveal() ?? '',
    maskRequestHost: route.maskRequestHost ?? '',
    isRunning: route.state === 'running',
    autoResume: route.autoResume,
    comesBack: route.comesBack,
    waitsForRoom: route.waitsForRoom,
    countsVisits: route.countsVisits,
    httpsPorts: [...route.httpsPorts],
  };
}

export function routeFromMessage(message: Route): SandboxRoute {
  const { sandboxId, trafficAccessToken, envdAccessToken, maskRequestHost } = message;
  const { autoResume, comesBack, waitsForRoom, countsVisits, httpsPorts } = message;
  return {
    sandboxId,
    trafficAccessToken: trafficAccessToken === '' ? undefined : new Secret(trafficAccessToken),
    envdAccessToken: envdAccessToken === '' ? undefined : new Secret(envdAccessToken),
    maskRequestHost: maskRequestHost === '' ? undefined : maskRequestHost,
    state: message.isRunning ? 'running' : 'paused',
    autoResume,
    comesBack,
    waitsForRoom,
    countsVisits,
    httpsPorts,
  };
}
