import { isNetwork } from '@soulbox/network/outside';

const hostForm = /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Whether text is valid in `SOULBOX_WEBHOOK_ALLOW_PRIVATE`: a host name, an address, or a CIDR network. */
export function isPrivateTarget(text: string): boolean {
  return isNetwork(text) || (text.length <= 253 && hostForm.test(text));
}
