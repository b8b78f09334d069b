export { createInterceptor } from './interceptor.ts';
export { openTrust } from './upstream-tls.ts';
