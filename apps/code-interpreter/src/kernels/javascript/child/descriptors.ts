/** Requests come in on it, one line of JSON each. */
export const requestsFd = 3;
/** Replies go out on it, one line of JSON each. */
export const repliesFd = 4;
/** One byte for each request that is an interrupt. */
export const interruptsFd = 5;
