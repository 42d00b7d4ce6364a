import { spawn } from 'node:child_process';
import type { Assets } from '../../assets.ts';
import { machineFor, type QemuAccelerator } from '../qemu/machine.ts';
import type { Architecture } from '../vmm.ts';

/** What the guest agent prints, and then powers off, when the kernel's command line asks for a probe. */
const announcement = 'dormouse-probe-ok';
const probeParameter = 'dormouse.probe=1';

/** QEMU stays, stopped, after such an error: waiting for its end would take the whole timeout. */
const hopeless = /KVM internal error[^\n]*|error: kvm run failed[^\n]*/i;

/** More than any guest that works has to say; the rest of what a runaway guest prints is not kept. */
const outputLimit = 64 * 1024;

interface ProbeGuest {
  readonly binary: string;
  readonly architecture: Architecture;
  readonly accelerator: QemuAccelerator;
  readonly assets: Pick<Assets, 'kernel' | 'initrd'>;
  readonly timeoutMs: number;
}

export type ProbeOutcome = { readonly booted: true } | { readonly booted: false; readonly reason: string };

/** Boots a guest to user space and ends it. Never rejects because of the guest or QEMU. */
export async function bootProbeGuest(guest: ProbeGuest): Promise<ProbeOutcome> {
  const machine = machineFor(guest.architecture, guest.accelerator);
  const child = spawn(
    guest.binary,
    [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-nic', 'none', '-no-reboot'],
      ...['-M', `${machine.type}${machine.options}`, '-accel', guest.accelerator, '-cpu', machine.cpu],
      ...['-m', '128M', '-kernel', guest.assets.kernel, '-initrd', guest.assets.initrd],
      ...['-append', `console=${machine.console} quiet panic=-1 ${probeParameter}`],
      ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: {} },
  );
  const { promise: outcome, resolve } = Promise.withResolvers<ProbeOutcome>();
  const { promise: gone, resolve: end } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    resolve({ booted: false, reason: `the guest did not boot within ${guest.timeoutMs / 1000} s` });
  }, guest.timeoutMs);

  let output = '';
  let complaints = '';
  child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
    if (output.length < outputLimit) output += chunk;
    if (output.includes(announcement)) resolve({ booted: true });
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    if (complaints.length < outputLimit) complaints += chunk;
    const error = hopeless.exec(complaints);
    if (error !== null) resolve({ booted: false, reason: error[0].trim() });
  });
  child.once('error', (error) => {
    resolve({ booted: false, reason: error.message });
    end();
  });
  child.once('close', (code, signal) => {
    const how = signal === null ? `exited with status ${code}` : `was ended by ${signal}`;
    const last = lastLine(complaints) ?? lastLine(output);
    resolve({ booted: false, reason: `QEMU ${how}${last === undefined ? '' : `: ${last}`}` });
    end();
  });

  const result = await outcome;
  clearTimeout(timer);
  child.kill('SIGKILL');
  await gone;
  return result;
}

function lastLine(text: string): string | undefined {
  const lines = text.split(/[\r\n]+/).map((line) => line.trim());
  return lines.findLast((line) => line !== '' && !/\bwarning:/.test(line))?.slice(0, 300);
}
