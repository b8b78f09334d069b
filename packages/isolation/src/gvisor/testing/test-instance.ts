/** The instance number of this room's tests; no server of a developer should have it. */
export const testInstance = 9;
