/** @module-tag violation */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sanitise } from '../sanitise.ts';
import { leafOf, recordOfLeaf } from '../record.ts';
import type { AuditDraft, AuditRecord } from '../record.ts';
import { cefKeys, ecsFields, ecsTypes, ecsValues, ocsfClasses, ocsfObjects } from '../testing/published-schemas.ts';
import { draftOf, positionOf } from '../testing/test-log.ts';
import { formatRecord } from './formats.ts';
import type { ExportFormat } from './formats.ts';

const context = { version: '0.1.0', origin: 'soulbox.example/audit/team' };

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Every kind of record, with and without each optional part. */
function allKinds(): AuditRecord[] {
  const { request, source, result, ...bare } = draftOf();
  const actions = ['create', 'run', 'kill', 'pause', 'use', 'list', 'sign-in', 'erase', 'heartbeat'];
  const kinds = ['sandbox', 'key', 'subject', 'secret', 'log'];
  const parts: Partial<AuditDraft>[] = [
    {},
    { request },
    { request, source },
    { request, source: {} },
    { source, result },
    { request, source, result },
    { request, source, result: { status: 'failure', code: 404 }, class: 'security' },
  ];
  const drafts = kinds.flatMap((kind) =>
    actions.flatMap((verb) =>
      ['', 'i0000000000000000001'].flatMap((id) =>
        parts.flatMap((part) =>
          (['admitted', 'outcome'] as const).map((stage) => ({
            ...bare,
            ...part,
            ...{ stage, action: `${kind}.${verb}`, target: { ...bare.target, kind, id } },
          })),
        ),
      ),
    ),
  );
  return drafts.map((draft, seq) => recordOfLeaf(leafOf(sanitise(draft), positionOf(seq))));
}

const records = allKinds();
const parsed = (format: ExportFormat): Json[] =>
  records.map((record) => JSON.parse(formatRecord(record, format, context)) as Json);

describe('OCSF 1.5', () => {
  const faultsOf = (value: Json, schema: (typeof ocsfObjects)[string] | undefined, path: string): string[] => {
    if (schema === undefined) return [`${path}: not described`];
    const known = new Set([...(schema.required ?? []), ...schema.optional]);
    const has = (name: string): boolean => value[name] !== undefined && value[name] !== '';
    return [
      ...Object.keys(value)
        .filter((name) => !known.has(name))
        .map((name) => `${path}.${name}: unknown`),
      ...Object.keys(value)
        .filter((name) => !has(name))
        .map((name) => `${path}.${name}: empty`),
      ...(schema.required ?? []).filter((name) => !has(name)).map((name) => `${path}.${name}: missing`),
      ...(schema.atLeastOne === undefined || schema.atLeastOne.some(has)
        ? []
        : [`${path}: one of ${schema.atLeastOne.join()}`]),
      ...Object.entries(schema.values ?? {}).flatMap(([name, allowed]) =>
        !has(name) || allowed.includes(value[name] as never) ? [] : [`${path}.${name}: ${String(value[name])}`],
      ),
      ...Object.entries(value).flatMap(([name, member]) => {
        if (name === 'unmapped') return [];
        const objects = (Array.isArray(member) ? member : [member]).filter(isObject);
        return objects.flatMap((object) => faultsOf(object, ocsfObjects[name], `${path}.${name}`));
      }),
    ];
  };
  const faultsOfEvent = (event: Json): string[] => {
    const schema = ocsfClasses[Number(event['class_uid'])];
    if (schema === undefined) return ['class_uid: not described'];
    const [classUid, activityId] = [Number(event['class_uid']), Number(event['activity_id'])];
    return [
      ...faultsOf(event, schema, 'event'),
      ...(event['category_uid'] === schema.category ? [] : ['category_uid']),
      ...(event['type_uid'] === classUid * 100 + activityId ? [] : ['type_uid']),
      ...(Number.isSafeInteger(event['time']) ? [] : ['time']),
    ];
  };

  test('every event has the members, values and numbers that its class has, and no others', () => {
    const events = parsed('ocsf');
    expect(new Set(events.flatMap(faultsOfEvent))).toEqual(new Set());
    expect(new Set(events.map((event) => event['class_uid']))).toEqual(new Set([1007, 3004, 6003]));
  });

  test.each<[string, string, (event: Record<string, unknown>) => void]>([
    ['a member of another class', 'event.entity: unknown', (event) => (event['entity'] = { uid: 'x' })],
    ['a missing member', 'event.api: missing', (event) => delete event['api']],
    ['an endpoint without identity', 'event.src_endpoint: one of', (event) => (event['src_endpoint'] = { type_id: 0 })],
    ['a wrong type', 'type_uid', (event) => (event['type_uid'] = 600_302)],
    ['a wrong category', 'category_uid', (event) => (event['category_uid'] = 3)],
    ['an activity that the class does not have', 'event.activity_id: 7', (event) => (event['activity_id'] = 7)],
    ['a deprecated member', 'event.actor.invoked_by: unknown', (event) => (event['actor'] = { invoked_by: 'x' })],
    ['an empty member', 'event.message: empty', (event) => (event['message'] = '')],
  ])('%s would be found', (_, fault, damage) => {
    const event = { ...parsed('ocsf').find(({ class_uid }) => class_uid === 6003) };
    damage(event);
    expect(faultsOfEvent(event).join()).toContain(fault);
  });
});

describe('ECS 9', () => {
  const leaves = (value: Json, path = ''): [string, unknown][] =>
    Object.entries(value).flatMap(([name, member]) =>
      isObject(member) ? leaves(member, `${path}${name}.`) : [[path + name, member] as [string, unknown]],
    );
  const isOfType: Readonly<Record<(typeof ecsFields)[string], (value: unknown) => boolean>> = {
    text: (value) => typeof value === 'string' && value !== '',
    number: (value) => Number.isSafeInteger(value),
    date: (value) => typeof value === 'string' && new Date(value).toISOString() === value,
    texts: (value) => Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string'),
  };

  test('every event has only fields of ECS, of their types, and the required ones', () => {
    for (const { soulbox, ...event } of parsed('ecs')) {
      expect(soulbox).toHaveProperty('audit.seq');
      const all = leaves(event);
      for (const [field, value] of all) {
        const type = ecsFields[field];
        expect(type !== undefined && isOfType[type](value), `${field}: ${JSON.stringify(value)}`).toBe(true);
      }
      expect(all.map(([field]) => field)).toEqual(expect.arrayContaining(['@timestamp', 'ecs.version']));
    }
  });

  test('every event is categorized with allowed values that belong together', () => {
    const seen = new Set<string>();
    for (const { event } of parsed('ecs')) {
      const { kind, outcome, category, type } = event as Json;
      expect(ecsValues.kind).toContain(kind);
      expect(ecsValues.outcome).toContain(outcome);
      for (const one of category as string[]) {
        seen.add(one);
        expect(ecsTypes[one]).toEqual(expect.arrayContaining(type as string[]));
      }
    }
    expect(seen).toEqual(new Set(Object.keys(ecsTypes)));
  });
});

/** A reader of CEF: the seven fields of the header, and the extension. */
function readCef(line: string): { header: string[]; extension: Map<string, string> } {
  const [, head = '', rest = ''] = /^CEF:((?:[^\\|]|\\[\\|])*(?:\|(?:[^\\|]|\\[\\|])*){6})\|(.*)$/.exec(line) ?? [];
  const header = head.split(/(?<=(?:^|[^\\])(?:\\\\)*)\|/).map((field) => field.replaceAll(/\\([\\|])/g, '$1'));
  const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r' };
  const pairs = [...rest.matchAll(/(?:^| )([A-Za-z0-9]+)=((?:[^\\=]|\\[\\=nr])*)(?=$| [A-Za-z0-9]+=)/g)];
  const extension = new Map(
    pairs.map(([, name = '', value = '']) => [
      name,
      value.replaceAll(/\\(.)/g, (_, char: string) => escapes[char] ?? char),
    ]),
  );
  return { header, extension };
}

describe('CEF', () => {
  test('every line has seven fields before the extension, keys of the dictionary, and values that fit', () => {
    for (const record of records) {
      const { header, extension } = readCef(formatRecord(record, 'cef', context));
      expect(header).toHaveLength(7);
      expect(header[0]).toBe('0');
      expect(header[4]).toBe(record.action);
      expect(Number(header[6])).toBeGreaterThanOrEqual(0);
      expect(Number(header[6])).toBeLessThanOrEqual(10);
      for (const [key, value] of extension) {
        const limit = cefKeys[key];
        expect(limit, key).toBeDefined();
        if (typeof limit === 'number') expect(value.length, key).toBeLessThanOrEqual(limit);
        else expect(value, key).toMatch(/^\d{1,16}$/);
        if (/^c[sn]\d$/.test(key)) expect(extension.get(`${key}Label`), key).toBeDefined();
      }
      expect(extension.get('externalId')).toBe(record.id);
    }
  });

  test('whatever a record contains, a reader gets it back, in one line', () => {
    const [first] = records;
    const text = fc.array(fc.constantFrom('|', '\\', '=', ' ', '\n', '\r', 'a', 'cs1', 'act=', '\\n'), {
      minLength: 1,
    });
    fc.assert(
      fc.property(text, text, (one, other) => {
        const [id, agent] = [`x${one.join('')}x`, `x${other.join('')}x`];
        const record = { ...(first as AuditRecord), source: { agent }, target: { kind: 'x', id, team: 't' } };
        const line = formatRecord(record, 'cef', context);
        expect(line).not.toMatch(/[\r\n]/);
        const { extension } = readCef(line);
        expect(extension.get('duid')).toBe(id);
        expect(extension.get('requestClientApplication')).toBe(agent);
        expect(extension.get('act')).toBe(record.action);
      }),
    );
  });
});

describe('CloudEvents 1.0', () => {
  test('every event has the required attributes, with names and values of their forms', () => {
    for (const { data, ...event } of parsed('cloudevents')) {
      expect(data).toHaveProperty('seq');
      expect(event['specversion']).toBe('1.0');
      for (const [name, value] of Object.entries(event)) {
        expect(name).toMatch(/^[a-z0-9]{1,20}$/);
        expect(typeof value, name).toBe('string');
        expect(value, name).not.toBe('');
      }
      for (const name of ['id', 'source', 'type']) expect(event).toHaveProperty(name);
      expect(new URL(event['source'] as string, 'https://base.example').href).toContain('soulbox.example/audit/team');
      expect(event['type']).toMatch(/^[a-z]+(?:\.[a-z-]+)+$/);
      expect(event['time']).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
      expect(event['datacontenttype']).toBe('application/json');
    }
  });

  test('id and source name one record, and sequence sorts as text', () => {
    const made = records.map((record, seq) => ({
      ...record,
      id: `0193a5b0-0000-7000-8000-${String(seq).padStart(12, '0')}`,
    }));
    const events = made.map((record) => JSON.parse(formatRecord(record, 'cloudevents', context)) as Json);
    expect(new Set(events.map(({ source, id }) => `${String(source)} ${String(id)}`)).size).toBe(records.length);
    const sequences = events.map(({ sequence }) => String(sequence));
    expect(sequences.toSorted()).toEqual(sequences);
    const elsewhere = JSON.parse(
      formatRecord(records[0] as AuditRecord, 'cloudevents', { ...context, origin: 'o' }),
    ) as Json;
    expect(elsewhere['source']).not.toBe(events[0]?.['source']);
  });
});
