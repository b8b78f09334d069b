export { readDefaultApiKey, readMetricsToken } from '@soulbox/control/credentials';
