// Not in the room's index, because Connect takes long to load, and most users of the contract need no errors of it.
export { connectErrorFromError } from './error-to-connect.ts';
export { errorFromConnect } from './error-from-connect.ts';
