import { readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100; // USER_HZ, fixed at 100 on every Linux that Node supports

export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** CPU time of all threads of a process since it started, and its resident memory. Linux only. */
export function processUsage(pid: number): ProcessUsage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The command's name is in parentheses and may hold blanks: fields are counted after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const statm = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ');
  return { cpuSeconds: ticks / TICKS_PER_SECOND, residentBytes: Number(statm[1]) * 4096 };
}
