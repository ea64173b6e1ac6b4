/**
 * A WebSocket that shows what crosses it: each frame of each message, decoded, and its ends. The SDK gets the class
 * as its option `WebSocket` and notices nothing.
 */
import { decodeScanned } from '../../protocol/codec.js';
import { Op, type Value } from '../../protocol/frames.js';
import { scanMessage } from '../../protocol/scan.js';

export interface SeenFrame {
  /** `socket`: the connection itself opened or closed. */
  readonly direction: 'sent' | 'received' | 'socket';
  /** Ms since the Unix epoch. */
  readonly at: number;
  /** Opcode included. */
  readonly value: readonly Value[];
  readonly op: string;
  /** Bytes. */
  readonly size: number;
}

const names = new Map<unknown, string>(Object.entries(Op).map(([name, op]) => [op, name]));

export function tappedWebSocket(see: (frame: SeenFrame) => void): new (url: string, protocols: string[]) => object {
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      // Registered before the SDK's own handlers, so the wire shows a frame before its effects.
      this.addEventListener('message', ({ data }) => {
        if (data instanceof ArrayBuffer) frames(new Uint8Array(data), 'received', see);
      });
      const tell = (op: string, ...value: Value[]): void =>
        see({ direction: 'socket', at: Date.now(), value, op, size: 0 });
      this.addEventListener('open', () => tell('OPEN', this.url, this.protocol));
      this.addEventListener('close', ({ code, reason }) => tell('CLOSE', code, reason));
    }

    override send(data: string | ArrayBufferLike | Blob | ArrayBufferView): void {
      if (data instanceof Uint8Array) frames(data, 'sent', see);
      super.send(data as ArrayBuffer);
    }
  };
}

function frames(bytes: Uint8Array, direction: SeenFrame['direction'], see: (frame: SeenFrame) => void): void {
  const starts: number[] = [];
  const at = Date.now();
  const count = scanMessage(bytes, starts);
  if (typeof count !== 'number') {
    see({ direction, at, value: [`frame ${count.frame}: ${count.reason}`], op: 'BROKEN', size: bytes.length });
    return;
  }
  for (let i = 0; i < count; i++) {
    const start = starts[i] as number;
    const value = decodeScanned(bytes, start) as Value[];
    see({
      direction,
      at,
      value,
      op: names.get(value[0]) ?? `op ${value[0] as number}`,
      size: (starts[i + 1] as number) - start,
    });
  }
}

/** The frame without its opcode as compact JSON. Tokens and secrets are left out: people share their screens. */
export function jsonOf({ direction, op, value }: SeenFrame): string {
  const isWhole = direction === 'socket' || op === 'BROKEN';
  const parts = isWhole ? value : op === 'AUTH' ? [value[1], '…'] : value.slice(1);
  const secret = op === 'HELLO' || op === 'WELCOME';
  return JSON.stringify(parts, (key, part: unknown) => {
    if (secret && key === 'token' && part !== null) return '…';
    if (secret && key === 'session' && Array.isArray(part)) return [part[0] as string, '…'];
    return shown(part);
  });
}

/** Any value as JSON, with `indent` spaces. */
export function jsonText(value: unknown, indent = 0): string {
  return JSON.stringify(value, (_, part: unknown) => shown(part), indent) ?? '';
}

/** Bytes have no JSON. */
function shown(part: unknown): unknown {
  return part instanceof Uint8Array ? `<${part.length} bytes>` : part;
}
