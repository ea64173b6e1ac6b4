/** Which frame is shown: one's own choice, or the presenter's while one follows. The presenter's own choice is told to all. */
import { useEffect, useState } from 'react';
import { useConnection, useEvent, useRoom } from '@roomwire/client/react';

const FRAMES_PER_SECOND = 20;

export interface Player {
  /** The frame to show. */
  readonly frame: number;
  readonly playing: boolean;
  readonly presenting: boolean;
  /** Another presents, and this page goes along. */
  readonly led: boolean;
  readonly following: boolean;
  readonly show: (frame: number) => void;
  readonly play: (playing: boolean) => void;
  readonly follow: (following: boolean) => void;
}

export function usePlayer(roomId: string): Player {
  const { room, metadata, presenter } = useRoom(roomId);
  const { sid } = useConnection();
  const [own, setOwn] = useState(0);
  const [told, setTold] = useState<{ readonly from: string | null; readonly frame: number }>();
  const [playing, setPlaying] = useState(false);
  const [following, setFollowing] = useState(true);
  const last = Math.max(0, (metadata?.frameCount ?? 0) - 1);
  const presenting = presenter !== null && presenter.sid === sid;
  const led = following && presenter !== null && !presenting;
  // What an earlier presenter said last may still be on its way.
  const frame = Math.min(last, led && told?.from === presenter.sid ? told.frame : own);

  useEvent(room, 'frame_update', (update, { from }) => setTold({ from, frame: update.frame }));
  useEffect(() => {
    if (presenting) room?.volatile('frame_update', 'frame', { frame });
  }, [room, presenting, frame]);
  useEffect(() => {
    if (!playing || led || last === 0) return undefined;
    const timer = setInterval(() => setOwn((before) => (before >= last ? 0 : before + 1)), 1000 / FRAMES_PER_SECOND);
    return () => clearInterval(timer);
  }, [playing, led, last]);
  // Whoever stops following, or is left by the presenter, stays where they are.
  useEffect(() => {
    if (led) setOwn(frame);
  }, [led, frame]);

  return {
    frame,
    playing: playing && !led,
    presenting,
    led,
    following,
    show: (index) => setOwn(Math.max(0, Math.min(last, index))),
    play: setPlaying,
    follow: setFollowing,
  };
}
