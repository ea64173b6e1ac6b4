/** What to do about each verdict of `why` (docs/http.md): the server says what became of an event, not what comes next. */
export interface Advice {
  /** `good`: the server's part is done; `warn`: it may still come; `bad`: it does not. */
  readonly kind: 'good' | 'warn' | 'bad';
  readonly next: string;
}

const advice: Readonly<Record<string, Advice>> = {
  handled: { kind: 'good', next: 'The client has it: look at what the application does with this event.' },
  written: { kind: 'good', next: 'The server has done its part: look at the client’s network, and at its handlers.' },
  behind: {
    kind: 'warn',
    next: 'It comes once the socket takes more: a phone asleep, a full line, a client that is busy.',
  },
  away: { kind: 'warn', next: 'It comes when the client connects again within its grace.' },
  reset: { kind: 'bad', next: 'The client was told to refetch: look at what it does on a reset.' },
  left_before: { kind: 'bad', next: 'It was not in the topic any more: look at why it left, or lost its connection.' },
  joined_after: { kind: 'bad', next: 'It was not in the topic yet: it has to fetch what is from before it joined.' },
  never_subscribed: {
    kind: 'bad',
    next: 'Look at the topic’s name on both sides, and at the answer to its subscribe or join.',
  },
  no_such_session: { kind: 'bad', next: 'Look at the user’s id: it is the token’s “sub”, not a name.' },
  no_such_topic: { kind: 'bad', next: 'Look at the topic’s name where it is published.' },
  no_such_offset: { kind: 'bad', next: 'Choose one of the topic’s events.' },
};

export function adviceFor(verdict: string): Advice {
  return advice[verdict] ?? { kind: 'warn', next: '' };
}
