import type { ServiceImpl } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { ProcessService } from '@soulbox/contract/process-v1';
import type { ManagedProcess } from '../process/managed-process.ts';
import type { ProcessContext } from '../process/start-process.ts';
import { describeInput, describeLog, describeProcess } from './describe-process.ts';
import type { OpenStreams } from './follow.ts';
import { follow, parseFrom, parseKeepalive } from './follow.ts';
import { interact } from './interact.ts';
import { outputsBeside } from './output-frames.ts';
import { closeInput, resize, sendSignal, writeInput } from './process-calls.ts';
import { run } from './run.ts';
import type { StreamContext } from './start.ts';
import { startOnce } from './start.ts';
import { createWakeUp } from './wake-up.ts';

const defaultWaitMs = 30_000;
const maxWaitMs = 300_000;
/** Of Forget. */
const maxAfterSeconds = 600;

/** The service soulbox.process.v1.ProcessService. docs/protocol.md explains it. */
export function streamService(process: ProcessContext): ServiceImpl<typeof ProcessService> {
  const streams: OpenStreams = { count: 0 };
  const getProcess = (id: string): ManagedProcess => {
    const found = process.processes.findById(id);
    if (found === undefined) throw new SoulBoxError('process_not_found', `No process has the id '${id}'.`);
    return found;
  };
  const context: StreamContext = { process, getProcess };
  return {
    interact: (requests, call) => interact(context, streams, requests, call),

    start: (request, call) => ({ process: describeProcess(startOnce(context, request, call)) }),

    run: (request, call) => run(context, streams, request, call),

    async *attach({ processId, from, options }, { signal, values }) {
      const beside = values.get(outputsBeside);
      const follows = { start: parseFrom(from), keepaliveMs: parseKeepalive(options), signal, beside };
      for await (const event of follow(getProcess(processId), streams, follows)) yield { event };
    },

    async write({ processId, writer, input }, call) {
      const target = getProcess(processId);
      await writeInput(target, writer, input, call.signal);
      return { input: describeInput(target, writer) };
    },

    async closeInput({ processId }) {
      await closeInput(getProcess(processId));
      return {};
    },

    resize({ processId, size }) {
      resize(getProcess(processId), size);
      return {};
    },

    signal({ processId, signal }) {
      sendSignal(getProcess(processId), signal);
      return {};
    },

    acknowledge({ processId, position }) {
      const { log } = getProcess(processId);
      log.acknowledge(Number(position));
      return { log: describeLog(log) };
    },

    list: () => ({ processes: process.processes.all().map(describeProcess) }),

    get: ({ processId }) => ({ process: describeProcess(getProcess(processId)) }),

    async wait({ processId, maxWaitMs: asked }, call) {
      if (asked > maxWaitMs) throw new SoulBoxError('bad_request', `max_wait_ms must be at most ${maxWaitMs}.`);
      const target = getProcess(processId);
      await waitForEnd(target, asked === 0 ? defaultWaitMs : asked, call.signal);
      return { process: describeProcess(target) };
    },

    forget({ processId, afterSeconds }) {
      if (afterSeconds > maxAfterSeconds)
        throw new SoulBoxError('bad_request', `after_seconds must be at most ${maxAfterSeconds}.`);
      const target = process.processes.findById(processId);
      if (target !== undefined && target.ended === undefined)
        throw new SoulBoxError('process_not_ready', 'The process has not ended yet. Signal it first.');
      if (target !== undefined) process.processes.forget(target, afterSeconds * 1000);
      return {};
    },
  };
}

async function waitForEnd({ log }: ManagedProcess, waitMs: number, signal: AbortSignal): Promise<void> {
  const wakeUp = createWakeUp();
  const deadline = performance.now() + waitMs;
  signal.addEventListener('abort', wakeUp.ring);
  log.listeners.add(wakeUp.ring);
  try {
    while (!log.isClosed && performance.now() < deadline) {
      signal.throwIfAborted();
      await wakeUp.wait(deadline - performance.now());
    }
  } finally {
    log.listeners.delete(wakeUp.ring);
    signal.removeEventListener('abort', wakeUp.ring);
  }
}
