/** The trajectory: the picture of one frame, the controls that move through it, and what all see of the scene. */
import { useRoom } from '@roomwire/client/react';
import { useState } from 'react';
import type { Frame } from '../contract.js';
import { roomApi, useApi, useFetched } from './api.js';
import { useFrames } from './frames.js';
import { Molecule } from './molecule.js';
import type { Player } from './player.js';
import { Timeline } from './timeline.js';

interface Settings {
  readonly scene?: { readonly radius?: number; readonly bonds?: boolean };
}
interface Props {
  readonly roomId: string;
  readonly player: Player;
}

export function Viewer({ roomId, player }: Props) {
  const { metadata, presenter } = useRoom(roomId);
  const { ask, get, attempt } = useApi();
  const count = metadata?.frameCount ?? 0;
  const frames = useFrames(roomId, player.frame, count);
  const settings = useFetched<Settings>(roomId, 'settings', 'invalidate:settings')?.scene;
  const geometry = useFetched<{ box?: { size: number } }>(roomId, 'geometry', 'invalidate:geometry');
  const selection = useFetched<{ atoms?: { indices: number[] } }>(roomId, 'selection', 'invalidate:selection');
  const scene = { radius: settings?.radius ?? 1, bonds: settings?.bonds ?? true, box: geometry?.box?.size ?? 0 };
  const selected = selection?.atoms?.indices ?? [];

  const path = roomApi(roomId);
  const put = (what: string, body: object): void => void attempt(() => ask('PUT', `${path}/${what}`, { body }));
  const pick = (atom: number): void => {
    const indices = selected.includes(atom) ? selected.filter((one) => one !== atom) : [...selected, atom];
    put('selection/atoms', { indices });
  };
  const toggleBox = (): void => {
    if (scene.box > 0) void attempt(() => ask('DELETE', `${path}/geometry/box`));
    else put('geometry/box', { size: 5.5 });
  };
  const plot = () =>
    attempt(async () => {
      const values: number[] = [];
      while (values.length < count) {
        const page = await get<{ frames: Frame[] }>(`${path}/frames?from=${values.length}`);
        if (page.frames.length === 0) break;
        values.push(...page.frames.map(spread));
      }
      await ask('PUT', `${path}/figure/spread`, { body: { title: 'mean distance from the middle', values } });
    });
  const atoms = frames.get(player.frame)?.numbers.length;
  return (
    <section className="viewer">
      <div className="picture">
        <Molecule frame={useShown(frames.get(player.frame), count)} scene={scene} selected={selected} pick={pick} />
        {count === 0 && <p className="hint">No frames yet. Upload an .xyz file, or the buckyball.</p>}
        {presenter !== null && (
          <span className="pill green over" data-testid="presenter">
            {player.presenting ? 'you present' : `${presenter.userName} presents`}
            {player.led && ', you follow'}
          </span>
        )}
        <span className="facts">
          {atoms !== undefined && `${atoms} atoms`}
          {selected.length > 0 && ` · ${selected.length} selected`}
        </span>
        <div className="scene">
          <label>
            size
            <input
              type="range"
              min="0.4"
              max="2"
              step="0.1"
              value={scene.radius}
              onChange={(event) => put('settings/scene', { bonds: scene.bonds, radius: Number(event.target.value) })}
            />
          </label>
          <button
            aria-pressed={scene.bonds}
            onClick={() => put('settings/scene', { radius: scene.radius, bonds: !scene.bonds })}
          >
            bonds
          </button>
          <button aria-pressed={scene.box > 0} onClick={toggleBox}>
            box
          </button>
          <button onClick={() => void plot()} disabled={count < 2}>
            plot
          </button>
        </div>
      </div>
      <Timeline roomId={roomId} player={player} count={count} />
    </section>
  );
}

/** The frame, or the one before until it is here, so that nothing flickers. */
function useShown(frame: Frame | undefined, count: number): Frame | undefined {
  const [shown, setShown] = useState(frame);
  if (frame !== undefined && frame !== shown) setShown(frame);
  return count === 0 ? undefined : (frame ?? shown);
}

function spread({ positions }: Frame): number {
  return positions.reduce((sum, at) => sum + Math.hypot(...at), 0) / Math.max(1, positions.length);
}
