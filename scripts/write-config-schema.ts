import { writeFileSync } from 'node:fs';
import { configJsonSchema } from '../src/topology/config-schema.ts';

/** Writes shards.schema.json, which editors check shards.yaml with. Run it after a change of a setting. */
writeFileSync(
  new URL('../shards.schema.json', import.meta.url),
  `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
);
