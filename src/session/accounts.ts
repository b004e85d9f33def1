import { BlockList, isIP } from 'node:net';
import type { UserConfig } from '../topology/config-schema.ts';

/** What is known of a password: any of these suffices to check one. */
export interface Verifiers {
  readonly password: string | undefined;
  /** SHA256(SHA256(password)). */
  readonly sha2: Buffer | undefined;
  /** SHA1(SHA1(password)). */
  readonly native: Buffer | undefined;
}

/** A user of shards.yaml, ready to be logged in. */
export interface Account {
  readonly user: string;
  /** As CURRENT_USER() shows it: 'app@%'. */
  readonly name: string;
  readonly verifiers: Verifiers;
  readonly tlsRequired: boolean;
  readonly readOnly: boolean;
  /** True when the user may come from there. */
  readonly admits: (address: string) => boolean;
}

export function accountOf(user: string, config: UserConfig): Account {
  return {
    user,
    name: `${user}@${config.hosts.length === 1 ? config.hosts[0] : '%'}`,
    verifiers: {
      password: config.password,
      sha2:
        config.password_sha2 === undefined ? undefined : Buffer.from(config.password_sha2, 'hex'),
      native:
        config.password_native === undefined
          ? undefined
          : Buffer.from(config.password_native.replace('*', ''), 'hex'),
    },
    tlsRequired: config.tls === 'required',
    readOnly: config.read_only,
    admits: hostCheck(config.hosts),
  };
}

function hostCheck(hosts: readonly string[]): (address: string) => boolean {
  if (hosts.length === 0 || hosts.includes('%')) return () => true;
  const allowed = new BlockList();
  for (const host of hosts) addHost(allowed, host === 'localhost' ? '127.0.0.1' : host);
  const localhost = hosts.includes('localhost') || hosts.includes('127.0.0.1');
  return (address) => {
    if (address === 'localhost' || address === '::1') return localhost;
    const family = isIP(address);
    return family !== 0 && allowed.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };
}

/** Names other than `localhost` are not resolved: such an entry admits nobody. */
function addHost(allowed: BlockList, host: string): void {
  const [network = '', prefix] = host.split('/');
  const family = isIP(network);
  if (family === 0) return;
  const type = family === 6 ? 'ipv6' : 'ipv4';
  if (prefix === undefined) allowed.addAddress(network, type);
  else allowed.addSubnet(network, Number(prefix), type);
}
