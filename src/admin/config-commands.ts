import type { ConfigStatus } from '../backend/live-config.ts';
import type { TopologyVersion } from '../backend/topology-versions.ts';
import type { LocalColumn, LocalRows } from '../session/local-rows.ts';

export interface ConfigSource {
  status(): ConfigStatus;
  versions(): Promise<readonly TopologyVersion[]>;
}

/** SHOW CONFIG: the version in force, and what was wrong with the last edit. */
export function configRows({ path, version, last, problems }: ConfigStatus): LocalRows {
  const edit = last === 'refused' ? 'the last edit was refused' : 'the file is in force';
  return {
    columns: [
      textColumn('state', 16),
      integerColumn('version'),
      integerColumn('line'),
      integerColumn('column'),
      textColumn('path', 512),
      textColumn('message', 4096),
    ],
    rows: [
      ['in force', String(version), '0', '0', path, edit],
      ...problems.map((problem) => [
        'problem',
        String(version),
        String(problem.line),
        String(problem.column),
        problem.path,
        problem.message,
      ]),
    ],
  };
}

/** SHOW CONFIG VERSIONS, the newest first. */
export function versionRows(versions: readonly TopologyVersion[]): LocalRows {
  return {
    columns: [
      integerColumn('version'),
      textColumn('recorded_at', 32),
      textColumn('author', 255),
      textColumn('difference', 65_535),
    ],
    rows: versions.map(({ version, createdAt, author, difference }) => [
      String(version),
      createdAt,
      author,
      difference,
    ]),
  };
}

function textColumn(name: string, charactersMax: number): LocalColumn {
  return { type: 'text', name, charactersMax };
}

function integerColumn(name: string): LocalColumn {
  return { type: 'integer', name, bits: 64 };
}
