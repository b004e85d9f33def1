import { ProxyError } from '../errors/proxy-error.ts';
import type { Logger } from '../observability/logger.ts';
import { CLIENT_FOUND_ROWS, CLIENT_MULTI_STATEMENTS } from '../wire/flags.ts';
import { charsetOfLogin } from './charsets.ts';
import type { ClientHandler, ClientTransport } from './client-transport.ts';
import { CommandLoop } from './command-loop.ts';
import { CommandRunner } from './command-runner.ts';
import { errorReply } from './error-reply.ts';
import { type LoggedIn, Login, type LoginProgress } from './login.ts';
import { ResultWriter } from './result-writer.ts';
import { RunningStatement } from './running-statement.ts';
import { requireDatabase, type SessionContext } from './session-context.ts';
import type { RegisteredSession, SessionInfo } from './session-registry.ts';
import type { SessionServices } from './session-services.ts';
import { SessionData } from './session-state.ts';
import { stateOnShard } from './state-on-shard.ts';
import { SessionTransactions } from './transaction-statements.ts';

type SessionPhase =
  | { readonly kind: 'logging-in'; readonly cancelTimeout: () => void }
  | { readonly kind: 'ready'; readonly context: SessionContext; readonly commands: CommandRunner }
  | { readonly kind: 'closed' };

/** One client from greeting to goodbye. */
export class Session implements ClientHandler, RegisteredSession {
  readonly id: number;
  readonly #transport: ClientTransport;
  readonly #services: SessionServices;
  readonly #loop: CommandLoop;
  readonly #login: Login;
  readonly #running: RunningStatement;
  readonly #logger: Logger;
  #phase: SessionPhase;
  #idleSinceMs: number;
  #draining = false;
  #killed = false;

  constructor(transport: ClientTransport, services: SessionServices) {
    this.id = services.registry.nextId();
    this.#transport = transport;
    this.#services = services;
    this.#logger = services.logger.child({ session: this.id });
    this.#idleSinceMs = services.clock.monotonicMs();
    this.#running = new RunningStatement(services);
    this.#loop = new CommandLoop({
      transport,
      handle: (payload, sequence) => this.#handle(payload, sequence),
      broken: (error, sequence) => this.#refuse(error, sequence),
    });
    this.#login = new Login({
      transport,
      connectionId: this.id,
      serverVersion: services.serverFacts().version,
      passwordKey: services.passwordKey,
      accountFor: services.accountFor,
    });
    const { handshake_timeout_ms } = services.current().topology.config.limits;
    const cancelTimeout = services.clock.after(handshake_timeout_ms, () => transport.destroy());
    this.#phase = { kind: 'logging-in', cancelTimeout };
    services.registry.add(this);
  }

  greet(): void {
    this.#login.greet();
  }

  onBytes(chunk: Buffer): void {
    this.#loop.onBytes(chunk);
  }

  onClosed(): void {
    const phase = this.#phase;
    this.#phase = { kind: 'closed' };
    this.#loop.stop();
    this.#services.registry.remove(this.id);
    if (phase.kind === 'logging-in') phase.cancelTimeout();
    if (phase.kind === 'ready') phase.commands.clientGone();
  }

  info(): SessionInfo {
    const context = this.#phase.kind === 'ready' ? this.#phase.context : undefined;
    const since = this.#running.isRunning ? this.#running.startedMs : this.#idleSinceMs;
    return {
      id: this.id,
      user: context?.account.user ?? 'unauthenticated user',
      host: this.#transport.remoteAddress,
      database: context?.data.database,
      command: context === undefined ? 'Connect' : this.#running.isRunning ? 'Query' : 'Sleep',
      seconds: Math.floor((this.#services.clock.monotonicMs() - since) / 1000),
      inTransaction: context?.transactions.isOpen ?? false,
      statement: this.#running.text?.toString(),
    };
  }

  tick(nowMs: number): void {
    const phase = this.#phase;
    if (phase.kind !== 'ready') return;
    const limits = this.#services.current().topology.config.limits;
    if (!this.#running.isRunning) {
      if (nowMs - this.#idleSinceMs > limits.idle_timeout_ms) this.#transport.end();
      return;
    }
    const lastsMs = nowMs - this.#running.startedMs;
    if (limits.statement_timeout_ms === 0 || lastsMs <= limits.statement_timeout_ms) return;
    if (this.#running.killing !== undefined) return;
    this.#services.counters.statementsKilled++;
    phase.commands.timeOut();
  }

  killStatement(): void {
    if (!this.#running.isRunning || this.#running.killing !== undefined) return;
    this.#services.counters.statementsKilled++;
    this.#running.kill();
  }

  kill(): void {
    this.#killed = true;
    if (this.#running.isRunning) this.killStatement();
    else this.#transport.end();
  }

  drain(): void {
    this.#draining = true;
    this.#closeIfDone();
  }

  destroy(): void {
    this.#transport.destroy();
  }

  #handle(payload: Buffer, sequence: number): void {
    const phase = this.#phase;
    if (phase.kind === 'ready' && this.#login.phase === 'ready') {
      try {
        phase.commands.run(payload, sequence, () => this.#commandDone());
      } catch (error) {
        // A bug of ours ends this session and no other.
        this.#logger.error('a session broke', { error });
        this.#transport.destroy();
      }
      return;
    }
    if (phase.kind === 'closed') return;
    try {
      this.#follow(this.#login.onPacket(payload, sequence));
    } catch (error) {
      this.#refuse(error, sequence);
    }
  }

  #commandDone(): void {
    if (this.#phase.kind === 'ready') this.#phase.context.writer.rest();
    this.#idleSinceMs = this.#services.clock.monotonicMs();
    this.#closeIfDone();
    this.#loop.done();
  }

  #closeIfDone(): void {
    if (!this.#draining && !this.#killed) return;
    const phase = this.#phase;
    const inTransaction =
      phase.kind === 'ready' && phase.context.transactions.isOpen && !this.#killed;
    if (this.#running.isRunning || inTransaction) return;
    this.#loop.stop();
    this.#transport.end();
  }

  #follow(progress: LoginProgress): void {
    switch (progress.kind) {
      case 'goes-on':
        this.#loop.expect(progress.nextSequence);
        this.#loop.done();
        return;
      case 'start-tls':
        this.#loop.expect(progress.nextSequence);
        this.#transport.startTls(this.#loop.takeRemainder());
        this.#loop.done();
        return;
      case 'refused':
        this.#services.counters.loginsFailed++;
        this.#logger.info('login denied', { address: this.#transport.remoteAddress });
        this.#refuse(progress.error, progress.sequence);
        return;
      case 'ready':
        try {
          this.#enter(progress.login, progress.sequence);
        } catch (error) {
          this.#refuse(error, progress.sequence);
        }
    }
  }

  /** The client has proven who it is: from here on it sends commands. */
  #enter(login: LoggedIn, sequence: number): void {
    const services = this.#services;
    const { topology } = services.current();
    const charset = charsetOfLogin(login.collationId ?? 0, services.serverFacts().lexical.flavour);
    if (charset === undefined) {
      throw new ProxyError(
        'ER_HANDSHAKE_ERROR',
        'Shardgate does not support the character set of this connection: use utf8mb4',
      );
    }
    if (login.database !== undefined) requireDatabase(topology, login.database);
    const data = new SessionData({
      database: login.database,
      charset,
      foundRows: (this.#login.capabilities & CLIENT_FOUND_ROWS) !== 0,
      multiStatements: (this.#login.capabilities & CLIENT_MULTI_STATEMENTS) !== 0,
      lexical: services.serverFacts().lexical,
    });
    const writer = new ResultWriter(
      this.#transport,
      () => data.statusFlags,
      () => data.collationId,
    );
    const poolLeases = services.leasesFor((shard) =>
      stateOnShard(shard, data, { services, text: this.#running.text }),
    );
    const context: SessionContext = {
      id: this.id,
      account: login.account,
      remoteAddress: this.#transport.remoteAddress,
      services,
      data,
      writer,
      running: this.#running,
      transactions: new SessionTransactions(services, data, poolLeases),
      poolLeases,
      logger: this.#logger.child({ user: login.account.user }),
    };
    const commands = new CommandRunner(context, {
      quit: () => this.#transport.end(),
      cut: () => this.#transport.destroy(),
      changeUser: (payload, answer) => this.#changeUser(payload, answer),
    });
    if (this.#phase.kind === 'logging-in') this.#phase.cancelTimeout();
    this.#phase = { kind: 'ready', context, commands };
    writer.begin(sequence);
    writer.plainOk();
    this.#loop.expectCommands({ packetBytesMax: topology.config.limits.packet_bytes_max });
    this.#commandDone();
  }

  /** The transaction was rolled back by the command; the rest of the session is made anew. */
  #changeUser(payload: Buffer, sequence: number): void {
    try {
      this.#follow(this.#login.onChangeUser(payload, sequence));
    } catch (error) {
      this.#refuse(error, sequence);
    }
  }

  /** Says why and closes. What the client sent behind is not looked at. */
  #refuse(error: unknown, sequence: number): void {
    this.#loop.stop();
    const writer = new ResultWriter(this.#transport, () => 0);
    writer.begin(sequence);
    writer.err(errorReply(error, this.#logger));
    this.#transport.end();
  }
}
