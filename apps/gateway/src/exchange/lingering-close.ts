/**
 * How long a client may go on sending a body after the answer to it left. Closing at once would make the kernel
 * answer with a reset, which can overtake the answer itself (RFC 9112, section 9.6).
 */
export const lingeringCloseMs = 2000;
