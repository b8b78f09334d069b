import type { Answer, DecodedPacket } from 'dns-packet';
import { afterAll, beforeEach } from 'vitest';
import { addressRecord } from './dns-stand-in.ts';
import { openLoopbackLab } from './loopback-lab.ts';
import type { LoopbackLab } from './loopback-lab.ts';

let last = 0;
/** Names are kept for a while, so each test asks for its own. */
export const newName = (): string => `n${(last += 1)}.example.com`;
export const newSandbox = (): string => `127.12.0.${(last += 1)}`;
/** The address of a sandbox that may reach everything. */
export const open = '127.12.1.1';

/** A lab for a test file, whose name server knows an address of every name until a test says otherwise. */
export async function useResolverLab(): Promise<LoopbackLab> {
  const lab = await openLoopbackLab();
  afterAll(async () => await lab[Symbol.asyncDispose]());
  await lab.setPolicy(open, { limits: { bytes: 1_000_000n } });
  beforeEach(() => {
    lab.dns.behave = ({ name }) => ({ answers: [addressRecord(name, '127.50.0.1')] });
  });
  return lab;
}

export const data = (reply: DecodedPacket): unknown[] =>
  (reply.answers ?? []).map((record) => ('data' in record ? record.data : undefined));
export const cname = (name: string, target: string): Answer => ({ type: 'CNAME', name, data: target, ttl: 60 });
