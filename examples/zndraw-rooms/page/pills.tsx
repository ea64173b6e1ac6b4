/** The marks of a room: red when it is locked for good, yellow while somebody holds its lock. */
import type { RoomMetadata } from '@roomwire/client';

export function Pills({ room: { locked, metadataLocked } }: { readonly room: RoomMetadata }) {
  return (
    <>
      {locked && (
        <span className="pill red" data-testid="locked-pill">
          locked
        </span>
      )}
      {metadataLocked !== null && (
        <span className="pill yellow" data-testid="lock-pill" title={`locked by ${metadataLocked.userName}`}>
          <b>{metadataLocked.userName}</b> {metadataLocked.msg ?? 'holds the lock'}
        </span>
      )}
    </>
  );
}
