import type { Microvm } from '../../model/microvm.ts';
import type { ApiOptions } from '../services.ts';
import { toSeconds, toSecondsOrNull } from './time.ts';

/** Run and Get: every member, unset ones as null (spec section 1.4). */
export function microvmToWire(vm: Microvm, options: Pick<ApiOptions, 'endpointOf'>): object {
  return {
    microvmId: vm.microvmId,
    state: vm.state,
    endpoint: options.endpointOf(vm.endpointId),
    imageArn: vm.imageArn,
    imageVersion: vm.imageVersion,
    executionRoleArn: vm.executionRoleArn,
    idlePolicy: vm.idlePolicy,
    maximumDurationInSeconds: vm.maximumDurationInSeconds,
    startedAt: toSeconds(vm.startedAt),
    terminatedAt: toSecondsOrNull(vm.terminatedAt),
    stateReason: vm.stateReason,
    terminationReasonCode: null,
    ingressNetworkConnectors: vm.ingressNetworkConnectors,
    egressNetworkConnectors: vm.egressNetworkConnectors,
  };
}

export function microvmItemToWire(vm: Microvm): object {
  return {
    microvmId: vm.microvmId,
    state: vm.state,
    imageArn: vm.imageArn,
    imageVersion: vm.imageVersion,
    startedAt: toSeconds(vm.startedAt),
  };
}
