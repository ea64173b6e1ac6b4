/** Asks before what cannot be taken back. */
import { byId, setText } from './dom.js';

/** `verb`: what the button says. False when it is closed in any other way. */
export function confirmed(question: string, verb: string): Promise<boolean> {
  const dialog = byId('confirm-dialog', HTMLDialogElement);
  setText(byId('confirm-title', HTMLElement), question);
  setText(byId('confirm-yes', HTMLButtonElement), verb);
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
