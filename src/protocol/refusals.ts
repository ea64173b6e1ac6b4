/**
 * Why bytes are refused, as scanner and decoder number it; scan.ts has the words, which the SDK does not carry.
 * Negative: no offset is, and nothing is allocated to report one. Constants alone, so that a bundler puts the
 * numbers in place of the names.
 */
export const TRUNCATED = -1;
export const EXT = -2;
export const DEEP = -3;
export const RANGE = -4;
export const TEXT = -5;
export const KEY = -6;
export const NO_ARRAY = -7;
export const NO_OPCODE = -8;
export const EMPTY = -9;
export const TRAILING = -10;
