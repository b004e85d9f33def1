import { readFileSync, writeFileSync } from 'node:fs';
import { configReference } from '../src/topology/config-reference.ts';
import { configJsonSchema } from '../src/topology/config-schema.ts';

/**
 * Writes what is made from the schema of shards.yaml: shards.schema.json, which editors check the file
 * with, and the table of settings in the README. Run it after a change of a setting.
 */
writeFileSync(
  new URL('../shards.schema.json', import.meta.url),
  `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
);
const readme = new URL('../README.md', import.meta.url);
writeFileSync(
  readme,
  readFileSync(readme, 'utf8').replace(
    /(<!-- settings -->\n)[\s\S]*?(\n<!-- end of settings -->)/,
    (_all, begin: string, end: string) => `${begin}\n${configReference()}\n${end}`,
  ),
);
