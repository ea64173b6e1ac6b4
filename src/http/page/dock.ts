/** The dock: tabs of which one shows its tool, the key that some tools need, and how tall all of it is. */
import type { Admin } from './admin.js';
import { byId, onSubmit, setText } from './dom.js';

/** A tool of the dock. */
export interface Panel {
  /** It is seen: its tab was chosen, the dock unfolded, or the administrator's rights changed. May come twice. */
  show?(): void;
  hide?(): void;
}

/** The tab that was open, for a reload. */
const OPEN_KEY = 'roomwire.tool';

export class Dock {
  readonly #admin: Admin;
  readonly #panels: Readonly<Record<string, Panel>>;
  readonly #tabs: readonly HTMLButtonElement[];
  readonly #dock = byId('dock', HTMLElement);
  readonly #hide = byId('dock-hide', HTMLButtonElement);
  #open: string | undefined;
  /** A key was given and not answered yet: the focus was in the form. */
  #tried = false;

  /** `panels` by the id of their element; the first one is open where nothing is remembered. */
  constructor(admin: Admin, panels: Readonly<Record<string, Panel>>) {
    this.#admin = admin;
    this.#panels = panels;
    this.#tabs = [...byId('dock-tabs', HTMLDivElement).querySelectorAll('button')];
    for (const [i, tab] of this.#tabs.entries()) {
      tab.addEventListener('click', () => this.open(nameOf(tab)));
      tab.addEventListener('keydown', (event) => this.#move(event, i));
    }
    this.#hide.addEventListener('click', () => this.#fold(!this.#dock.hasAttribute('data-folded')));
    const grow = byId('dock-grow', HTMLButtonElement);
    grow.addEventListener('click', () => {
      const tall = this.#dock.toggleAttribute('data-tall');
      grow.setAttribute('aria-pressed', String(tall));
      this.#fold(false);
    });
    this.#keyForm();
    const [first = ''] = Object.keys(panels);
    const remembered = sessionStorage.getItem(OPEN_KEY) ?? first;
    this.open(Object.hasOwn(panels, remembered) ? remembered : first);
  }

  open(name: string): void {
    this.#fold(false);
    if (name === this.#open) return;
    if (this.#open !== undefined) this.#panels[this.#open]?.hide?.();
    this.#open = name;
    sessionStorage.setItem(OPEN_KEY, name);
    for (const tab of this.#tabs) {
      const chosen = nameOf(tab) === name;
      tab.setAttribute('aria-selected', String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    this.#draw();
    this.#panels[name]?.show?.();
  }

  /** As the pattern for tabs has it: arrows, Home and End. */
  #move(event: KeyboardEvent, from: number): void {
    const last = this.#tabs.length - 1;
    const to = {
      ArrowRight: from === last ? 0 : from + 1,
      ArrowLeft: from === 0 ? last : from - 1,
      Home: 0,
      End: last,
    }[event.key];
    const tab = to === undefined ? undefined : this.#tabs[to];
    if (tab === undefined) return;
    event.preventDefault();
    tab.focus();
    this.open(nameOf(tab));
  }

  #fold(folded: boolean): void {
    this.#dock.toggleAttribute('data-folded', folded);
    this.#hide.setAttribute('aria-expanded', String(!folded));
    setText(this.#hide, folded ? 'Show' : 'Hide');
    const panel = this.#panels[this.#open ?? ''];
    if (folded) panel?.hide?.();
    else panel?.show?.();
  }

  #keyForm(): void {
    const input = byId('admin-key', HTMLInputElement);
    onSubmit(byId('admin-form', HTMLFormElement), () => {
      const key = input.value.trim();
      input.value = '';
      if (key === '') return;
      this.#tried = true;
      this.#admin.useKey(key);
    });
    byId('forget-key', HTMLButtonElement).addEventListener('click', () => this.#admin.forgetKey());
    this.#admin.subscribe(() => {
      this.#draw();
      if (!this.#dock.hasAttribute('data-folded')) this.#panels[this.#open ?? '']?.show?.();
    });
  }

  /** Without the rights, a tool that needs them gives way to the form that gets them. */
  #draw(): void {
    const { rights, why, hasKey } = this.#admin;
    byId('forget-key', HTMLButtonElement).hidden = !hasKey;
    let refused = false;
    for (const name of Object.keys(this.#panels)) {
      const panel = byId(name, HTMLElement);
      const lacks = rights === 'refused' && panel.dataset['needs'] === 'admin';
      if (name === this.#open) refused = lacks;
      panel.hidden = name !== this.#open || lacks;
    }
    setText(byId('admin-text', HTMLElement), refused ? why : '');
    byId('admin-form', HTMLFormElement).hidden = !refused;
    if (!this.#tried || rights === 'unknown') return;
    this.#tried = false;
    if (refused) byId('admin-key', HTMLInputElement).focus();
    else this.#tabs.find((tab) => nameOf(tab) === this.#open)?.focus();
  }
}

function nameOf(tab: HTMLButtonElement): string {
  return tab.getAttribute('aria-controls') ?? '';
}
