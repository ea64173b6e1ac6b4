/** Draws one frame: shaded balls and their bonds, turned by dragging or the arrow keys. A click or Enter selects an atom. */
import { useEffect, useRef, useState, type KeyboardEvent, type PointerEvent } from 'react';
import type { Frame } from '../contract.js';
import { colorOf, sizeOf } from './elements.js';

export interface Scene {
  readonly radius: number;
  readonly bonds: boolean;
  /** Half the edge of the box that is drawn; 0: none. */
  readonly box: number;
}

interface View {
  yaw: number;
  pitch: number;
}
interface Ball {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly r: number;
  readonly index: number;
  readonly number: number;
}

/** More atoms than this have no bonds: each pair is looked at. */
const MOST_BONDED = 600;
const CORNERS = [0, 1, 2, 3, 4, 5, 6, 7];
/** Radians that a key turns it by: yaw, pitch. */
const TURNS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-0.12, 0],
  ArrowRight: [0.12, 0],
  ArrowUp: [0, -0.12],
  ArrowDown: [0, 0.12],
};
const STEPS: Readonly<Record<string, number>> = { n: 1, p: -1 };

export function Molecule({
  frame,
  scene,
  selected,
  pick,
}: {
  readonly frame: Frame | undefined;
  readonly scene: Scene;
  readonly selected: readonly number[];
  readonly pick: (atom: number) => void;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const view = useRef<View>({ yaw: 0.5, pitch: -0.35 });
  const scale = useRef<{ readonly extent: number; readonly atoms: number }>();
  const balls = useRef<readonly Ball[]>([]);
  const dragged = useRef<{ x: number; y: number; moved: boolean }>();
  /** The atom at which the keyboard is. */
  const [at, setAt] = useState<number>();

  const draw = (): void => {
    if (canvas.current === null) return;
    const extent = frame === undefined ? 1 : Math.max(1, ...frame.positions.map((at) => Math.hypot(...at)));
    // The first frame of its kind sets the scale, so that the picture does not jump.
    if (frame !== undefined && scale.current?.atoms !== frame.numbers.length) {
      scale.current = { extent: extent * 1.15, atoms: frame.numbers.length };
    }
    balls.current = paint(canvas.current, frame, {
      scene,
      selected,
      at,
      view: view.current,
      extent: scale.current?.extent ?? 1,
    });
  };
  useEffect(draw);
  useEffect(() => {
    const watch = new ResizeObserver(() => latest.current());
    if (canvas.current !== null) watch.observe(canvas.current);
    return () => watch.disconnect();
  }, []);
  const latest = useRef(draw);
  latest.current = draw;

  const move = (event: PointerEvent): void => {
    const from = dragged.current;
    if (from === undefined) return;
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    if (!from.moved && Math.hypot(dx, dy) < 4) return;
    dragged.current = { x: event.clientX, y: event.clientY, moved: true };
    view.current.yaw += dx / 150;
    view.current.pitch += dy / 150;
    draw();
  };
  const up = (event: PointerEvent<HTMLCanvasElement>): void => {
    const clicked = dragged.current?.moved === false;
    dragged.current = undefined;
    if (!clicked) return;
    const { left, top } = event.currentTarget.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    // The last one drawn is on top.
    const hit = balls.current.findLast((ball) => Math.hypot(ball.x - x, ball.y - y) <= ball.r);
    if (hit !== undefined) pick(hit.index);
  };
  const count = frame?.numbers.length ?? 0;
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [yaw, pitch] = TURNS[event.key] ?? [];
    const step = STEPS[event.key];
    if (yaw !== undefined && pitch !== undefined) {
      view.current.yaw += yaw;
      view.current.pitch += pitch;
      draw();
    } else if (step !== undefined && count > 0) {
      setAt((before) => (before === undefined ? 0 : (before + step + count) % count));
    } else if ((event.key === 'Enter' || event.key === ' ') && at !== undefined && at < count) pick(at);
    else return;
    event.preventDefault();
  };
  const keys = 'arrow keys turn them, n and p go to the next and the previous one, Enter selects it';
  return (
    <>
      <canvas
        ref={canvas}
        className="molecule"
        role="application"
        tabIndex={0}
        aria-label={frame === undefined ? 'nothing yet' : `${count} atoms: ${keys}`}
        data-testid="molecule"
        onPointerDown={(event) => (dragged.current = { x: event.clientX, y: event.clientY, moved: false })}
        onPointerMove={move}
        onPointerUp={up}
        onPointerLeave={() => (dragged.current = undefined)}
        onKeyDown={press}
        onBlur={() => setAt(undefined)}
      />
      <span className="atom" role="status">
        {at !== undefined && `at atom ${at + 1} of ${count}${selected.includes(at) ? ', selected' : ''}`}
      </span>
    </>
  );
}

interface Drawing {
  readonly scene: Scene;
  readonly selected: readonly number[];
  readonly at: number | undefined;
  readonly view: View;
  /** What fits into the picture, from its middle. */
  readonly extent: number;
}

/** Returns the balls as they lie on the picture, the farthest first. */
function paint(canvas: HTMLCanvasElement, frame: Frame | undefined, drawing: Drawing): Ball[] {
  const { clientWidth: width, clientHeight: height } = canvas;
  const density = devicePixelRatio;
  canvas.width = width * density;
  canvas.height = height * density;
  const context = canvas.getContext('2d');
  if (context === null) return [];
  context.scale(density, density);
  const { scene, selected, at, view, extent } = drawing;
  const zoom = (Math.min(width, height) * 0.42) / extent;
  const project = ([x, y, z]: readonly number[]): { x: number; y: number; z: number; near: number } => {
    const turned = (x ?? 0) * Math.cos(view.yaw) + (z ?? 0) * Math.sin(view.yaw);
    const depth = (z ?? 0) * Math.cos(view.yaw) - (x ?? 0) * Math.sin(view.yaw);
    const up = (y ?? 0) * Math.cos(view.pitch) - depth * Math.sin(view.pitch);
    const far = (y ?? 0) * Math.sin(view.pitch) + depth * Math.cos(view.pitch);
    const near = 1 / (1 + far / (extent * 4));
    return { x: width / 2 + turned * zoom * near, y: height / 2 - up * zoom * near, z: far, near };
  };
  if (scene.box > 0) paintBox(context, scene.box, project);
  if (frame === undefined) return [];
  const balls = frame.positions
    .map((at, index): Ball => {
      const { x, y, z, near } = project(at);
      const number = frame.numbers[index] ?? 0;
      return { x, y, z, r: sizeOf(number) * scene.radius * zoom * near, index, number };
    })
    .sort((a, b) => b.z - a.z);
  if (scene.bonds && balls.length <= MOST_BONDED) paintBonds(context, frame, balls, zoom);
  for (const ball of balls) {
    paintBall(context, ball, extent);
    if (selected.includes(ball.index)) paintRing(context, ball, '#ffd24a', 2.5);
    if (ball.index === at) paintRing(context, ball, '#ffffff', 5.5);
  }
  return balls;
}

function paintBall(context: CanvasRenderingContext2D, { x, y, z, r, number }: Ball, extent: number): void {
  const light = context.createRadialGradient(x - r * 0.35, y - r * 0.4, r * 0.1, x, y, r);
  light.addColorStop(0, '#ffffff');
  light.addColorStop(0.35, colorOf(number));
  light.addColorStop(1, '#10181f');
  context.globalAlpha = Math.min(1, Math.max(0.45, 0.85 - z / (extent * 2.5)));
  context.fillStyle = light;
  context.beginPath();
  context.arc(x, y, r, 0, 2 * Math.PI);
  context.fill();
  context.globalAlpha = 1;
}

function paintRing(context: CanvasRenderingContext2D, { x, y, r }: Ball, color: string, away: number): void {
  context.strokeStyle = color;
  context.lineWidth = 2.5;
  context.beginPath();
  context.arc(x, y, r + away, 0, 2 * Math.PI);
  context.stroke();
}

function paintBonds(context: CanvasRenderingContext2D, frame: Frame, balls: readonly Ball[], zoom: number): void {
  context.lineWidth = Math.max(1, zoom * 0.1);
  context.strokeStyle = '#8fa3b3';
  for (const [i, a] of balls.entries()) {
    for (const b of balls.slice(i + 1)) {
      const [p, q] = [frame.positions[a.index], frame.positions[b.index]];
      if (p === undefined || q === undefined) continue;
      if (Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]) > 1.75) continue;
      context.globalAlpha = a.z + b.z > 0 ? 0.35 : 0.8;
      context.beginPath();
      context.moveTo(a.x, a.y);
      context.lineTo(b.x, b.y);
      context.stroke();
    }
  }
  context.globalAlpha = 1;
}

function paintBox(
  context: CanvasRenderingContext2D,
  half: number,
  project: (at: readonly number[]) => { x: number; y: number },
): void {
  const corner = (n: number) => project([n & 1 ? half : -half, n & 2 ? half : -half, n & 4 ? half : -half]);
  context.strokeStyle = '#5f7688';
  context.lineWidth = 1;
  context.beginPath();
  for (const n of CORNERS) {
    for (const bit of [1, 2, 4]) {
      if (n & bit) continue;
      const [a, b] = [corner(n), corner(n | bit)];
      context.moveTo(a.x, a.y);
      context.lineTo(b.x, b.y);
    }
  }
  context.stroke();
}
