import { type ConfigPath, TEXT_SETTINGS } from './config-schema.ts';

/** A parsed file that still knows where everything stands. Offsets are in the file's text. */
export type ConfigNode =
  | {
      readonly kind: 'scalar';
      readonly offset: number;
      readonly text: string;
      /** Without quotes: `80` is a number, `'80'` is text. */
      readonly plain: boolean;
    }
  | { readonly kind: 'list'; readonly offset: number; readonly items: readonly ConfigNode[] }
  | { readonly kind: 'mapping'; readonly offset: number; readonly entries: readonly ConfigEntry[] };

export interface ConfigEntry {
  readonly key: string;
  readonly keyOffset: number;
  readonly value: ConfigNode;
}

/** The JavaScript value of the tree. `${VARIABLE}`s have been replaced before. */
export function valueOfTree(node: ConfigNode, setting = ''): unknown {
  switch (node.kind) {
    case 'scalar':
      return valueOfScalar(node.text, { plain: node.plain, isText: TEXT_SETTINGS.has(setting) });
    case 'list':
      return node.items.map((item) => valueOfTree(item, setting));
    case 'mapping':
      return Object.fromEntries(
        node.entries.map((entry) => [entry.key, valueOfTree(entry.value, entry.key)]),
      );
  }
}

/** Plain scalars by the core schema of YAML 1.2 (section 10.3.2). */
function valueOfScalar(
  text: string,
  how: { readonly plain: boolean; readonly isText: boolean },
): unknown {
  if (!how.plain) return text;
  if (how.isText) return /^(?:~|null|Null|NULL|)$/.test(text) ? '' : text;
  if (/^(?:~|null|Null|NULL|)$/.test(text)) return null;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  if (/^[-+]?[0-9]+$/.test(text) || /^0x[0-9a-fA-F]+$/.test(text)) return Number(text);
  if (/^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/.test(text)) return Number(text);
  return text;
}

/** Where the setting at `path` stands: its key or list item, or the nearest thing around it. */
export function offsetOfPath(root: ConfigNode, path: ConfigPath): number {
  let node = root;
  let offset = root.offset;
  for (const step of path) {
    if (node.kind === 'list' && typeof step === 'number') {
      const item = node.items[step];
      if (item === undefined) return offset;
      node = item;
      offset = item.offset;
    } else if (node.kind === 'mapping') {
      const entry = node.entries.find(({ key }) => key === String(step));
      if (entry === undefined) return offset;
      node = entry.value;
      offset = entry.keyOffset;
    } else {
      return offset;
    }
  }
  return offset;
}

/** Applies `replace` to the text of every scalar value; keys stay as they are. */
export function mapScalars(
  node: ConfigNode,
  replace: (text: string, place: { readonly offset: number; readonly path: ConfigPath }) => string,
  path: ConfigPath = [],
): ConfigNode {
  switch (node.kind) {
    case 'scalar':
      return { ...node, text: replace(node.text, { offset: node.offset, path }) };
    case 'list':
      return {
        ...node,
        items: node.items.map((item, index) => mapScalars(item, replace, [...path, index])),
      };
    case 'mapping':
      return {
        ...node,
        entries: node.entries.map((entry) => ({
          ...entry,
          value: mapScalars(entry.value, replace, [...path, entry.key]),
        })),
      };
  }
}
