import { configJsonSchema } from './config-schema.ts';

/** As much of a JSON schema as the table shows. */
interface SettingSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, SettingSchema>>;
  readonly additionalProperties?: SettingSchema | boolean;
  readonly items?: SettingSchema;
  readonly anyOf?: readonly SettingSchema[];
  readonly oneOf?: readonly SettingSchema[];
}

interface Row {
  readonly path: string;
  readonly schema: SettingSchema;
}

/** Every setting of shards.yaml as a Markdown table, from the one schema. */
export function configReference(): string {
  const rows = Map.groupBy(rowsOf(configJsonSchema() as SettingSchema, ''), ({ path }) => path);
  const lines = [...rows].map(([path, same]) => {
    const schema = same[0]?.schema ?? {};
    // One setting of several alternatives: `type` of the strategies.
    const values = [...new Set(same.map((row) => valuesOf(row.schema)))].join(', ');
    const meaning = escaped(schema.description ?? '');
    return `| \`${path}\` | ${values} | ${defaultOf(schema)} | ${meaning} |`;
  });
  return ['| setting | value | default | meaning |', '| --- | --- | --- | --- |', ...lines].join(
    '\n',
  );
}

function rowsOf(schema: SettingSchema, path: string): readonly Row[] {
  const below = [
    ...Object.entries(schema.properties ?? {}).flatMap(([name, inner]) =>
      rowsOf(inner, path === '' ? name : `${path}.${name}`),
    ),
    ...(typeof schema.additionalProperties === 'object'
      ? rowsOf(schema.additionalProperties, `${path}.<name>`)
      : []),
    ...(schema.items === undefined ? [] : rowsOf(schema.items, `${path}[]`)),
    ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((inner) =>
      rowsOf(inner, path).filter((row) => row.path !== path),
    ),
  ];
  // A name or a place in a list is no setting of its own unless it says what it is.
  const isPlace = path === '' || path.endsWith('[]') || path.endsWith('<name>');
  const shown = schema.description !== undefined || (!isPlace && below.length === 0);
  return shown ? [{ path, schema }, ...below] : below;
}

function valuesOf(schema: SettingSchema): string {
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.enum !== undefined) return schema.enum.map((one) => `\`${one}\``).join(', ');
  if (schema.type === 'integer' || schema.type === 'number') {
    return `${schema.minimum ?? ''}–${schema.maximum ?? ''}`;
  }
  if (schema.type === 'string') return 'text';
  if (schema.type === 'boolean') return 'true, false';
  if (schema.type === 'array') return 'list';
  const isMapping = schema.properties !== undefined || schema.additionalProperties !== undefined;
  return isMapping ? 'mapping' : 'text';
}

function defaultOf(schema: SettingSchema): string {
  const value = schema.default;
  if (value === undefined || (typeof value === 'object' && value !== null)) return '';
  return value === '' ? 'empty' : `\`${value}\``;
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}
