export { addRoutingRoutes } from './serve-routing.ts';
export { createRouteFeed } from './route-feed.ts';
export type { RouteFeed } from './route-feed.ts';
export type { RouteSource } from './route-source.ts';
export { connectRouting } from './remote-router.ts';
export type { RemoteRouter } from './remote-router.ts';
