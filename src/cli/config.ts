import { parseArgs } from 'node:util';
import { configJsonSchema } from '../topology/config-schema.ts';
import { type Command, EXIT, UsageError } from './command.ts';

export const configCommand: Command = {
  summary: 'print every setting with its default, or the JSON schema for editors',
  help: `Usage: shardgate config --defaults | --schema

  --defaults   every setting of shards.yaml with its default and what it means
  --schema     the JSON schema, for editors that check YAML while you type`,
  async run(args, terminal) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        defaults: { type: 'boolean', default: false },
        schema: { type: 'boolean', default: false },
      },
    });
    if (values.defaults === values.schema) throw new UsageError('say --defaults or --schema');
    if (values.schema) terminal.out(JSON.stringify(configJsonSchema(), null, 2));
    else terminal.out(describeSettings().join('\n'));
    return EXIT.ok;
  },
};

/** As much of a JSON schema as describes a setting. */
interface Setting {
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Setting>>;
  readonly additionalProperties?: Setting | boolean;
  readonly items?: Setting;
  readonly anyOf?: readonly Setting[];
  readonly oneOf?: readonly Setting[];
}

/** One line a setting: `path: default  # meaning (bounds)`. Names that the operator chooses stand as `*`. */
export function describeSettings(): readonly string[] {
  const lines = new Map<string, Line>();
  for (const [path, line] of walk(configJsonSchema() as Setting, '', false)) {
    const before = lines.get(path)?.value ?? line.value;
    // A setting of several branches, such as the `type` of a strategy, has a value in each.
    const value = before === line.value ? before : `${before} | ${line.value}`;
    lines.set(path, { value, meaning: line.meaning });
  }
  const entries = [...lines].filter(([, line]) => line.value !== '' || line.meaning !== '');
  const width = Math.max(...entries.map(([path, { value }]) => path.length + value.length + 2));
  return entries.map(([path, { value, meaning }]) => {
    const left = `${path}: ${value}`;
    return meaning === '' ? left.trimEnd() : `${left.padEnd(width)}  # ${meaning}`;
  });
}

interface Line {
  readonly value: string;
  readonly meaning: string;
}

function* walk(setting: Setting, path: string, isRequired: boolean): Generator<[string, Line]> {
  const isLeaf = [setting.properties, setting.items, setting.anyOf, setting.oneOf].every(
    (inner) => inner === undefined,
  );
  if (path !== '' && (isLeaf || setting.description !== undefined)) {
    yield [path, { value: defaultOf(setting), meaning: meaningOf(setting, isRequired) }];
  }
  for (const [name, inner] of Object.entries(setting.properties ?? {})) {
    const below = path === '' ? name : `${path}.${name}`;
    yield* walk(inner, below, setting.required?.includes(name) ?? false);
  }
  if (typeof setting.additionalProperties === 'object') {
    yield* walk(setting.additionalProperties, `${path}.*`, false);
  }
  if (setting.items !== undefined) yield* walk(setting.items, `${path}[]`, false);
  for (const branch of [...(setting.anyOf ?? []), ...(setting.oneOf ?? [])]) {
    yield* walk(
      { ...branch, ...(path.endsWith('*') ? {} : { description: '' }) },
      path,
      isRequired,
    );
  }
}

function defaultOf(setting: Setting): string {
  if (setting.default !== undefined) return JSON.stringify(setting.default);
  return setting.const === undefined ? '' : String(setting.const);
}

function meaningOf(setting: Setting, isRequired: boolean): string {
  const bounds =
    setting.enum?.join(' | ') ??
    (setting.minimum !== undefined && setting.maximum !== undefined
      ? `${setting.minimum} to ${setting.maximum}`
      : undefined);
  return [
    setting.description ?? '',
    bounds === undefined ? '' : `(${bounds})`,
    isRequired && setting.default === undefined ? '(required)' : '',
  ]
    .filter((part) => part !== '')
    .join(' ');
}
