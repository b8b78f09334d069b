export { createDrivers } from '@soulbox/runner/drivers';
