/** Trajectories to upload: from an .xyz file, or made up. */
import type { Frame } from '../contract.js';
import { numberOf } from './elements.js';

/** Throws an Error that names the line. */
export function readXyz(text: string): Frame[] {
  const lines = text.split(/\r?\n/);
  const frames: Frame[] = [];
  for (let at = 0; at < lines.length && lines[at]?.trim() !== '';) {
    const atoms = Number(lines[at]);
    if (!Number.isInteger(atoms) || atoms < 1) throw new Error(`line ${at + 1} should be the number of atoms`);
    const frame: Frame = { positions: [], numbers: [] };
    for (let i = at + 2; i < at + 2 + atoms; i++) {
      const [symbol = '', x, y, z] = (lines[i] ?? '').trim().split(/\s+/);
      const position = [Number(x), Number(y), Number(z)] as [number, number, number];
      const number = numberOf(symbol);
      if (number === 0 || position.some(Number.isNaN)) throw new Error(`line ${i + 1} is no atom: ${lines[i] ?? ''}`);
      frame.positions.push(position);
      frame.numbers.push(number);
    }
    frames.push(frame);
    at += 2 + atoms;
  }
  if (frames.length === 0) throw new Error('there is no frame in it');
  return frames;
}

const PHI = (1 + Math.sqrt(5)) / 2;

/** The sixty carbons of a fullerene, breathing, with an atom of gold that goes round in it. */
export function buckyball(count: number): Frame[] {
  const corners = [
    [0, 1, 3 * PHI],
    [1, 2 + PHI, 2 * PHI],
    [PHI, 2, 2 * PHI + 1],
  ].flatMap(([a = 0, b = 0, c = 0]) =>
    [-1, 1].flatMap((i) =>
      [-1, 1].flatMap((j) =>
        (a === 0 ? [1] : [-1, 1]).flatMap((k) => {
          const [x, y, z] = [a * k, b * i, c * j];
          return [
            [x, y, z],
            [z, x, y],
            [y, z, x],
          ] as [number, number, number][];
        }),
      ),
    ),
  );
  return Array.from({ length: count }, (_, step) => {
    const phase = (2 * Math.PI * step) / count;
    const positions = corners.map(([x, y, z]): [number, number, number] => {
      const breath = 0.72 * (1 + 0.06 * Math.sin(2 * phase + z) + 0.04 * Math.sin(phase + x));
      return [x * breath, y * breath, z * breath];
    });
    const gold: [number, number, number] = [1.6 * Math.cos(phase), 1.6 * Math.sin(phase), 0.8 * Math.sin(2 * phase)];
    return { positions: [...positions, gold], numbers: [...corners.map(() => 6), 79] };
  });
}
