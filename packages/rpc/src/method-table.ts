import type { DescMethod, DescService } from '@bufbuild/protobuf';
import type { ConnectRouter, MethodImpl, MethodImplSpec, ServiceImpl } from '@connectrpc/connect';
import type { SpanAttributes } from '@soulbox/base';
import { createMethodImplSpec, createServiceImplSpec } from '@connectrpc/connect';

/** The methods of a door by path: `/<service>/<method>`. */
export type MethodTable = ReadonlyMap<string, MethodImplSpec>;

/** Collects what the routes of Connect implement, without Connect's HTTP handlers around it. */
export function createMethodTable(addRoutes: (router: ConnectRouter) => void): MethodTable {
  const table = new Map<string, MethodImplSpec>();
  const add = (spec: MethodImplSpec): void => {
    table.set(pathOf(spec.method), spec);
  };
  const router: ConnectRouter = {
    handlers: [],
    service<Service extends DescService>(service: Service, implementation: Partial<ServiceImpl<Service>>) {
      for (const spec of Object.values(createServiceImplSpec(service, implementation).methods)) add(spec);
      return router;
    },
    rpc<Method extends DescMethod>(method: Method, implementation: MethodImpl<Method>) {
      add(createMethodImplSpec(method, implementation));
      return router;
    },
  };
  addRoutes(router);
  return table;
}

/** The path by which both sides name a method. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** The span of a call, by OpenTelemetry's conventions for RPC. */
export function spanOf(method: DescMethod): { readonly name: string; readonly attributes: SpanAttributes } {
  const { parent, name } = method;
  return {
    name: `${parent.typeName}/${name}`,
    attributes: { 'rpc.system': 'connect_rpc', 'rpc.service': parent.typeName, 'rpc.method': name },
  };
}
