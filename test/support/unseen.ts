/** Characters that nobody sees, or that turn a line around: for names that are to be refused or harmless. */

/** Right-to-left override: what follows is shown backwards. */
export const RLO = '\u202e';
export const UNSEEN = [
  ...[
    '\u061c',
    '\u200e',
    '\u200f',
    '\u202a',
    '\u202b',
    '\u202c',
    '\u202d',
    RLO,
    '\u2066',
    '\u2067',
    '\u2068',
    '\u2069',
  ],
  ...[
    '\u200b',
    '\u200c',
    '\u200d',
    '\u2060',
    '\u2064',
    '\ufeff',
    '\u00ad',
    '\u180e',
    '\u034f',
    '\u115f',
    '\u3164',
    '\ufe0f',
  ],
  ...['\u{e0041}', '\u0085', '\u009b', '\u0000', '\u001b', '\u007f'],
];
