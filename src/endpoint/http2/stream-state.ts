/** What may still be sent on a stream, by whom (RFC 9113, section 5.1); one that is idle is none yet. */
export type StreamState = 'open' | 'half-closed (local)' | 'half-closed (remote)' | 'closed';

export type StreamEvent = 'end sent' | 'end received' | 'reset';

const transitions: Readonly<Record<StreamState, Readonly<Record<StreamEvent, StreamState>>>> = {
  open: { 'end sent': 'half-closed (local)', 'end received': 'half-closed (remote)', reset: 'closed' },
  'half-closed (local)': { 'end sent': 'half-closed (local)', 'end received': 'closed', reset: 'closed' },
  'half-closed (remote)': { 'end sent': 'closed', 'end received': 'half-closed (remote)', reset: 'closed' },
  closed: { 'end sent': 'closed', 'end received': 'closed', reset: 'closed' },
};

export function next(state: StreamState, event: StreamEvent): StreamState {
  return transitions[state][event];
}

/** Whether the client may send more. */
export function mayReceive(state: StreamState): boolean {
  return state === 'open' || state === 'half-closed (local)';
}

export function maySend(state: StreamState): boolean {
  return state === 'open' || state === 'half-closed (remote)';
}
