export { addRoutingRoutes, createRouteFeed } from './serve-routing.ts';
export type { RouteFeed, RouteSource } from './serve-routing.ts';
export { connectRouting } from './remote-router.ts';
export type { RemoteRouter } from './remote-router.ts';
