/** Moves through the frames; on it the bookmarks, the selected frames and the plot, the same for all in the room. */
import { useClient } from '@roomwire/client/react';
import { roomApi, useApi, useFetched } from './api.js';
import type { Player } from './player.js';

interface Figure {
  readonly title: string;
  readonly values: readonly number[];
}

export function Timeline({
  roomId,
  player,
  count,
}: {
  readonly roomId: string;
  readonly player: Player;
  readonly count: number;
}) {
  const client = useClient();
  const { ask, attempt } = useApi();
  const bookmarks = useFetched<Record<string, { label: string }>>(roomId, 'bookmarks', 'bookmarks:invalidate') ?? {};
  const chosen = useFetched<{ indices: number[] }>(roomId, 'frame_selection', 'frame_selection:update')?.indices ?? [];
  const figure = useFetched<{ spread?: Figure }>(roomId, 'figure', 'invalidate:figure')?.spread;
  const { frame, playing, led } = player;
  const last = Math.max(1, count - 1);
  const at = (index: number) => ({ left: `${(100 * index) / last}%` });

  const path = `${roomApi(roomId)}/bookmarks/${frame}`;
  const mark = (): void => {
    if (String(frame) in bookmarks) void attempt(() => ask('DELETE', path));
    else {
      const label = prompt(`What is to be seen in frame ${frame}?`)?.trim();
      if (label) void attempt(() => ask('PUT', path, { body: { label } }));
    }
  };
  const choose = (): void => {
    const indices = chosen.includes(frame) ? chosen.filter((one) => one !== frame) : [...chosen, frame];
    void attempt(async () => client?.call('frame_selection:set', { roomId, indices }));
  };
  return (
    <div className="timeline card">
      <div className="line">
        <button onClick={() => player.play(!playing)} disabled={led || count < 2} data-testid="play">
          {playing ? 'Pause' : 'Play'}
        </button>
        <span className="count" data-testid="frame">
          {count === 0 ? '–' : frame} / {count}
        </span>
        <span className="track">
          {figure !== undefined && <Plot figure={figure} />}
          {chosen.map((index) => (
            <i key={index} className="chosen" data-testid="chosen" style={at(index)} />
          ))}
          {Object.entries(bookmarks).map(([index, { label }]) => (
            <button
              key={index}
              className="bookmark"
              data-testid="bookmark"
              style={at(Number(index))}
              title={`${label} (frame ${index})`}
              onClick={() => player.show(Number(index))}
              disabled={led}
            >
              {label}
            </button>
          ))}
          <input
            type="range"
            aria-label="Frame"
            min="0"
            max={Math.max(0, count - 1)}
            value={frame}
            onChange={(event) => player.show(Number(event.target.value))}
            disabled={led || count === 0}
          />
        </span>
        <button
          onClick={mark}
          disabled={count === 0}
          aria-pressed={String(frame) in bookmarks}
          data-testid="bookmark-it"
        >
          Bookmark
        </button>
        <button onClick={choose} disabled={count === 0} aria-pressed={chosen.includes(frame)} data-testid="choose">
          Select
        </button>
      </div>
    </div>
  );
}

function Plot({ figure: { title, values } }: { readonly figure: Figure }) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const points = values.map((value, i) => `${i},${(high - value) / (high - low || 1)}`).join(' ');
  return (
    <svg
      className="plot"
      viewBox={`0 0 ${Math.max(1, values.length - 1)} 1`}
      preserveAspectRatio="none"
      data-testid="plot"
    >
      <title>{title}</title>
      <polyline points={points} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
