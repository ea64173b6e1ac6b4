/** The frames a player needs, fetched some at a time and kept until `frames:invalidate` says that they are others now. */
import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { useEvent, useRoom } from '@roomwire/client/react';
import type { Frame } from '../contract.js';
import { roomApi, useApi, type ApiOfTab } from './api.js';

/** So many are to be here before they are shown. */
const AHEAD = 50;

class FrameCache {
  readonly #api: ApiOfTab;
  readonly #path: string;
  readonly #frames = new Map<number, Frame>();
  #asking = false;
  readonly #listeners = new Set<() => void>();
  /** Grows with each invalidation: what was asked for before it is not what is there now. */
  #generation = 0;
  #version = 0;

  constructor(api: ApiOfTab, roomId: string) {
    this.#api = api;
    this.#path = `${roomApi(roomId)}/frames`;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
  readonly version = (): number => this.#version;

  get(index: number): Frame | undefined {
    return this.#frames.get(index);
  }

  /** Fetches the frame and those after it, as far as they are not here; one request at a time. */
  want(index: number, count: number): void {
    let from = index;
    while (from < count && from < index + AHEAD && this.#frames.has(from)) from++;
    if (this.#asking || from >= count || from >= index + AHEAD) return;
    this.#asking = true;
    const generation = this.#generation;
    this.#api
      .get<{ frames: Frame[] }>(`${this.#path}?from=${from}`)
      .then(({ frames }) => {
        if (generation !== this.#generation) return;
        frames.forEach((frame, i) => this.#frames.set(from + i, frame));
        this.#asking = false;
        if (frames.length > 0) this.#tell();
      })
      .catch(() => {
        if (generation === this.#generation) this.#asking = false;
      });
  }

  forget(from: number, onlyOne = false): void {
    for (const index of this.#frames.keys()) {
      if (onlyOne ? index === from : index >= from) this.#frames.delete(index);
    }
    this.#generation++;
    this.#asking = false;
    this.#tell();
  }

  #tell(): void {
    this.#version++;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Tells its components anew whenever frames came or went. */
export function useFrames(roomId: string, frame: number, count: number): FrameCache {
  const api = useApi();
  const { room } = useRoom(roomId);
  const cache = useMemo(() => new FrameCache(api, roomId), [api, roomId]);
  const version = useSyncExternalStore(cache.subscribe, cache.version);
  useEvent(room, 'frames:invalidate', ({ operation, affectedFrom }) =>
    cache.forget(affectedFrom, operation === 'replace'),
  );
  useEvent(room, 'reset', () => cache.forget(0));
  useEffect(() => {
    cache.want(frame, count);
  }, [cache, frame, count, version]);
  return cache;
}
