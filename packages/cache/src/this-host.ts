/** Whether a host name is that of the loopback interface, so that nobody is on the way. */
export function isOnThisHost(host: string): boolean {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/.test(host);
}
