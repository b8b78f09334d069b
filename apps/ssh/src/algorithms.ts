import type { Algorithms } from 'ssh2';

/**
 * What OpenSSH prefers and Node's OpenSSL computes. Without: what is weak, exchanges of keys that cost much before anybody
 * has signed in (`group-exchange`), the cipher that the library computes in JavaScript (`chacha20-poly1305`), and
 * compression, which would unpack what strangers send.
 */
export const algorithms: Algorithms = {
  kex: [
    ...['curve25519-sha256', 'curve25519-sha256@libssh.org'],
    ...(['ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521'] as const),
  ] as NonNullable<Algorithms['kex']>,
  serverHostKey: ['ssh-ed25519'],
  cipher: [
    ...['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr'],
  ] as NonNullable<Algorithms['cipher']>,
  hmac: [
    'hmac-sha2-256-etm@openssh.com',
    'hmac-sha2-512-etm@openssh.com',
    'hmac-sha2-256',
    'hmac-sha2-512',
  ] as NonNullable<Algorithms['hmac']>,
  compress: ['none'],
};
