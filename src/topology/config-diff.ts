import type { ProxyConfig } from './config-schema.ts';

/** Every setting that a file names, as written, by its path. */
export type ConfigValues = ReadonlyMap<string, string>;

/** Settings of one proxy: its own file decides them, whatever its cluster has recorded. */
const LOCAL_SETTINGS = ['listen', 'admin', 'tls'] as const;

const SECRETS = /(?:^|\.)password(?:_sha2|_native)?$/;

/** The settings that all proxies of a cluster share. */
export function sharedValues(values: ConfigValues): ConfigValues {
  return new Map([...values].filter(([path]) => !isLocal(path)));
}

export function isSameMap(a: ConfigValues, b: ConfigValues): boolean {
  // The order counts: the first shard is the metadata shard, and ranges are in order.
  return JSON.stringify([...sharedValues(a)]) === JSON.stringify([...sharedValues(b)]);
}

/** The config of a cluster as this proxy runs it. */
export function withLocalSettings(shared: ProxyConfig, own: ProxyConfig): ProxyConfig {
  const { listen, admin, tls } = own;
  const { admin: _admin, tls: _tls, ...rest } = shared;
  return {
    ...rest,
    listen,
    ...(admin === undefined ? {} : { admin }),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** One line a setting that differs: `+ path: new`, `- path: old`, `~ path: old → new`. Secrets are left out. */
export function configDifference(before: ConfigValues, after: ConfigValues): readonly string[] {
  const old = sharedValues(before);
  const now = sharedValues(after);
  const gone = [...old].filter(([path]) => !now.has(path));
  const lines = [...now].flatMap(([path, value]) => {
    const was = old.get(path);
    if (was === value) return [];
    return was === undefined
      ? [`+ ${path}: ${shown(path, value)}`]
      : [`~ ${path}: ${shown(path, was)} → ${shown(path, value)}`];
  });
  return [...gone.map(([path, value]) => `- ${path}: ${shown(path, value)}`), ...lines];
}

function shown(path: string, value: string): string {
  if (!SECRETS.test(path)) return value;
  return /^\$\{\w+\}$/.test(value) ? value : '***';
}

function isLocal(path: string): boolean {
  return LOCAL_SETTINGS.some((name) => path === name || path.startsWith(`${name}.`));
}
