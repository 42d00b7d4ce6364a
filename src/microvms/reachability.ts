import type { Microvm } from '../model/microvm.ts';
import { MicrovmUnreachableError } from './microvm-service.ts';

/**
 * What whoever wants to reach a VM has to do where it cannot be reached at once.
 * @throws {MicrovmUnreachableError} nothing helps
 */
export function wayTo(vm: Microvm): 'wait' | 'wake' {
  switch (vm.state) {
    case 'PENDING':
    case 'SUSPENDING':
    case 'RUNNING':
      return 'wait';
    case 'SUSPENDED':
      if (vm.idlePolicy?.autoResumeEnabled === true) return 'wake';
      throw new MicrovmUnreachableError(
        'MICROVM_SUSPENDED',
        'the microVM is suspended and does not wake by itself',
      );
    case 'TERMINATING':
      throw new MicrovmUnreachableError('BAD_GATEWAY', 'the microVM is terminating');
    case 'TERMINATED':
      throw new MicrovmUnreachableError('MICROVM_CONNECT_FAILED', 'the microVM has been terminated');
  }
}
