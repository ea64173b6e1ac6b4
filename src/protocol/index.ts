/** `@roomwire/client/protocol`: what servers and clients share. Runs anywhere, does no I/O. */
export * from './frames.js';
export * from './codes.js';
export * from './code-texts.js';
export * from './errors.js';
export * from './limits.js';
export * from './contract.js';
export * from './rooms-contract.js';
