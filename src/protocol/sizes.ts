/** The codec's own sizes. Constants alone, so that a bundler puts the numbers in place of the names. */

/** Arrays and maps inside one another, the frame's own array included. */
export const MAX_DEPTH = 32;

/** Below this many bytes a text's length is in its type byte. */
export const SHORT_TEXT = 32;

/** What a writer begins with. */
export const INITIAL_BYTES = 1_024;
/** A writer that once held more than this gives the memory back. */
export const KEEP_BYTES = 65_536;

/** Headers inside headers, each as large as the bytes left, must not reserve that many places each. */
export const MAX_RESERVED = 16_384;
