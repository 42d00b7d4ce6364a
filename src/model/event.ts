import { matchesGlob } from './glob.ts';

/** What a state change happened to. */
export const eventSubjects = ['microvm', 'image', 'image-version', 'image-build'] as const;
export type EventSubject = (typeof eventSubjects)[number];

/** One change of state, as it is recorded together with the change itself. */
export interface StateChange {
  readonly subject: EventSubject;
  /** Null for what happens to an image. */
  readonly microvmId: string | null;
  readonly imageArn: string;
  readonly imageVersion: string | null;
  readonly buildId: string | null;
  /** Null for what has just come to be. */
  readonly from: string | null;
  /**
   * A state of the service, `ACTIVE` or `INACTIVE` for a version's status, `DAMAGED`, `OUTDATED` or `WHOLE` for its
   * snapshot, or `DELETED`.
   */
  readonly to: string;
  readonly reason: string | null;
}

export interface StateEvent extends StateChange {
  /** Strictly growing, never used twice. */
  readonly sequence: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** Every member narrows; none takes everything. */
export interface EventFilter {
  /** Types such as `microvm.suspended`; `*` stands for any text. One has to match. */
  readonly types?: readonly string[] | undefined;
  readonly microvmId?: string | undefined;
  readonly imageArn?: string | undefined;
}

/** Such as `microvm.suspended` or `image.create_failed`. */
export function eventType({ subject, to }: Pick<StateChange, 'subject' | 'to'>): string {
  return `${subject}.${to.toLowerCase()}`;
}

export function matchesFilter(filter: EventFilter, event: StateChange): boolean {
  const { types, microvmId, imageArn } = filter;
  return (
    (microvmId === undefined || event.microvmId === microvmId) &&
    (imageArn === undefined || event.imageArn === imageArn) &&
    (types === undefined || types.some((type) => matchesGlob(type, eventType(event))))
  );
}
