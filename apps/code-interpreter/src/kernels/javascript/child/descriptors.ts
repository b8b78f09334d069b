/** Input for requests, one line of JSON each. */
export const requestsFd = 3;
/** Output for replies, one line of JSON each. */
export const repliesFd = 4;
/** Input with one byte for each interrupt request. */
export const interruptsFd = 5;
