import { chmodSync, constants, lstatSync, mkdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { openRegular } from '../sys/open-regular.ts';
import { createStatsdListener } from './statsd-listener.ts';
import type { StatsdListener } from './statsd-listener.ts';

/** Metrics of user code, as it wrote them. */
export interface CustomSource {
  /** The name of the file. */
  readonly name: string;
  /** Text in the form of Prometheus; lines beyond the limit are left out. */
  readonly text: string;
  /** Why there is no text, or not all of it. */
  readonly fault?: string;
}

/**
 * Programs write their metrics to files `*.prom` here, or name a port that serves them in a file `*.port`: `9100`, or
 * `9100/path`. A file `*.statsd` names a port on which envd itself takes StatsD.
 */
export const customDirectory = '/run/soulbox/metrics';

const sourcesMax = 32;
const sourceMaxBytes = 65_536;
/** Limit of the text of all sources together. */
const totalMaxBytes = 262_144;
const portFileMaxBytes = 512;
/** A program that does not answer delays the others. */
const portTimeoutMs = 1000;

/** Every user may add files and remove their own, as in /tmp. Never throws. */
export function createCustomDirectory(directory = customDirectory): void {
  try {
    mkdirSync(directory, { recursive: true });
    // The folder may be of an earlier life, in which root replaced it by a link.
    if (lstatSync(directory).isDirectory()) chmodSync(directory, 0o1777);
  } catch {
    // Without the folder there are no metrics of user code.
  }
}

/** What programs report now. Never throws for what user code has done. */
export async function readCustomSources(
  directory = customDirectory,
  statsd: StatsdListener = createStatsdListener(),
): Promise<CustomSource[]> {
  const names = (await readdir(directory).catch(() => [] as string[])).sort();
  const known = names.filter((name) => /^[\w.-]{1,64}\.(?:prom|port|statsd)$/.test(name)).slice(0, sourcesMax);
  const portFiles = await Promise.all(
    known.filter((name) => name.endsWith('.statsd')).map(async (name) => await readPortFile(directory, name)),
  );
  if (portFiles.length === 0) statsd.close();
  // Any user can add a file. It does not close the port of another one, and neither does a program that writes its own
  // file just now.
  const inUse =
    portFiles.find(({ port }) => port !== undefined && port === statsd.port) ??
    portFiles.find(({ port }) => port !== undefined) ??
    portFiles[0];
  const sources = await Promise.all(
    known.map(async (name) => {
      const path = join(directory, name);
      try {
        if (name.endsWith('.prom')) return { name, ...(await readText(path, sourceMaxBytes)) };
        if (name.endsWith('.port')) return { name, ...(await askPort(path)) };
        const portFile = portFiles.find((one) => one.name === name);
        if (portFile === inUse) return { name, ...(await readStatsd(statsd, portFile)) };
        return { name, text: '', fault: portFile?.fault ?? `Only ${inUse?.name} is used.` };
      } catch (error) {
        return { name, text: '', fault: faultFrom(error) };
      }
    }),
  );
  let left = totalMaxBytes;
  return sources.map((source) => {
    const isCut = Buffer.byteLength(source.text) > left;
    const text = isCut ? '' : source.text;
    left -= Buffer.byteLength(text);
    return isCut ? { ...source, text, fault: `All files together have more than ${totalMaxBytes} bytes.` } : source;
  });
}

/** An error of the file system has a code, such as ELOOP for a link. */
function faultFrom(error: unknown): string {
  if (error instanceof SoulBoxError) return error.message;
  return `The file could not be read (${isNodeError(error) ? (error.code ?? 'unknown') : 'unknown'}).`;
}

type Text = Pick<CustomSource, 'text' | 'fault'>;

async function readText(path: string, maxBytes: number): Promise<Text> {
  // envd is root: it must not follow a link to a file that its author cannot read.
  const { file } = await openRegular(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  await using opened = file;
  const { bytesRead, buffer } = await opened.read(Buffer.alloc(maxBytes + 1), 0, maxBytes + 1, 0);
  return wholeLines(buffer.subarray(0, bytesRead), maxBytes);
}

/** A longer text ends after the last line that fits. */
function wholeLines(bytes: Buffer, maxBytes: number): Text {
  if (bytes.length <= maxBytes) return { text: bytes.toString('utf8') };
  const end = bytes.subarray(0, maxBytes).lastIndexOf('\n') + 1;
  return { text: bytes.subarray(0, end).toString('utf8'), fault: `More than ${maxBytes} bytes.` };
}

async function askPort(path: string): Promise<Text> {
  const { text } = await readText(path, portFileMaxBytes);
  const [, port = '', target = '/metrics'] = /^(\d{1,5})(\/[\x21-\x7e]{0,255})?$/.exec(text.trim()) ?? [];
  if (port === '' || Number(port) < 1 || Number(port) > 65_535)
    throw new SoulBoxError('bad_request', 'The file must contain a port, or a port and a path, such as 9100/metrics.');
  return await get(Number(port), target);
}

interface PortFile {
  readonly name: string;
  readonly port?: number;
  /** Why it names no port. */
  readonly fault?: string;
}

async function readPortFile(directory: string, name: string): Promise<PortFile> {
  try {
    const text = (await readText(join(directory, name), portFileMaxBytes)).text.trim();
    if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return { name, port: Number(text) };
    return { name, fault: 'The file must contain a port, such as 8125.' };
  } catch (error) {
    return { name, fault: faultFrom(error) };
  }
}

async function readStatsd(statsd: StatsdListener, { port, fault }: PortFile = { name: '' }): Promise<Text> {
  if (port !== undefined) await statsd.listen(port);
  const { text, refused, isFlooded } = statsd.read();
  const faults = [
    ...(fault === undefined ? [] : [fault]),
    ...(refused === 0 ? [] : [`${refused} lines were not valid, or beyond a limit.`]),
    ...(isFlooded ? ['Datagrams were dropped, because too many came within a second.'] : []),
  ];
  const cut = wholeLines(Buffer.from(text), sourceMaxBytes);
  return { ...cut, ...(faults.length === 0 ? {} : { fault: faults.join(' ') }) };
}

/** Follows no redirect. What arrives late or is too long is not read. */
async function get(port: number, path: string): Promise<Text> {
  return await new Promise((resolve, reject) => {
    const refuse = (message: string): void => {
      reject(new SoulBoxError('bad_request', message));
      outgoing.destroy();
    };
    const timer = setTimeout(() => refuse(`Port ${port} did not answer within ${portTimeoutMs} ms.`), portTimeoutMs);
    const outgoing = request({
      ...{ host: '127.0.0.1', port, path, agent: false, maxHeaderSize: 16_384 },
      headers: { accept: 'text/plain; version=0.0.4', 'accept-encoding': 'identity' },
    });
    outgoing.on('error', () => refuse(`Port ${port} did not answer with HTTP.`));
    outgoing.on('close', () => clearTimeout(timer));
    outgoing.on('response', (response) => {
      if (response.statusCode !== 200) {
        refuse(`Port ${port} answered with status ${response.statusCode ?? 0}.`);
        return;
      }
      const pieces: Buffer[] = [];
      let size = 0;
      const finish = (): void => {
        clearTimeout(timer);
        resolve(wholeLines(Buffer.concat(pieces), sourceMaxBytes));
        outgoing.destroy();
      };
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        size += piece.length;
        if (size > sourceMaxBytes) finish();
      });
      response.on('end', finish);
      response.on('error', () => refuse(`Port ${port} ended its answer too early.`));
    });
    outgoing.end();
  });
}
