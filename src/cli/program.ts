import { Command } from 'commander';
import { version } from '../version.ts';
import { addActivity } from './commands/activity.ts';
import { addBuild } from './commands/build.ts';
import { addCheckpoints } from './commands/checkpoints.ts';
import { addConnectors } from './commands/connectors.ts';
import { addCurl } from './commands/curl.ts';
import { addDoctor } from './commands/doctor.ts';
import { addEgress } from './commands/egress.ts';
import { addEnv } from './commands/env.ts';
import { addEvents } from './commands/events.ts';
import { addExec } from './commands/exec.ts';
import { addFork } from './commands/fork.ts';
import { addForward } from './commands/forward.ts';
import { addImages } from './commands/images.ts';
import { addInspect } from './commands/inspect.ts';
import { addKeys } from './commands/keys.ts';
import { addLease } from './commands/lease.ts';
import { addLogs } from './commands/logs.ts';
import { addPs } from './commands/ps.ts';
import { addPublish } from './commands/publish.ts';
import { addRoles } from './commands/roles.ts';
import { addRun } from './commands/run.ts';
import { addServe } from './commands/serve.ts';
import { addShell } from './commands/shell.ts';
import { addTokens } from './commands/tokens.ts';
import { addTransitions } from './commands/transitions.ts';
import { addTrust } from './commands/trust.ts';
import { addWebhooks } from './commands/webhooks.ts';
import { takeManyWords } from './many-words.ts';
import { examples } from './remote-command.ts';

/** The whole command line. Errors of use are thrown, never an exit. */
export function createProgram(): Command {
  const program = takeManyWords(new Command('dormouse'))
    .description('Stateful microVMs that sleep when idle.')
    .version(version, '-V, --version')
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError('(dormouse --help, or dormouse <command> --help)')
    .configureHelp({ showGlobalOptions: true });
  addServe(program);
  addDoctor(program);
  addEnv(program);
  addTrust(program);
  addBuild(program);
  addImages(program);
  addRun(program);
  addPs(program);
  addInspect(program);
  addCurl(program);
  addLogs(program);
  addTransitions(program);
  addFork(program);
  addCheckpoints(program);
  addKeys(program);
  addTokens(program);
  addRoles(program);
  addEgress(program);
  addConnectors(program);
  addExec(program);
  addShell(program);
  addForward(program);
  addPublish(program);
  addLease(program);
  addActivity(program);
  addEvents(program);
  addWebhooks(program);
  return examples(
    program,
    'dormouse serve',
    'dormouse build examples/counter --name counter',
    'dormouse run counter --idle 30s --wait',
    'dormouse curl 3f2a',
  );
}
