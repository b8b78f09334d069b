/**
 * How long a client may continue to send a body after its answer was sent. If the connection closed at once, the kernel
 * would send a reset, which can overtake the answer itself (RFC 9112, section 9.6).
 */
export const lingeringCloseMs = 2000;
